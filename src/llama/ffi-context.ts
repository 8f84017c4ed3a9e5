import { type Pointer, read, toArrayBuffer } from "bun:ffi";
import { assert } from "../lib/assert.ts";
import { LmError } from "../lib/errors.ts";
import type { Sampling } from "../protocol/sampling.ts";
import type { ContextOptions, ModelContext, Sampler } from "./backend.ts";
import { ComputeThread } from "./compute-thread.ts";
import { createNativeContext } from "./create-context.ts";
import { FfiBatch } from "./ffi-batch.ts";
import type { ModelHost } from "./model-host.ts";
import { FfiSampler } from "./ffi-sampler.ts";
import { addressOf, type LlamaLibrary } from "./library.ts";
import { explain } from "./log-tail.ts";
import type { NativeHandle } from "./native-handle.ts";
import { isPlausibleState } from "./state-check.ts";
import { takesAllProcessors } from "./system-cpu.ts";
import { Threadpool } from "./threadpool.ts";
import type { NativePointer } from "./native-pointer.ts";

/** `llama_decode` found no room in the KV cache. */
const NO_SLOT = 1;

export class FfiContext implements ModelContext {
  readonly contextLength: number;
  readonly sequences: number;
  readonly batch: FfiBatch;
  readonly memory: ModelContext["memory"];
  readonly #model: ModelHost;
  readonly #library: LlamaLibrary;
  readonly #handle: NativeHandle;
  readonly #threadpool: Threadpool | null;
  readonly #threads: number;
  readonly #releaseModel: () => void;
  readonly #embeds: boolean;
  /** The KV cache; null when the model has none, as encoders. */
  readonly #memory: NativePointer | null;
  /** Addresses of functions that the shim calls. */
  readonly #compute: NativePointer;
  /** Views of the library's logits by address: the same few addresses come back. */
  readonly #logitViews = new Map<NativePointer, Float32Array>();
  /** The adapters' strengths now. */
  #scales: readonly number[] | null = null;
  #decoded = false;
  #samplers = 0;
  /** Made at the first decode apart. */
  #thread: ComputeThread | null = null;
  #isApart = false;

  constructor(model: ModelHost, options: ContextOptions) {
    const { library } = model;
    const { llama } = library;
    const created = createNativeContext(model, options);
    this.#model = model;
    this.#library = library;
    this.#handle = created.handle;
    this.#embeds = options.purpose === "embed";
    this.contextLength = created.contextLength;
    this.sequences = options.sequences;
    this.memory = created.memory;
    this.#memory = llama.llama_get_memory(created.handle.pointer);
    // A model that only encodes has no cache to append to.
    const { hasEncoder, hasDecoder } = model.facts;
    this.#compute = addressOf(
      hasEncoder && !hasDecoder && this.#memory === null ? llama.llama_encode : llama.llama_decode,
    );
    this.#threads = options.threads;
    this.#threadpool = Threadpool.create(
      library,
      options.threads,
      takesAllProcessors(options.threads),
    );
    this.#threadpool?.attach(created.handle.pointer);
    const limits = {
      vocabSize: model.vocabulary.size,
      positions: created.positions,
      sequences: options.sequences,
    };
    this.batch = new FfiBatch(created.batchCapacity, limits, this.#embeds);
    this.#releaseModel = model.retain();
  }

  /** The native context, for calls that take it. */
  get pointer(): NativePointer {
    assert(!this.#isApart, "a context that computes apart is left alone");
    return this.#handle.pointer;
  }

  decode(): "ok" | "full" {
    const pointer = this.#begin();
    return this.#end(this.#library.shim.lm_compute(this.#compute, pointer, this.batch.pointer));
  }

  async decodeApart(): Promise<"ok" | "full"> {
    const context = this.#begin();
    this.#thread ??= new ComputeThread();
    this.#isApart = true;
    const result = await this.#thread
      .call({
        shim: addressOf(this.#library.shim.lm_compute),
        compute: this.#compute,
        context,
        batch: this.batch.pointer,
      })
      .finally(() => (this.#isApart = false));
    return this.#end(result);
  }

  /** @returns the native context, ready for its batch. */
  #begin(): NativePointer {
    const { pointer } = this;
    assert(this.batch.length > 0, "an empty batch cannot be decoded");
    // Embedding inputs are whole in one batch: nothing is carried over from the last.
    if (this.#embeds && this.#memory !== null) {
      this.#library.llama.llama_memory_clear(this.#memory, false);
    }
    this.#decoded = false;
    return pointer;
  }

  #end(result: number): "ok" | "full" {
    if (result === 0) {
      this.#decoded = true;
      return "ok";
    }
    const lines = this.#model.log.collect();
    if (result === NO_SLOT) return "full";
    throw new LmError(
      "internal",
      {},
      `llama_decode failed with ${result}: ${explain(lines, "no reason given")}`,
    );
  }

  logits(row: number): Float32Array {
    const { pointer } = this;
    assert(!this.#embeds, "an embedding context has no logits");
    assert(this.#decoded, "logits need a decode that succeeded");
    assert(this.batch.isOutput(row), `row ${row} was not marked for output`);
    const address = this.#library.llama.llama_get_logits_ith(pointer, row);
    assert(address !== null, `row ${row} has no logits`);
    const known = this.#logitViews.get(address);
    if (known) return known;
    // A buffer that moved leaves its old addresses behind: they are never asked for again.
    if (this.#logitViews.size > 4 * this.sequences) this.#logitViews.clear();
    const view = new Float32Array(toArrayBuffer(address, 0, 4 * this.#model.vocabulary.size));
    this.#logitViews.set(address, view);
    return view;
  }

  embedding(sequence: number): Float32Array {
    const { pointer } = this;
    assert(this.#embeds && this.#decoded, "an embedding needs a decode of an embedding context");
    this.#assertSequence(sequence);
    const address = this.#library.llama.llama_get_embeddings_seq(pointer, sequence);
    assert(address !== null, `sequence ${sequence} was not in the batch`);
    const size = this.#model.facts.embeddingSize;
    return Float32Array.from({ length: size }, (_, index) =>
      read.f32(address as Pointer, 4 * index),
    );
  }

  setThreads(threads: number): void {
    assert(threads >= 1 && threads <= this.#threads, `1 to ${this.#threads} threads can compute`);
    this.#library.llama.llama_set_n_threads(this.pointer, threads, threads);
  }

  setAdapters(scales: readonly number[]): void {
    const { pointer } = this;
    // Every decode says its own; nearly always they are those of the last.
    if (scales === this.#scales) return;
    this.#scales = scales;
    const { adapters } = this.#model;
    assert(scales.length <= adapters.length, "only adapters that were read can be used");
    const used = adapters.filter((_, index) => (scales[index] ?? 0) !== 0);
    const addresses = BigUint64Array.from(used, BigInt);
    const strengths = Float32Array.from(scales.filter((scale) => scale !== 0));
    const { llama } = this.#library;
    // Empty arrays have no address of their own.
    if (used.length === 0) llama.llama_set_adapters_lora(pointer, null, 0, null);
    else llama.llama_set_adapters_lora(pointer, addresses, used.length, strengths);
  }

  copySequence(from: number, to: number, end: number): void {
    this.#assertSequence(from);
    this.#assertSequence(to);
    assert(from !== to, "a sequence cannot be copied onto itself");
    const { llama } = this.#library;
    const memory = this.#cache();
    llama.llama_memory_seq_rm(memory, to, -1, -1);
    if (end > 0) llama.llama_memory_seq_cp(memory, from, to, 0, end);
  }

  removeSequence(sequence: number, start: number, end: number): boolean {
    this.#assertSequence(sequence);
    assert(start >= 0 && (end === -1 || end >= start), "a removed range has an order");
    if (this.#embeds) return true;
    const { llama } = this.#library;
    return llama.llama_memory_seq_rm(this.#cache(), sequence, start === 0 ? -1 : start, end);
  }

  lastPosition(sequence: number): number {
    this.#assertSequence(sequence);
    if (this.#embeds) return -1;
    return this.#library.llama.llama_memory_seq_pos_max(this.#cache(), sequence);
  }

  saveSequence(sequence: number): Uint8Array {
    this.#assertSequence(sequence);
    const { llama } = this.#library;
    const size = Number(llama.llama_state_seq_get_size(this.pointer, sequence));
    const state = new Uint8Array(size);
    const written = Number(llama.llama_state_seq_get_data(this.pointer, state, size, sequence));
    return state.subarray(0, written);
  }

  restoreSequence(sequence: number, state: Uint8Array): boolean {
    return this.#restore(sequence, state, null);
  }

  saveRange(sequence: number, start: number, end: number, scratch: number): Uint8Array {
    this.#assertSequence(sequence);
    assert(this.lastPosition(scratch) === -1, "the scratch sequence is empty");
    assert(start < end && end <= this.lastPosition(sequence) + 1, "a saved range is there");
    const { llama } = this.#library;
    llama.llama_memory_seq_cp(this.#cache(), sequence, scratch, start, end);
    const state = this.saveSequence(scratch);
    llama.llama_memory_seq_rm(this.#cache(), scratch, -1, -1);
    return state;
  }

  restoreRange(sequence: number, length: number, state: Uint8Array, scratch: number): boolean {
    this.#assertSequence(sequence);
    assert(this.lastPosition(scratch) === -1, "the scratch sequence is empty");
    const end = this.lastPosition(sequence) + 1 + length;
    if (!this.#restore(scratch, state, length)) return false;
    const { llama } = this.#library;
    const memory = this.#cache();
    const first = llama.llama_memory_seq_pos_min(memory, scratch);
    const fits = this.lastPosition(scratch) === end - 1 && first === end - length;
    if (fits) llama.llama_memory_seq_cp(memory, scratch, sequence, -1, -1);
    llama.llama_memory_seq_rm(memory, scratch, -1, -1);
    return fits;
  }

  createSampler(sampling: Sampling, choice: number, history: Int32Array): Sampler {
    this.#handle.assertLive();
    const onDispose = () => {
      this.#samplers--;
    };
    const sampler = new FfiSampler(this.#model, this, sampling, choice, history, onDispose);
    this.#samplers++;
    return sampler;
  }

  dispose(): void {
    assert(this.#samplers === 0, `context disposed while ${this.#samplers} samplers use it`);
    assert(!this.#isApart, "a context that computes apart is left alone");
    this.#thread?.dispose();
    this.#handle.dispose();
    this.#threadpool?.dispose();
    this.#logitViews.clear();
    this.#releaseModel();
  }

  /** @param cells that the state must hold; null = anything that fits. */
  #restore(sequence: number, state: Uint8Array, cells: number | null): boolean {
    this.#assertSequence(sequence);
    const { llama } = this.#library;
    llama.llama_memory_seq_rm(this.#cache(), sequence, -1, -1);
    const { contextLength: positions } = this;
    if (!isPlausibleState(state, { model: this.#model.facts, positions, cells })) return false;
    const { pointer } = this;
    const taken = llama.llama_state_seq_set_data(pointer, state, state.length, sequence);
    if (Number(taken) === state.length) return true;
    this.#model.log.collect();
    llama.llama_memory_seq_rm(this.#cache(), sequence, -1, -1);
    return false;
  }

  #cache(): NativePointer {
    this.#handle.assertLive();
    assert(this.#memory !== null, "this model keeps no KV cache");
    return this.#memory;
  }

  #assertSequence(sequence: number): void {
    assert(
      Number.isInteger(sequence) && sequence >= 0 && sequence < this.sequences,
      `sequence ${sequence} is not below ${this.sequences}`,
    );
  }
}
