import type { MetadataValue, TensorType } from "./gguf-writer.ts";
import type { Shape, TensorPlan, TensorParts } from "./architectures.ts";

/**
 * Architectures whose memory is not one plain KV cache: a sliding window in every other layer, a
 * recurrent state, and a mixture of recurrent and attention layers. Source: llama.cpp, src/models.
 */
export const MEMORY_ARCHITECTURES = ["gemma3", "mamba", "lfm2"] as const;
export type MemoryArchitecture = (typeof MEMORY_ARCHITECTURES)[number];

/** Tokens that a layer of gemma3 with a window sees. */
const WINDOW = 64;
const MAMBA = { convolution: 4, states: 16 } as const;
const LFM2_CONVOLUTION = 3;

export function isMemoryArchitecture(name: string): name is MemoryArchitecture {
  return MEMORY_ARCHITECTURES.some((known) => known === name);
}

/** Header entries beside those that every decoder has, without the architecture's name. */
export function memoryMetadata(
  architecture: MemoryArchitecture,
  shape: Shape,
): [string, MetadataValue][] {
  const u32 = (value: number): MetadataValue => ({ type: "u32", value });
  if (architecture === "gemma3") {
    return [
      ["attention.sliding_window", u32(WINDOW)],
      ["attention.sliding_window_pattern", u32(2)],
    ];
  }
  if (architecture === "mamba") {
    return [
      ["ssm.conv_kernel", u32(MAMBA.convolution)],
      ["ssm.inner_size", u32(2 * shape.embedding)],
      ["ssm.state_size", u32(MAMBA.states)],
      ["ssm.time_step_rank", u32(Math.ceil(shape.embedding / 16))],
    ];
  }
  // A layer without KV heads is a recurrent one.
  const heads = Array.from({ length: shape.layers }, (_, layer) =>
    isRecurrentLayer(layer) ? 0 : shape.kvHeads,
  );
  return [
    ["shortconv.l_cache", u32(LFM2_CONVOLUTION)],
    ["attention.head_count_kv", { type: "i32s", value: heads }],
  ];
}

/** Name of the norm before the output layer. */
export function outputNorm(architecture: MemoryArchitecture): string {
  return architecture === "lfm2" ? "token_embd_norm" : "output_norm";
}

export function memoryLayer(
  architecture: MemoryArchitecture,
  layer: number,
  parts: TensorParts,
  attention: (block: string) => TensorPlan[],
): TensorPlan[] {
  const block = `blk.${layer}`;
  if (architecture === "mamba") return mambaLayer(block, parts);
  if (architecture === "lfm2" && isRecurrentLayer(layer)) return convolutionLayer(block, parts);
  const { shape, vector, norm } = parts;
  const head = shape.embedding / shape.heads;
  const more = [
    vector(`${block}.attn_q_norm.weight`, head, "norm"),
    vector(`${block}.attn_k_norm.weight`, head, "norm"),
  ];
  if (architecture === "gemma3") {
    more.push(norm(`${block}.post_attention_norm`), norm(`${block}.post_ffw_norm`));
  }
  return [...attention(block), ...more];
}

function isRecurrentLayer(layer: number): boolean {
  return layer % 2 === 0;
}

function convolutionLayer(block: string, parts: TensorParts): TensorPlan[] {
  const { shape, matrix, norm } = parts;
  const { embedding, feedForward } = shape;
  return [
    norm(`${block}.attn_norm`),
    exact(matrix(`${block}.shortconv.conv`, LFM2_CONVOLUTION, embedding)),
    matrix(`${block}.shortconv.in_proj`, embedding, 3 * embedding),
    matrix(`${block}.shortconv.out_proj`, embedding, embedding),
    norm(`${block}.ffn_norm`),
    matrix(`${block}.ffn_gate`, embedding, feedForward),
    matrix(`${block}.ffn_up`, embedding, feedForward),
    matrix(`${block}.ffn_down`, feedForward, embedding),
  ];
}

function mambaLayer(block: string, parts: TensorParts): TensorPlan[] {
  const { shape, matrix, vector, norm } = parts;
  const inner = 2 * shape.embedding;
  const rank = Math.ceil(shape.embedding / 16);
  return [
    norm(`${block}.attn_norm`),
    matrix(`${block}.ssm_in`, shape.embedding, 2 * inner),
    exact(matrix(`${block}.ssm_conv1d`, MAMBA.convolution, inner)),
    vector(`${block}.ssm_conv1d.bias`, inner, "bias"),
    matrix(`${block}.ssm_x`, inner, rank + 2 * MAMBA.states),
    exact(matrix(`${block}.ssm_dt`, rank, inner)),
    vector(`${block}.ssm_dt.bias`, inner, "bias"),
    // The states decay: its values are negative.
    {
      name: `${block}.ssm_a`,
      shape: [MAMBA.states, inner],
      kind: "decay",
      type: "F32",
      deviation: 0.1,
    },
    vector(`${block}.ssm_d`, inner, "norm"),
    matrix(`${block}.ssm_out`, inner, shape.embedding),
  ];
}

/** Rows that are too short for blocks of quantised values. */
function exact(plan: TensorPlan): TensorPlan {
  return { ...plan, type: "F32" satisfies TensorType };
}
