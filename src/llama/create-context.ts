import { freemem } from "node:os";
import { assert } from "../lib/assert.ts";
import { LmError } from "../lib/errors.ts";
import { embedSize, generateSize } from "../protocol/context-sizes.ts";
import { MAX_SEQUENCES, MICRO_BATCH } from "../protocol/generating.ts";
import type { ContextOptions, ModelContext } from "./backend.ts";
import type { ModelHost } from "./model-host.ts";
import { addressOf } from "./library.ts";
import { explain } from "./log-tail.ts";
import { NativeHandle } from "./native-handle.ts";
import type { NativeLogLine } from "./native-log.ts";
import {
  CONTEXT_PARAMS,
  CONTEXT_PARAMS_SIZE,
  FLASH_ATTENTION,
  GGML_TYPE,
  POOLING,
  writeField,
} from "./structs.ts";

const MEBIBYTE = 1024 * 1024;

const MAX_POSITION = 2 ** 31 - 1;

export interface NativeContext {
  handle: NativeHandle;
  contextLength: number;
  /** Positions are below it. */
  positions: number;
  batchCapacity: number;
  memory: ModelContext["memory"];
}

/**
 * @throws LmError insufficient_memory when buffers cannot be allocated, model_load_failed when the
 * options do not suit the model, unsupported_model for an embedding context of a reranker.
 */
export function createNativeContext(model: ModelHost, options: ContextOptions): NativeContext {
  const { sequences, contextLength, batchCapacity, threads } = options;
  assert(sequences >= 1 && sequences <= MAX_SEQUENCES, `at most ${MAX_SEQUENCES} sequences`);
  assert(contextLength >= 1 && batchCapacity >= 1 && threads >= 1, "context sizes are positive");
  const { llama } = model.library;
  if (options.purpose === "generate") {
    const batch = generateSize(batchCapacity, sequences);
    const { handle, lines } = create(model, options, {
      cells: generateSize(contextLength, sequences),
      batch,
      microBatch: Math.min(batch, MICRO_BATCH),
      pooling: POOLING.unspecified,
    });
    return {
      handle,
      contextLength: llama.llama_n_ctx(handle.pointer),
      // A sequence longer than the cache finds no room: that is an answer, not a bug.
      positions: MAX_POSITION,
      batchCapacity: Math.min(batchCapacity, llama.llama_n_batch(handle.pointer)),
      memory: memoryUse(model, lines),
    };
  }
  // Every input is whole in one decode, and encoders cannot split a batch.
  const capacity = embedSize(Math.max(batchCapacity, contextLength), sequences);
  const pooling = embeddingPooling(model);
  const sizes = { cells: capacity, batch: capacity, microBatch: capacity, pooling };
  const { handle, lines } = create(model, options, sizes);
  // An encoder may have a table of positions that must not be left.
  const longest = Math.min(contextLength, model.facts.trainContextLength);
  return {
    handle,
    contextLength: longest,
    positions: longest,
    batchCapacity: llama.llama_n_batch(handle.pointer),
    memory: memoryUse(model, lines),
  };
}

/** The model's own pooling; the mean for models that were not made for embeddings. */
function embeddingPooling(model: ModelHost): number {
  const key = `${model.facts.architecture}.pooling_type`;
  const own = Number(model.metadata().get(key) ?? POOLING.none);
  if (own === POOLING.rank) {
    throw new LmError(
      "unsupported_model",
      { model: model.path },
      "A reranking model gives scores, not embeddings",
    );
  }
  return own === POOLING.none ? POOLING.mean : own;
}

function create(
  model: ModelHost,
  options: ContextOptions,
  sizes: { cells: number; batch: number; microBatch: number; pooling: number },
): { handle: NativeHandle; lines: readonly NativeLogLine[] } {
  const { library, log } = model;
  const { llama, shim } = library;
  const params = new Uint8Array(CONTEXT_PARAMS_SIZE);
  shim.lm_context_params(addressOf(llama.llama_context_default_params), params);
  const view = new DataView(params.buffer);
  const set = (name: keyof typeof CONTEXT_PARAMS, value: number) =>
    writeField(view, CONTEXT_PARAMS[name], value);
  set("n_ctx", sizes.cells);
  set("n_batch", sizes.batch);
  set("n_ubatch", sizes.microBatch);
  set("n_seq_max", options.sequences);
  set("n_threads", options.threads);
  set("n_threads_batch", options.threads);
  set("pooling_type", sizes.pooling);
  set("flash_attn_type", FLASH_ATTENTION[options.flashAttention]);
  set("type_k", GGML_TYPE[options.kvTypeK]);
  set("type_v", GGML_TYPE[options.kvTypeV]);
  // 0 is the library's word for the model's own.
  set("rope_freq_base", options.ropeFreqBase ?? 0);
  set("rope_freq_scale", options.ropeFreqScale ?? 0);
  set("embeddings", options.purpose === "embed" ? 1 : 0);
  set("kv_unified", 1);
  set("offload_kqv", options.kvOnGpu === false ? 0 : 1);
  log.collect();
  const pointer = shim.lm_create_context(
    addressOf(llama.llama_init_from_model),
    model.handle.pointer,
    params,
  );
  const lines = log.collect();
  if (pointer === null) throw creationError(model, sizes.cells, lines);
  return { handle: new NativeHandle("context", pointer, llama.llama_free), lines };
}

function creationError(model: ModelHost, cells: number, lines: readonly NativeLogLine[]): LmError {
  const reason = explain(lines, "llama.cpp does not say why");
  const message = `The context of ${cells} tokens cannot be created: ${reason}`;
  if (!lines.some((line) => /alloc/i.test(line.text) && line.level === "error")) {
    return new LmError("model_load_failed", { model: model.path, reason }, message);
  }
  const asked = lines.map((line) => /of size (\d+)/.exec(line.text)?.[1] ?? "0").map(Number);
  const neededBytes = Math.max(...asked, 0);
  const details = { model: model.path, neededBytes, availableBytes: freemem() };
  return new LmError("insufficient_memory", details, message);
}

/** The library tells its buffer sizes only in its log. */
function memoryUse(model: ModelHost, lines: readonly NativeLogLine[]): ModelContext["memory"] {
  const total = (pattern: RegExp): number =>
    lines.reduce((sum, line) => sum + Number(pattern.exec(line.text)?.[1] ?? 0) * MEBIBYTE, 0);
  return {
    modelBytes: model.facts.sizeBytes,
    kvBytes: Math.round(total(/(?:KV|RS) buffer size = +([\d.]+) MiB/)),
    computeBytes: Math.round(total(/(?:compute|output) buffer size = +([\d.]+) MiB/)),
  };
}
