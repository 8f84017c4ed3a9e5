import {
  isMemoryArchitecture,
  MEMORY_ARCHITECTURES,
  memoryLayer,
  memoryMetadata,
  outputNorm,
} from "./memory-architectures.ts";
import type { MetadataValue, TensorType } from "./gguf-writer.ts";

export const ARCHITECTURES = [
  "llama",
  "qwen2",
  "bert",
  "nomic-bert",
  ...MEMORY_ARCHITECTURES,
] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

/** Sizes of a transformer; lengths in floats, except the context in tokens. */
export interface Shape {
  layers: number;
  embedding: number;
  heads: number;
  kvHeads: number;
  feedForward: number;
  context: number;
  /** Of `llama`: so many feed-forward layers side by side, of which two are used; absent = one. */
  experts?: number;
}

/** Shapes by name; the names count parameters with a vocabulary of about 32000 tokens. */
export const SHAPES: Readonly<Record<string, Shape>> = {
  tiny: { layers: 2, embedding: 64, heads: 4, kvHeads: 2, feedForward: 160, context: 2048 },
  "125m": { layers: 12, embedding: 768, heads: 12, kvHeads: 12, feedForward: 2048, context: 8192 },
  "1b": { layers: 16, embedding: 2048, heads: 32, kvHeads: 8, feedForward: 8192, context: 8192 },
};

/** What a tensor holds: random weights, ones with noise, minus ones with noise, or a small bias. */
export interface TensorPlan {
  name: string;
  shape: readonly number[];
  kind: "weights" | "norm" | "bias" | "decay";
  type: TensorType;
  /** Standard deviation of the weights. */
  deviation: number;
}

/** Attention scores are spread, so that what a sequence holds shows in its logits. */
const ATTENTION_GAIN = 2;
/** Logits get about this standard deviation: neither flat nor one-hot. */
const LOGIT_DEVIATION = 3;

export function isEncoder(architecture: Architecture): boolean {
  return architecture === "bert" || architecture === "nomic-bert";
}

/** Header entries that describe the shape. */
export function shapeMetadata(
  architecture: Architecture,
  shape: Shape,
  vocabSize: number,
  pooling: number | null,
): [string, MetadataValue][] {
  const u32 = (value: number): MetadataValue => ({ type: "u32", value });
  const entries: [string, MetadataValue][] = [
    ["block_count", u32(shape.layers)],
    ["context_length", u32(shape.context)],
    ["embedding_length", u32(shape.embedding)],
    ["feed_forward_length", u32(shape.feedForward)],
    ["attention.head_count", u32(shape.heads)],
    ["attention.head_count_kv", u32(shape.kvHeads)],
    ["vocab_size", u32(vocabSize)],
  ];
  if (architecture !== "bert") {
    entries.push(["rope.freq_base", { type: "f32", value: 10_000 }]);
    entries.push(["rope.dimension_count", u32(shape.embedding / shape.heads)]);
  }
  const epsilon: MetadataValue = { type: "f32", value: 1e-5 };
  if (isEncoder(architecture)) {
    entries.push(["attention.layer_norm_epsilon", epsilon]);
    entries.push(["attention.causal", { type: "bool", value: false }]);
  } else {
    entries.push(["attention.layer_norm_rms_epsilon", epsilon]);
  }
  if (isMemoryArchitecture(architecture)) {
    const own = memoryMetadata(architecture, shape);
    const names = new Set(own.map(([key]) => key));
    entries.splice(0, entries.length, ...entries.filter(([key]) => !names.has(key)), ...own);
  }
  if (shape.experts !== undefined) {
    entries.push(["expert_count", u32(shape.experts)], ["expert_used_count", u32(2)]);
  }
  if (pooling !== null) entries.push(["pooling_type", u32(pooling)]);
  return entries.map(([key, value]) => [`${architecture}.${key}`, value]);
}

/** Every tensor of the architecture, in file order. */
export function planTensors(
  architecture: Architecture,
  shape: Shape,
  vocabSize: number,
  type: TensorType,
): TensorPlan[] {
  const { embedding, layers } = shape;
  const matrix = (name: string, rowLength: number, rows: number, gain = 1): TensorPlan => ({
    name: `${name}.weight`,
    shape: [rowLength, rows],
    kind: "weights",
    type,
    deviation: gain / Math.sqrt(rowLength),
  });
  const vector = (name: string, length: number, kind: "norm" | "bias"): TensorPlan => ({
    name,
    shape: [length],
    kind,
    type: "F32",
    deviation: 0.1,
  });
  const table = (name: string, rows: number): TensorPlan => ({
    ...matrix(name, embedding, rows),
    type: "F32",
    deviation: 0.1,
  });
  const norm = (name: string) => vector(`${name}.weight`, embedding, "norm");
  const normBias = (name: string) => vector(`${name}.bias`, embedding, "bias");
  const parts = { shape, matrix, vector, norm, normBias };
  // The output layer is the embedding, as in most small models.
  const tokens = matrix("token_embd", embedding, vocabSize, LOGIT_DEVIATION);
  const blocks = Array.from({ length: layers }, (_, layer) => `blk.${layer}`);
  if (!isEncoder(architecture)) {
    const biased = architecture === "qwen2";
    if (isMemoryArchitecture(architecture)) {
      const attention = (block: string) => decoderLayer(block, parts, false);
      return [
        tokens,
        norm(outputNorm(architecture)),
        ...blocks.flatMap((_, layer) => memoryLayer(architecture, layer, parts, attention)),
      ];
    }
    return [
      tokens,
      norm("output_norm"),
      ...blocks.flatMap((block) => decoderLayer(block, parts, biased)),
    ];
  }
  const positions = architecture === "bert" ? [table("position_embd", shape.context)] : [];
  return [
    tokens,
    table("token_types", 2),
    ...positions,
    norm("token_embd_norm"),
    normBias("token_embd_norm"),
    ...blocks.flatMap((block) =>
      architecture === "bert" ? bertLayer(block, parts) : nomicLayer(block, parts),
    ),
  ];
}

/** Makers of tensors of one shape. */
export interface TensorParts {
  shape: Shape;
  matrix: (name: string, rowLength: number, rows: number, gain?: number) => TensorPlan;
  vector: (name: string, length: number, kind: "norm" | "bias") => TensorPlan;
  norm: (name: string) => TensorPlan;
  normBias: (name: string) => TensorPlan;
}

function decoderLayer(block: string, parts: TensorParts, biased: boolean): TensorPlan[] {
  const { shape, matrix, vector, norm } = parts;
  const { embedding, feedForward } = shape;
  const kvLength = (embedding / shape.heads) * shape.kvHeads;
  return [
    norm(`${block}.attn_norm`),
    matrix(`${block}.attn_q`, embedding, embedding, ATTENTION_GAIN),
    matrix(`${block}.attn_k`, embedding, kvLength, ATTENTION_GAIN),
    matrix(`${block}.attn_v`, embedding, kvLength),
    ...(biased
      ? [
          vector(`${block}.attn_q.bias`, embedding, "bias"),
          vector(`${block}.attn_k.bias`, kvLength, "bias"),
          vector(`${block}.attn_v.bias`, kvLength, "bias"),
        ]
      : []),
    matrix(`${block}.attn_output`, embedding, embedding),
    norm(`${block}.ffn_norm`),
    ...(shape.experts === undefined
      ? [
          matrix(`${block}.ffn_gate`, embedding, feedForward),
          matrix(`${block}.ffn_up`, embedding, feedForward),
          matrix(`${block}.ffn_down`, feedForward, embedding),
        ]
      : expertLayers(block, parts, shape.experts)),
  ];
}

function expertLayers(block: string, parts: TensorParts, experts: number): TensorPlan[] {
  const { shape, matrix } = parts;
  const { embedding, feedForward } = shape;
  const each = (name: string, rowLength: number, rows: number): TensorPlan => ({
    ...matrix(`${block}.${name}`, rowLength, rows),
    shape: [rowLength, rows, experts],
  });
  return [
    matrix(`${block}.ffn_gate_inp`, embedding, experts),
    each("ffn_gate_exps", embedding, feedForward),
    each("ffn_up_exps", embedding, feedForward),
    each("ffn_down_exps", feedForward, embedding),
  ];
}

function bertLayer(block: string, parts: TensorParts): TensorPlan[] {
  const { shape, matrix, vector, norm, normBias } = parts;
  const { embedding, feedForward } = shape;
  return [
    ...["attn_q", "attn_k", "attn_v", "attn_output"].flatMap((name) => [
      matrix(`${block}.${name}`, embedding, embedding),
      vector(`${block}.${name}.bias`, embedding, "bias"),
    ]),
    norm(`${block}.attn_output_norm`),
    normBias(`${block}.attn_output_norm`),
    matrix(`${block}.ffn_up`, embedding, feedForward),
    vector(`${block}.ffn_up.bias`, feedForward, "bias"),
    matrix(`${block}.ffn_down`, feedForward, embedding),
    vector(`${block}.ffn_down.bias`, embedding, "bias"),
    norm(`${block}.layer_output_norm`),
    normBias(`${block}.layer_output_norm`),
  ];
}

function nomicLayer(block: string, parts: TensorParts): TensorPlan[] {
  const { shape, matrix, norm, normBias } = parts;
  const { embedding, feedForward } = shape;
  return [
    matrix(`${block}.attn_qkv`, embedding, 3 * embedding),
    matrix(`${block}.attn_output`, embedding, embedding),
    norm(`${block}.attn_output_norm`),
    normBias(`${block}.attn_output_norm`),
    matrix(`${block}.ffn_up`, embedding, feedForward),
    matrix(`${block}.ffn_gate`, embedding, feedForward),
    matrix(`${block}.ffn_down`, feedForward, embedding),
    norm(`${block}.layer_output_norm`),
    normBias(`${block}.layer_output_norm`),
  ];
}
