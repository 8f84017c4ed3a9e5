/** What a header says, by keys without the architecture's name; null = nothing. */
export interface RecurrentHeader {
  architecture: string;
  /** null for what is no number, too. */
  number: (key: string) => number | null;
  /** One value for all layers, or one per layer. */
  numbers: (key: string) => readonly number[];
}

/** The memory of layers that keep a state in place of keys and values, or beside them. */
export interface RecurrentState {
  /** Of each layer; 0 where it keeps no keys and values. */
  headCountKv: readonly number[];
  /** Layers that have a state. */
  layers: number;
  /** Floats of one layer and sequence. */
  floats: number;
}

/** Most layers that llama.cpp loads. Source: llama-hparams.h. */
const MOST_LAYERS = 512;

/** Every layer has a state, and no keys and values. Source: llama-arch.cpp, llm_arch_is_recurrent. */
const STATE_ALONE = /^(?:mamba2?|a?rwkv\d(?:qwen2)?)$/;
/** Every layer has both. */
const BOTH = "falcon-h1";
/** All layers but every so many have a state, where the header names no other. Source: src/models. */
const ATTENTION_INTERVALS = new Map([
  ["qwen3next", 4],
  ["qwen35", 4],
  ["qwen35moe", 4],
  ["qwen4exp", 4],
  ["minimax-01", 8],
]);
/** Layers without heads that are feed-forward layers alone have no state. */
const SPLIT_LAYERS = /^nemotron_h/;

/** One of these stands in the header of each other recurrent or hybrid architecture. Source: llama-arch.cpp. */
const STATE_SIZES = ["ssm.state_size", "shortconv.l_cache", "wkv.head_size", "kda.head_dim"];

/** null where every layer keeps keys and values alone. */
export function recurrentState(header: RecurrentHeader): RecurrentState | null {
  const { architecture, number } = header;
  const isRecurrent =
    ATTENTION_INTERVALS.has(architecture) || STATE_SIZES.some((key) => number(key) !== null);
  if (!isRecurrent) return null;
  const hasState = recurrentLayers(header);
  const headCountKv = hasState.map((recurrent, layer) =>
    recurrent && architecture !== BOTH ? 0 : headsOf(header, layer),
  );
  return { headCountKv, layers: hasState.filter(Boolean).length, floats: stateSize(header) };
}

/** Of each layer, whether it has a state. Layers at the end that only guess ahead have none. */
function recurrentLayers(header: RecurrentHeader): boolean[] {
  const { architecture, numbers } = header;
  const all = Math.min(count(header, "block_count"), MOST_LAYERS);
  const own = all - count(header, "nextn_predict_layers");
  const usual = ATTENTION_INTERVALS.get(architecture);
  const interval = count(header, "full_attention_interval") || usual;
  const named = numbers("attention.recurrent_layers");
  const isRecurrent = (layer: number): boolean => {
    if (STATE_ALONE.test(architecture) || architecture === BOTH) return true;
    if (usual !== undefined && interval !== undefined)
      return (named.length > 0 ? at(named, layer) : (layer + 1) % interval) !== 0;
    const isFeedForward =
      SPLIT_LAYERS.test(architecture) && at(numbers("feed_forward_length"), layer) !== 0;
    return headsOf(header, layer) === 0 && !isFeedForward;
  };
  return Array.from({ length: all }, (_, layer) => layer < own && isRecurrent(layer));
}

/** Floats of one layer and sequence. Source: llama-hparams.cpp, n_embd_r and n_embd_s. */
function stateSize(header: RecurrentHeader): number {
  const size = (key: string): number => count(header, key);
  const width = size("embedding_length");
  const heads = Math.max(0, at(header.numbers("attention.head_count"), 0));
  const kernel = size("ssm.conv_kernel");
  const wkv = size("wkv.head_size");
  if (wkv > 0) return width * ((header.number("token_shift_count") ?? 2) + wkv);
  const convolved = size("shortconv.l_cache");
  const states = size("ssm.state_size") * size("ssm.inner_size");
  if (convolved > 0) return width * (convolved - 1) + states;
  const kda = size("kda.head_dim");
  if (kda > 0) return heads * kda * (3 * (kernel > 0 ? kernel - 1 : 3) + kda);
  if (header.architecture === "minimax-01") {
    const length = size("attention.key_length") || (heads > 0 ? width / heads : 0);
    return heads * length * length;
  }
  const inner = size("ssm.inner_size") + 2 * size("ssm.group_count") * size("ssm.state_size");
  return Math.max(0, kernel - 1) * inner + states;
}

/** Key-value heads of a layer; as many as heads, where the header does not say. */
function headsOf({ numbers }: RecurrentHeader, layer: number): number {
  const own = numbers("attention.head_count_kv");
  return at(own.length > 0 ? own : numbers("attention.head_count"), layer);
}

function at(values: readonly number[], layer: number): number {
  return (values.length === 1 ? values[0] : values[layer]) ?? 0;
}

function count({ number }: RecurrentHeader, key: string): number {
  return Math.max(0, number(key) ?? 0);
}
