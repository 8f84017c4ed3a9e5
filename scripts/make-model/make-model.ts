import {
  type Architecture,
  isEncoder,
  planTensors,
  type Shape,
  shapeMetadata,
  SHAPES,
  type TensorPlan,
} from "./architectures.ts";
import { byteVocabulary } from "./byte-vocabulary.ts";
import { COPYING_ROPE_BASE, copyingWeights, type RowWriter } from "./copying-weights.ts";
import { encodeRows } from "./encode-rows.ts";
import { readTokenizer } from "./gguf-tokenizer.ts";
import {
  type MetadataValue,
  type TensorSource,
  type TensorType,
  writeGguf,
} from "./gguf-writer.ts";
import { nearConstant, randomWeights } from "./random-weights.ts";

/** `enum llama_pooling_type`. */
export const POOLINGS = { none: 0, mean: 1, cls: 2, last: 3 } as const;
export type Pooling = keyof typeof POOLINGS;

export interface MakeModelOptions {
  /** Where the GGUF is written; replaced if it exists. */
  path: string;
  architecture?: Architecture;
  /** Default: the `tiny` shape. For `bert` and `nomic-bert` all heads keep their own keys. */
  shape?: Partial<Shape>;
  type?: TensorType;
  /** Same seed, same file. */
  seed?: number;
  /** A GGUF whose vocabulary is used; default: the built-in byte vocabulary. */
  vocabularyPath?: string;
  /** Least tokens of the built-in vocabulary; unused ones fill it up. */
  vocabularyTokens?: number;
  /** Jinja text. */
  chatTemplate?: string;
  /** Default: none for decoders, mean for encoders. */
  pooling?: Pooling;
  /** Continues texts as they went on before, instead of at random; qwen2 in F32 or Q8_0 only. */
  copies?: boolean;
}

/** `general.file_type`. */
const FILE_TYPE = { F32: 0, F16: 1, Q4_0: 2, Q8_0: 7 } as const;

/** Writes a valid model with random weights. @returns its size and its parameter count. */
export function makeModel(options: MakeModelOptions): { sizeBytes: number; parameters: number } {
  const architecture = options.architecture ?? "llama";
  const type = options.type ?? "F32";
  const seed = options.seed ?? 1;
  const shape = completeShape(architecture, options.shape ?? {});
  const vocabulary = options.vocabularyPath
    ? readTokenizer(options.vocabularyPath)
    : byteVocabulary(options.vocabularyTokens);
  const plans = planTensors(architecture, shape, vocabulary.tokenCount, type);
  const pooling = options.pooling ?? (isEncoder(architecture) ? "mean" : null);
  const metadata = new Map<string, MetadataValue>([
    ["general.architecture", { type: "string", value: architecture }],
    ["general.name", { type: "string", value: `random ${architecture} ${type}` }],
    ["general.file_type", { type: "u32", value: FILE_TYPE[type] }],
    ...shapeMetadata(
      architecture,
      shape,
      vocabulary.tokenCount,
      pooling === null ? null : POOLINGS[pooling],
    ),
    ...vocabulary.entries,
  ]);
  if (isEncoder(architecture)) {
    metadata.set("tokenizer.ggml.token_type_count", { type: "u32", value: 2 });
  }
  if (options.chatTemplate !== undefined) {
    metadata.set("tokenizer.chat_template", { type: "string", value: options.chatTemplate });
  }
  if (options.copies === true) {
    if (architecture !== "qwen2") throw new Error("only qwen2 has the biases that copying needs");
    metadata.set("qwen2.rope.freq_base", { type: "f32", value: COPYING_ROPE_BASE });
  }
  const sources = plans.map((plan) => {
    const copying = options.copies === true ? copyingWeights(plan, shape) : null;
    return copying === null ? tensorSource(plan, seed) : rowSource(plan, copying);
  });
  const elements = (plan: TensorPlan) => plan.shape.reduce((product, size) => product * size, 1);
  return {
    sizeBytes: writeGguf(options.path, metadata, sources),
    parameters: plans.reduce((sum, plan) => sum + elements(plan), 0),
  };
}

function completeShape(architecture: Architecture, partial: Partial<Shape>): Shape {
  const tiny = SHAPES["tiny"];
  if (tiny === undefined) throw new Error("the tiny shape is always there");
  const shape = { ...tiny, ...partial };
  if (isEncoder(architecture)) shape.kvHeads = shape.heads;
  if (shape.embedding % shape.heads !== 0 || (shape.embedding / shape.heads) % 2 !== 0) {
    throw new Error("the embedding length must be an even multiple of the heads");
  }
  if (shape.heads % shape.kvHeads !== 0) {
    throw new Error("the heads must be a multiple of the KV heads");
  }
  return shape;
}

function rowSource({ name, shape, type }: TensorPlan, { row }: RowWriter): TensorSource {
  return { name, shape, type, chunks: () => encodeRows(type, shape, row) };
}

const MEANS = { norm: 1, decay: -1, bias: 0 } as const;

function tensorSource(plan: TensorPlan, seed: number): TensorSource {
  const { name, shape, type, kind, deviation } = plan;
  // Each tensor has its own stream: a change of one leaves the others as they were.
  const own = Number(Bun.hash.xxHash64(name, BigInt(seed)) & 0xffff_ffffn);
  const chunks = () =>
    kind === "weights"
      ? randomWeights(type, shape, deviation, own)
      : nearConstant(shape, MEANS[kind], deviation, own);
  return { name, shape, type, chunks };
}
