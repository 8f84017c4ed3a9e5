import { JSCallback, ptr } from "bun:ffi";
import { assert, defined } from "../lib/assert.ts";
import { LmError } from "../lib/errors.ts";
import type { ContextOptions, Grammar, Model, ModelFacts, ModelOptions } from "./backend.ts";
import { listDevices } from "./devices.ts";
import { Candidates } from "./candidates.ts";
import { FfiContext } from "./ffi-context.ts";
import { FfiGrammar } from "./ffi-grammar.ts";
import type { ModelHost } from "./model-host.ts";
import { FfiVocabulary } from "./ffi-vocabulary.ts";
import { chooseGpuLayers } from "./gpu-layers.ts";
import { addressOf, type LlamaLibrary } from "./library.ts";
import { explain, type LogTail } from "./log-tail.ts";
import { NativeHandle } from "./native-handle.ts";
import { readAdapter } from "./lora-adapter.ts";
import type { NativePointer } from "./native-pointer.ts";
import { cString, readText } from "./native-text.ts";
import { PieceIndex } from "./piece-index.ts";
import { PieceTree } from "./piece-tree.ts";
import { KV_OVERRIDE, LOAD_MODE, MODEL_PARAMS, MODEL_PARAMS_SIZE, writeField } from "./structs.ts";

/** @throws LmError invalid_file with llama.cpp's last error lines. */
export function loadFfiModel(
  library: LlamaLibrary,
  log: LogTail,
  options: ModelOptions,
  onProgress: (fraction: number) => void,
): Model {
  const { path } = options;
  if (path.includes("\0")) {
    const reason = "A file name cannot hold a NUL";
    throw new LmError("invalid_file", { path, reason }, reason);
  }
  log.collect();
  const gpuLayers = chooseGpuLayers(library, options);
  const handle = load(library, options, gpuLayers, onProgress);
  const lines = log.collect();
  if (handle === null) {
    const reason = explain(lines, "llama.cpp cannot load the file and does not say why");
    throw new LmError("invalid_file", { path, reason }, `The model cannot be loaded: ${reason}`);
  }
  return new FfiModel(library, log, handle, path, gpuLayers);
}

function load(
  library: LlamaLibrary,
  options: ModelOptions,
  gpuLayers: number,
  onProgress: (fraction: number) => void,
): NativeHandle | null {
  const { llama, shim } = library;
  const params = new Uint8Array(MODEL_PARAMS_SIZE);
  shim.lm_model_params(addressOf(llama.llama_model_default_params), params);
  const view = new DataView(params.buffer);
  writeField(view, MODEL_PARAMS.n_gpu_layers, gpuLayers);
  writeField(view, MODEL_PARAMS.load_mode, options.mmap ? LOAD_MODE.mmap : LOAD_MODE.none);
  const overrides = options.experts === undefined ? null : expertOverride(options.experts);
  if (overrides !== null) writeField(view, MODEL_PARAMS.kv_overrides, ptr(overrides));
  // llama.cpp reports from the thread that called it, so the callback needs no thread safety.
  const progress = new JSCallback(
    (fraction: number) => {
      onProgress(fraction);
      return true;
    },
    { args: ["f32", "ptr"], returns: "bool" },
  );
  try {
    const address = defined(progress.ptr, "a new callback has an address");
    writeField(view, MODEL_PARAMS.progress_callback, address);
    const model = shim.lm_load_model(
      addressOf(llama.llama_model_load_from_file),
      cString(options.path),
      params,
    );
    assert(overrides === null || overrides.length > 0, "the overrides live as long as the load");
    return model === null ? null : new NativeHandle("model", model, llama.llama_model_free);
  } finally {
    progress.close();
  }
}

/** Storage of small arrays may move while the load calls back, that of large ones stays. */
const STEADY_BYTES = 8_192;

/** A list of one override, and the empty one that ends it. */
function expertOverride({ architecture, used }: NonNullable<ModelOptions["experts"]>): Uint8Array {
  const bytes = new Uint8Array(STEADY_BYTES);
  const key = new TextEncoder().encode(`${architecture}.expert_used_count`);
  assert(KV_OVERRIDE.key + key.length < KV_OVERRIDE.value.offset - 4, "the key has room");
  bytes.set(key, KV_OVERRIDE.key);
  writeField(new DataView(bytes.buffer), KV_OVERRIDE.value, used);
  return bytes;
}

class FfiModel implements Model, ModelHost {
  readonly library: LlamaLibrary;
  readonly log: LogTail;
  readonly handle: NativeHandle;
  readonly facts: ModelFacts;
  readonly vocabulary: FfiVocabulary;
  readonly pieces: PieceIndex;
  readonly candidates: Candidates;
  readonly path: string;
  readonly adapters: NativePointer[] = [];
  #tree: PieceTree | null = null;
  #parts = 0;
  #loaded = true;

  constructor(
    library: LlamaLibrary,
    log: LogTail,
    handle: NativeHandle,
    path: string,
    gpuLayers: number,
  ) {
    this.library = library;
    this.log = log;
    this.handle = handle;
    this.path = path;
    const vocabulary = defined(
      library.llama.llama_model_get_vocab(handle.pointer),
      "a loaded model has a vocabulary",
    );
    this.vocabulary = new FfiVocabulary(library, vocabulary, () => this.#loaded);
    this.pieces = new PieceIndex(this.vocabulary);
    this.candidates = new Candidates(this.vocabulary.size);
    this.facts = readFacts(library, this, gpuLayers);
  }

  get tree(): PieceTree {
    return (this.#tree ??= new PieceTree(this.vocabulary));
  }

  metadata(): ReadonlyMap<string, string> {
    const { llama } = this.library;
    const { pointer } = this.handle;
    const entries = new Map<string, string>();
    const count = llama.llama_model_meta_count(pointer);
    for (let index = 0; index < count; index++) {
      const key = readText((buffer, size) =>
        llama.llama_model_meta_key_by_index(pointer, index, buffer, size),
      );
      const value = readText((buffer, size) =>
        llama.llama_model_meta_val_str_by_index(pointer, index, buffer, size),
      );
      if (key !== null && value !== null) entries.set(key, value);
    }
    return entries;
  }

  loadAdapter(path: string): void {
    this.adapters.push(readAdapter(this, path));
  }

  createContext(options: ContextOptions): FfiContext {
    return new FfiContext(this, options);
  }

  createGrammar(gbnf: string): Grammar {
    return FfiGrammar.compile(this, gbnf);
  }

  retain(): () => void {
    assert(this.#loaded, "model used after it was disposed");
    this.#parts++;
    return () => {
      this.#parts--;
    };
  }

  dispose(): void {
    assert(this.#parts === 0, `model disposed while ${this.#parts} of its parts are in use`);
    this.handle.dispose();
    this.#loaded = false;
  }
}

function readFacts(
  library: LlamaLibrary,
  model: Model & { handle: NativeHandle },
  gpuLayers: number,
): ModelFacts {
  const { llama } = library;
  const { pointer } = model.handle;
  const metadata = model.metadata();
  const layerCount = llama.llama_model_n_layer(pointer);
  return {
    architecture: metadata.get("general.architecture") ?? "",
    trainContextLength: llama.llama_model_n_ctx_train(pointer),
    embeddingSize: llama.llama_model_n_embd_out(pointer),
    // The output layer counts as one more.
    gpuLayers: Math.min(gpuLayers < 0 ? Infinity : gpuLayers, layerCount + 1),
    sizeBytes: Number(llama.llama_model_size(pointer)),
    hasEncoder: llama.llama_model_has_encoder(pointer),
    hasDecoder: llama.llama_model_has_decoder(pointer),
    isRecurrent: llama.llama_model_is_recurrent(pointer),
    isHybrid: llama.llama_model_is_hybrid(pointer),
    slidingWindow: Math.max(0, llama.llama_model_n_swa(pointer)),
    devices: listDevices(library)
      .filter((device) => !device.isGpu || gpuLayers !== 0)
      .map((device) => device.name),
  };
}
