import { statSync } from "node:fs";
import { defined } from "../lib/assert.ts";
import { MOST_CONTEXT } from "../protocol/generating.ts";
import type { ModelOptions } from "./backend.ts";
import { listDevices } from "./devices.ts";
import { addressOf, type LlamaLibrary } from "./library.ts";
import { cString } from "./native-text.ts";
import { MODEL_PARAMS, MODEL_PARAMS_SIZE, writeField } from "./structs.ts";

/** `n_gpu_layers` for all layers. */
const ALL_LAYERS = -1;
/** Left free on each GPU for compute buffers and for other programs. */
const RESERVE_BYTES = 1024 ** 3;

/** Facts that decide how many layers fit. */
export interface OffloadShape {
  fileBytes: number;
  layerCount: number;
  /** KV cache of one token in one layer, K and V. */
  kvBytesPerTokenLayer: number;
  contextLength: number;
}

/**
 * As many layers as the free memory of the GPUs holds, each with its share of the weights and of
 * the KV cache. The output layer counts as one more.
 */
export function layersThatFit(shape: OffloadShape, freeBytes: readonly number[]): number {
  const layers = shape.layerCount + 1;
  const layerBytes = shape.fileBytes / layers + shape.kvBytesPerTokenLayer * shape.contextLength;
  const fitting = freeBytes.map((free) =>
    Math.floor(Math.max(0, free - RESERVE_BYTES) / layerBytes),
  );
  return Math.min(
    layers,
    fitting.reduce((sum, count) => sum + count, 0),
  );
}

/** The sizes of a model's files: all shards of a split one. */
export function shardPaths(path: string): string[] {
  const match = /^(.*)-00001-of-(\d{5})\.gguf$/.exec(path);
  if (!match) return [path];
  const [, stem, total] = match;
  return Array.from(
    { length: Number(total) },
    (_, index) => `${stem}-${String(index + 1).padStart(5, "0")}-of-${total}.gguf`,
  );
}

/** `n_gpu_layers` for these options: 0 without a GPU, -1 for all. */
export function chooseGpuLayers(library: LlamaLibrary, options: ModelOptions): number {
  const { gpuLayers } = options;
  const free = listDevices(library)
    .filter((device) => device.isGpu)
    .map((device) => device.freeBytes);
  if (gpuLayers === "off" || free.length === 0) return 0;
  if (gpuLayers === "max") return ALL_LAYERS;
  if (gpuLayers !== "auto" && Number.isInteger(gpuLayers)) return gpuLayers;
  const shape = readShape(library, options);
  if (shape === null) return 0;
  if (gpuLayers !== "auto") return Math.round(gpuLayers * (shape.layerCount + 1));
  return layersThatFit(shape, free);
}

/** Reads hyperparameters without weights; null when the file cannot be loaded at all. */
function readShape(library: LlamaLibrary, options: ModelOptions): OffloadShape | null {
  const { llama, shim } = library;
  const params = new Uint8Array(MODEL_PARAMS_SIZE);
  shim.lm_model_params(addressOf(llama.llama_model_default_params), params);
  const view = new DataView(params.buffer);
  writeField(view, MODEL_PARAMS.vocab_only, 1);
  writeField(view, MODEL_PARAMS.n_gpu_layers, 0);
  const load = addressOf(llama.llama_model_load_from_file);
  const model = shim.lm_load_model(load, cString(options.path), params);
  if (model === null) return null;
  try {
    const heads = Math.max(1, llama.llama_model_n_head(model));
    const kvHeads = Math.max(1, llama.llama_model_n_head_kv(model));
    const trained = llama.llama_model_n_ctx_train(model);
    return {
      fileBytes: sizeOnDisk(options.path),
      layerCount: llama.llama_model_n_layer(model),
      // K and V, two bytes per element: an upper bound for the cache types that are smaller.
      kvBytesPerTokenLayer: (llama.llama_model_n_embd(model) / heads) * kvHeads * 2 * 2,
      contextLength: options.contextLength ?? Math.min(trained, MOST_CONTEXT),
    };
  } finally {
    llama.llama_model_free(defined(model, "the model was loaded"));
  }
}

function sizeOnDisk(path: string): number {
  return shardPaths(path).reduce(
    (sum, shard) => sum + (statSync(shard, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}
