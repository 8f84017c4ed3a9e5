import type { CatalogModel, ModelShape } from "../catalog/model.ts";
import type { KvType } from "../protocol/commands.ts";

/** Bytes per element of each KV cache type. Source: ggml.h, block sizes of 32 elements. */
const KV_BYTES: Readonly<Record<KvType, number>> = {
  f32: 4,
  f16: 2,
  bf16: 2,
  q8_0: 34 / 32,
  q5_1: 24 / 32,
  q5_0: 22 / 32,
  q4_1: 20 / 32,
  q4_0: 18 / 32,
};

const DEFAULT_MAX_CONTEXT = 32_768;
const DEFAULT_MIN_CONTEXT = 4_096;
const CONTEXT_STEP = 256;
/** The runtime and libraries of an engine process beside the model's own buffers. */
const PROCESS_BYTES = 40 * 1024 * 1024;
/** The vocabulary's texts and tables, in llama.cpp and here. */
const VOCABULARY_ENTRY_BYTES = 512;

export interface FitOptions {
  contextLength: number;
  batchCapacity: number;
  kvTypeK: KvType;
  kvTypeV: KvType;
  purpose: "generate" | "embed";
}

/** Expected bytes of a loaded model, by purpose. */
export interface MemoryEstimate {
  weightBytes: number;
  kvBytes: number;
  computeBytes: number;
  totalBytes: number;
}

/**
 * What a loaded model needs. Weights are the file; the KV cache has one key and one value row per
 * layer and token; compute buffers hold the widest activations of one batch and the logits. All
 * numbers are clamped to safe integers, so that a header full of lies is merely refused.
 */
export function estimateMemory(model: CatalogModel, options: FitOptions): MemoryEstimate {
  const shape = model.shape ?? null;
  const weightBytes = model.sizeBytes;
  const kvBytes = shape === null || options.purpose === "embed" ? 0 : kvCacheBytes(shape, options);
  const computeBytes = shape === null ? 0 : computeBufferBytes(shape, options);
  const tableBytes = (shape?.vocabularySize ?? 0) * VOCABULARY_ENTRY_BYTES;
  const totalBytes = safe(weightBytes + kvBytes + computeBytes + tableBytes + PROCESS_BYTES);
  return { weightBytes, kvBytes, computeBytes, totalBytes };
}

/**
 * The context length of a model nobody chose one for: its maximum, at most 32768, less until it
 * fits `availableBytes`, never below 4096 unless the model is smaller.
 */
export function automaticContext(
  model: CatalogModel,
  options: Omit<FitOptions, "contextLength">,
  availableBytes: number,
): number {
  const most = Math.min(model.maxContextLength, DEFAULT_MAX_CONTEXT);
  const least = Math.min(most, DEFAULT_MIN_CONTEXT);
  const fits = (contextLength: number) =>
    estimateMemory(model, { ...options, contextLength }).totalBytes <= availableBytes;
  let contextLength = most;
  while (contextLength > least && !fits(contextLength)) {
    contextLength = Math.max(least, roundDown(contextLength * 0.875));
  }
  return contextLength;
}

function kvCacheBytes(shape: ModelShape, options: FitOptions): number {
  const { layerCount, headCountKv } = shape;
  const heads =
    typeof headCountKv === "number"
      ? layerCount * headCountKv
      : headCountKv.reduce((sum, count) => sum + count, 0);
  const perToken =
    heads *
    (shape.keyLength * KV_BYTES[options.kvTypeK] + shape.valueLength * KV_BYTES[options.kvTypeV]);
  const cells = Math.ceil(options.contextLength / CONTEXT_STEP) * CONTEXT_STEP;
  return safe(perToken * cells);
}

function computeBufferBytes(shape: ModelShape, options: FitOptions): number {
  const rows = Math.min(options.batchCapacity, 512);
  const logits = options.purpose === "embed" ? 0 : rows * shape.vocabularySize * 4;
  const hidden = rows * (4 * shape.embeddingSize + 2 * shape.feedForwardSize) * 4;
  const scores = rows * shape.headCount * 256 * 4;
  return safe(logits + hidden + scores);
}

function roundDown(tokens: number): number {
  return Math.floor(tokens / CONTEXT_STEP) * CONTEXT_STEP;
}

function safe(bytes: number): number {
  return Number.isFinite(bytes)
    ? Math.min(Math.ceil(bytes), Number.MAX_SAFE_INTEGER)
    : Number.MAX_SAFE_INTEGER;
}
