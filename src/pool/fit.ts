import type { CatalogModel, ModelHeader } from "../catalog/model.ts";
import type { KvType } from "../protocol/commands.ts";
import { embedSize, generateSize } from "../protocol/context-sizes.ts";
import { EMBED_SEQUENCES, laneShape, MOST_EMBED_CONTEXT } from "../protocol/embedding.ts";
import { MICRO_BATCH, MOST_CONTEXT, sequencesFor } from "../protocol/generating.ts";

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

/** Recurrent states are never quantised. */
const STATE_FLOAT_BYTES = 4;

const DEFAULT_MIN_CONTEXT = 4_096;
const CONTEXT_STEP = 256;
/** The runtime and libraries of an engine process beside the model's own buffers. */
const PROCESS_BYTES = 40 * 1024 * 1024;
/** The vocabulary's texts and tables, in llama.cpp and here. */
const VOCABULARY_ENTRY_BYTES = 512;

export interface FitOptions {
  contextLength: number;
  batchCapacity: number;
  /** Slots. */
  parallel: number;
  kvTypeK: KvType;
  kvTypeV: KvType;
  /** Absent = on, as "auto" decides wherever it can. */
  flashAttention?: "auto" | "on" | "off";
  purpose: "generate" | "embed";
  /** That it computes with, no more than the machine has; absent = one. */
  threads?: number;
  /** LoRA adapters that are loaded with it; absent = none. */
  adapters?: readonly { sizeBytes: number }[];
  /** A draft model that is loaded with it; absent = none. */
  draft?: { model: CatalogModel };
}

/** Expected bytes of a loaded model, by purpose. */
export interface MemoryEstimate {
  weightBytes: number;
  kvBytes: number;
  computeBytes: number;
  totalBytes: number;
}

/** Architectures that read a whole input at once and keep no KV cache. */
const ENCODER = /bert|t5encoder|gemma-embedding/;

/** What a loaded model needs, with its draft model. */
export function estimateMemory(model: CatalogModel, asked: FitOptions): MemoryEstimate {
  const { draft, ...options } = asked;
  const main = estimateOne(model, options, sequencesFor(options.parallel, isWhole(model)));
  if (draft === undefined) return main;
  const { adapters: _adapters, ...shape } = options;
  // It stores nothing.
  const beside = estimateOne(draft.model, shape, options.parallel);
  return {
    weightBytes: safe(main.weightBytes + beside.weightBytes),
    kvBytes: safe(main.kvBytes + beside.kvBytes),
    computeBytes: safe(main.computeBytes + beside.computeBytes),
    // Both are in one process.
    totalBytes: safe(main.totalBytes + beside.totalBytes - PROCESS_BYTES),
  };
}

/**
 * What one model needs. The KV cache has one key and one value row per layer, head and token, and
 * beside it each sequence has a state in each recurrent layer; compute buffers hold the widest activations of one batch and the logits. Header numbers are
 * untrusted: everything is clamped to safe integers, so that a header full of lies is refused.
 * @param sequences of a context that generates.
 */
function estimateOne(model: CatalogModel, asked: FitOptions, sequences: number): MemoryEstimate {
  const { header } = model;
  const options = asked.purpose === "embed" ? embedOptions(model, asked) : asked;
  const adapterBytes = (asked.adapters ?? []).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const weightBytes = count(header.tensorBytes) + adapterBytes;
  const shape = shapeOf(model, header);
  const isCacheless = ENCODER.test(model.architecture);
  const held = asked.purpose === "embed" ? EMBED_SEQUENCES : sequences;
  const stateBytes = count(header.stateFloats) * STATE_FLOAT_BYTES * held;
  const kvBytes = isCacheless
    ? 0
    : safe(kvCacheBytes(shape, options) + count(header.stateLayers) * stateBytes);
  const computeBytes = computeBufferBytes(shape, options, { sequences, stateBytes });
  const tableBytes = shape.vocabularySize * VOCABULARY_ENTRY_BYTES;
  const lanes = asked.purpose === "embed" ? lanesBytes(kvBytes + computeBytes, asked.threads) : 0;
  const totalBytes = safe(
    weightBytes + kvBytes + computeBytes + lanes + tableBytes + PROCESS_BYTES,
  );
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
  const most = Math.min(model.maxContextLength, MOST_CONTEXT);
  const least = Math.min(most, DEFAULT_MIN_CONTEXT);
  const fits = (contextLength: number) =>
    estimateMemory(model, { ...options, contextLength }).totalBytes <= availableBytes;
  let contextLength = most;
  while (contextLength > least && !fits(contextLength)) {
    contextLength = Math.max(least, roundDown(contextLength * 0.875));
  }
  return contextLength;
}

/**
 * The most context that fits `availableBytes`, in steps of 256 and at most the model's own; 0 when
 * not even the first step does.
 */
export function largestContext(
  model: CatalogModel,
  options: Omit<FitOptions, "contextLength">,
  availableBytes: number,
): number {
  const most = model.maxContextLength;
  const sizeOf = (steps: number): number => Math.min(steps * CONTEXT_STEP, most);
  const fits = (steps: number): boolean =>
    estimateMemory(model, { ...options, contextLength: sizeOf(steps) }).totalBytes <=
    availableBytes;
  let fitting = 0;
  let above = Math.ceil(most / CONTEXT_STEP) + 1;
  while (above - fitting > 1) {
    const middle = Math.floor((fitting + above) / 2);
    if (fits(middle)) fitting = middle;
    else above = middle;
  }
  return sizeOf(fitting);
}

/** Contexts beside the first, in which many texts are computed side by side. */
function lanesBytes(each: number, threads = 1): number {
  return (laneShape(each, threads)?.count ?? 0) * each;
}

/** The engine reads embedding inputs whole, and bounds their length. */
function embedOptions(model: CatalogModel, asked: FitOptions): FitOptions {
  const longest = Math.min(asked.contextLength, model.maxContextLength, MOST_EMBED_CONTEXT);
  const size = embedSize(longest, EMBED_SEQUENCES);
  return { ...asked, contextLength: size, batchCapacity: size };
}

/** Header numbers with the defaults of llama.cpp filled in; none is negative. */
interface Shape {
  /** Key-value heads of all layers together. */
  kvHeads: number;
  heads: number;
  keyLength: number;
  valueLength: number;
  embeddingSize: number;
  /** Width of the feed-forward layers. */
  feedForward: number;
  /** The feed-forward layers have a gate beside their input. */
  isGated: boolean;
  vocabularySize: number;
  /** Tokens that a layer with a sliding window keeps; null = all layers keep everything. */
  slidingWindow: number | null;
}

function shapeOf(model: CatalogModel, header: ModelHeader): Shape {
  const embeddingSize = count(model.embeddingSize);
  const heads = count(header.headCount[0]);
  const headLength = heads === 0 ? 0 : embeddingSize / heads;
  const { headCountKv } = header;
  const kvHeads =
    headCountKv.length === 1
      ? count(header.blockCount) * count(headCountKv[0])
      : headCountKv.reduce((sum, layer) => sum + count(layer), 0);
  return {
    kvHeads,
    heads,
    keyLength: count(header.keyLength ?? headLength),
    valueLength: count(header.valueLength ?? headLength),
    embeddingSize,
    feedForward: count(header.feedForwardLength) || FEED_FORWARD_FACTOR * embeddingSize,
    isGated: model.architecture !== "bert",
    vocabularySize: count(header.vocabularySize),
    slidingWindow: count(header.slidingWindow) > 0 ? header.slidingWindow : null,
  };
}

/** Whether its memory is kept whole or not at all, as far as the header says. */
function isWhole({ header }: CatalogModel): boolean {
  return header.isRecurrent || count(header.slidingWindow) > 0;
}

function kvCacheBytes(shape: Shape, options: FitOptions): number {
  const { keyLength, valueLength, kvHeads } = shape;
  const headBytes = keyLength * KV_BYTES[options.kvTypeK] + valueLength * KV_BYTES[options.kvTypeV];
  const all = cellsOf(options.contextLength);
  if (shape.slidingWindow === null) return safe(kvHeads * headBytes * all);
  // Models with a window have it in half of their layers or more.
  const window = count(shape.slidingWindow) * options.parallel + options.batchCapacity;
  return safe(((kvHeads * headBytes) / 2) * (all + Math.min(all, cellsOf(window))));
}

/** Width of feed-forward layers in embeddings, where the header does not say. */
const FEED_FORWARD_FACTOR = 4;

/**
 * The widest moment of a decode: a layer with its activations, the attention mask and the states it
 * reads, or the logits. The factors are those of llama.cpp's graphs, checked against its own numbers.
 * @param stateBytes of one layer, in all sequences.
 */
function computeBufferBytes(
  shape: Shape,
  options: FitOptions,
  { sequences, stateBytes }: { sequences: number; stateBytes: number },
): number {
  const { embeddingSize, feedForward, vocabularySize, heads, kvHeads } = shape;
  const isEmbed = options.purpose === "embed";
  const rows = isEmbed
    ? options.batchCapacity
    : Math.min(generateSize(options.batchCapacity, sequences), MICRO_BATCH);
  const layerRow = shape.isGated
    ? 4 * embeddingSize + 3 * feedForward
    : Math.max(6.5 * embeddingSize, 3 * embeddingSize + feedForward);
  const scoreBytes = kvHeads === 0 ? 0 : options.flashAttention === "off" ? 4 + 4 * heads : 2;
  const layer = rows * (4 * layerRow + cellsOf(options.contextLength) * scoreBytes) + stateBytes;
  const logits = isEmbed ? 0 : rows * (vocabularySize + 2 * embeddingSize) * 4;
  const outputs = isEmbed
    ? EMBED_SEQUENCES * (vocabularySize + embeddingSize)
    : sequences * vocabularySize;
  return safe(Math.max(layer, logits) + outputs * 4);
}

/** Caches and masks grow in steps. */
function cellsOf(tokens: number): number {
  return Math.ceil(tokens / CONTEXT_STEP) * CONTEXT_STEP;
}

function roundDown(tokens: number): number {
  return Math.floor(tokens / CONTEXT_STEP) * CONTEXT_STEP;
}

/** A header's number as a size: what is absent, negative or no number counts as nothing. */
function count(value: number | null | undefined): number {
  return typeof value === "number" && value > 0 ? value : 0;
}

function safe(bytes: number): number {
  return bytes <= Number.MAX_SAFE_INTEGER ? Math.ceil(bytes) : Number.MAX_SAFE_INTEGER;
}
