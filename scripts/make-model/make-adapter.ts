import { type Architecture, planTensors, type Shape, SHAPES } from "./architectures.ts";
import { type MetadataValue, type TensorSource, writeGguf } from "./gguf-writer.ts";
import { randomWeights } from "./random-weights.ts";

export interface MakeAdapterOptions {
  /** Where the GGUF is written; replaced if it exists. */
  path: string;
  /** Of the model it is for. */
  architecture?: Architecture;
  /** Of the model it is for; default: the `tiny` shape. */
  shape?: Partial<Shape>;
  /** Width of the pairs of matrices. */
  rank?: number;
  /** Same seed, same file. */
  seed?: number;
}

/** What an adapter changes, as most do. */
const ADAPTED = /^blk\.\d+\.(?:attn_[qkv]|ffn_down)\.weight$/;
/** Deviation of the change, in units of the weights' own. */
const STRENGTH = 2;

/** Writes a LoRA adapter with random weights, strong enough to change what a random model says. */
export function makeAdapter(options: MakeAdapterOptions): { sizeBytes: number } {
  const { path, architecture = "llama", rank = 4, seed = 1 } = options;
  const shape = { ...SHAPES["tiny"], ...options.shape } as Shape;
  const adapted = planTensors(architecture, shape, 1, "F32").filter(({ name }) =>
    ADAPTED.test(name),
  );
  const tensors = adapted.flatMap(({ name, shape: [rowLength = 0, rows = 0] }): TensorSource[] => [
    // The product of both has `rank` terms: each side gets its part of their deviation.
    matrix(`${name}.lora_a`, [rowLength, rank], STRENGTH / Math.sqrt(rowLength), seed),
    matrix(`${name}.lora_b`, [rank, rows], 1 / Math.sqrt(rank), seed),
  ]);
  const metadata = new Map<string, MetadataValue>([
    ["general.type", { type: "string", value: "adapter" }],
    ["general.architecture", { type: "string", value: architecture }],
    ["general.name", { type: "string", value: `random adapter ${seed}` }],
    ["adapter.type", { type: "string", value: "lora" }],
    // Equal to the rank: the scale of a request is then the whole scale.
    ["adapter.lora.alpha", { type: "f32", value: rank }],
  ]);
  return { sizeBytes: writeGguf(path, metadata, tensors) };
}

function matrix(
  name: string,
  shape: readonly number[],
  deviation: number,
  seed: number,
): TensorSource {
  const own = Number(Bun.hash.xxHash64(name, BigInt(seed)) & 0xffff_ffffn);
  return { name, shape, type: "F32", chunks: () => randomWeights("F32", shape, deviation, own) };
}
