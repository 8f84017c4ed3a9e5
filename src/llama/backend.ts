import type { GpuLayers, KvType } from "../protocol/commands.ts";
import type { Sampling } from "../protocol/sampling.ts";

/**
 * What the engine needs from an inference library. One implementation calls llama.cpp, one is a
 * deterministic fake for tests; both pass the same conformance suite.
 *
 * Every object with `dispose` has one owner, is freed exactly once, and must not be used afterwards:
 * doing either is an AssertionError, never a crash. Everything here is synchronous and blocks the
 * calling thread, which is why an engine is a process of its own.
 */
export interface Backend {
  /** Reads the weights. @throws LmError invalid_file with the library's own last error lines. */
  loadModel(options: ModelOptions, onProgress: (fraction: number) => void): Model;
  /** Devices that could compute, with their memory. The CPU is first. */
  devices(): readonly Device[];
}

export interface Device {
  /** For example "CPU", "Vulkan0". */
  name: string;
  description: string;
  isGpu: boolean;
  /** 0 when the device does not say. */
  freeBytes: number;
  totalBytes: number;
}

export interface ModelOptions {
  path: string;
  gpuLayers: GpuLayers;
  /** Used to estimate what must fit beside the weights when `gpuLayers` is "auto". */
  contextLength: number | null;
  mmap: boolean;
  /** Experts that each token uses, of a model of that architecture; absent = the model's own number. */
  experts?: { architecture: string; used: number };
}

/** Facts read from the loaded file. Lengths in tokens, sizes in bytes. */
export interface ModelFacts {
  architecture: string;
  trainContextLength: number;
  /** Floats per embedding. */
  embeddingSize: number;
  gpuLayers: number;
  sizeBytes: number;
  hasEncoder: boolean;
  hasDecoder: boolean;
  isRecurrent: boolean;
  isHybrid: boolean;
  /** Sliding-window size in tokens, 0 = full attention. */
  slidingWindow: number;
  devices: readonly string[];
}

export interface Model {
  readonly facts: ModelFacts;
  readonly vocabulary: Vocabulary;
  /** Every key-value pair of the file's header, values as text. */
  metadata(): ReadonlyMap<string, string>;
  /**
   * Reads a LoRA adapter, which lives as long as the model. It changes nothing until a context is
   * told to use it. The number of adapters read before is its number.
   * @throws LmError invalid_file when it is none, or of another architecture or shape.
   */
  loadAdapter(path: string): void;
  /** @throws LmError insufficient_memory when the KV cache or buffers cannot be allocated. */
  createContext(options: ContextOptions): ModelContext;
  /**
   * Compiles a grammar without a sampler.
   * @throws LmError invalid_request (invalid_grammar) with the parser's message.
   */
  createGrammar(gbnf: string): Grammar;
  /** All contexts and grammars must be disposed first. */
  dispose(): void;
}

/** Tokens and their bytes. Token ids are 0 <= id < size. */
export interface Vocabulary {
  readonly size: number;
  /** -1 when the vocabulary has none. */
  readonly bos: number;
  readonly eos: number;
  readonly addsBos: boolean;
  /** Fill-in-the-middle tokens; null when any of the three is absent. */
  readonly infill: { prefix: number; suffix: number; middle: number } | null;
  /**
   * @param addSpecial adds BOS and EOS where the vocabulary says so.
   * @param parseSpecial turns the text of control tokens into control tokens.
   */
  tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): Int32Array;
  /** Exact bytes of a token; control tokens give none unless `special`. Cached: do not modify. */
  piece(token: number, special: boolean): Uint8Array;
  /** End-of-generation: EOS, EOT and their kin. */
  isEndOfGeneration(token: number): boolean;
  isControl(token: number): boolean;
  /** Every end-of-generation token id. */
  readonly endOfGeneration: readonly number[];
}

export interface ContextOptions {
  /** `embed`: no causal generation, one vector per sequence. */
  purpose: "generate" | "embed";
  /** KV cells in all; a unified cache shared by every sequence. */
  contextLength: number;
  /** Sequence ids are 0 <= id < sequences. */
  sequences: number;
  /** Most tokens per decode. */
  batchCapacity: number;
  /** Threads for single-token and for prompt decodes. */
  threads: number;
  kvTypeK: KvType;
  kvTypeV: KvType;
  flashAttention: "auto" | "on" | "off";
  /** The KV cache lies where its layers are computed; false = in main memory. Absent = true. */
  kvOnGpu?: boolean;
  /** Rotary positions; absent = the model's own. */
  ropeFreqBase?: number;
  ropeFreqScale?: number;
}

/** One KV cache and its compute buffers. */
export interface ModelContext {
  readonly contextLength: number;
  readonly sequences: number;
  readonly batch: Batch;
  readonly memory: { modelBytes: number; kvBytes: number; computeBytes: number };
  /**
   * Computes the batch and appends it to the KV cache.
   * @returns "ok"; "full" when no KV cells are left (nothing was changed).
   * @throws LmError internal when the library reports a fatal error.
   */
  decode(): "ok" | "full";
  /**
   * The same on a thread of its own, so that several contexts compute at once. Nothing of this one may
   * be used before the end, `dispose` included.
   */
  decodeApart(): Promise<"ok" | "full">;
  /**
   * Next-token scores of one batch entry of the last decode.
   * @param row its index in the batch; its `output` flag must have been set.
   * @returns Shape [vocabulary.size], f32, unnormalised. A view: invalid after the next `decode`.
   */
  logits(row: number): Float32Array;
  /**
   * Pooled embedding of a sequence after a decode in an `embed` context, not normalised.
   * @returns Shape [embeddingSize], f32, a copy. May hold NaN: the caller checks.
   */
  embedding(sequence: number): Float32Array;
  /**
   * How strongly the model's adapters change what the next decodes compute.
   * @param scales by the adapters' numbers, not changed afterwards; absent and 0 = not at all.
   * Others than the last cost the next decode a new graph, about two milliseconds.
   */
  setAdapters(scales: readonly number[]): void;
  /** Computes with so many threads from the next decode on; 1 to those it was created with. */
  setThreads(threads: number): void;
  /** `to` becomes a copy of positions [0, end) of `from`; shares the cells. */
  copySequence(from: number, to: number, end: number): void;
  /**
   * Forgets positions [start, end) of a sequence; end = -1 means to its end.
   * @returns false when this memory type cannot remove a part: then remove the whole sequence.
   */
  removeSequence(sequence: number, start: number, end: number): boolean;
  /** Largest position stored for the sequence; -1 when empty. */
  lastPosition(sequence: number): number;
  /** State of one sequence as bytes, for a cache that outlives the context. */
  saveSequence(sequence: number): Uint8Array;
  /** @returns false when the bytes do not fit this context; the sequence is then empty. */
  restoreSequence(sequence: number, state: Uint8Array): boolean;
  /**
   * State of positions [start, end) of a sequence as bytes, where sequences can be cut.
   * @param scratch an empty sequence; it is empty again afterwards.
   */
  saveRange(sequence: number, start: number, end: number, scratch: number): Uint8Array;
  /**
   * Appends what `saveRange` gave to a sequence that holds everything before it.
   * @param length tokens that the state holds.
   * @param scratch an empty sequence; it is empty again afterwards.
   * @returns false when the bytes do not fit this context or no cells are free; nothing has changed.
   */
  restoreRange(sequence: number, length: number, state: Uint8Array, scratch: number): boolean;
  /** `choice` is added to a given seed; `history` primes the penalty windows. */
  createSampler(sampling: Sampling, choice: number, history: Int32Array): Sampler;
  dispose(): void;
}

/**
 * The tokens of one decode. Backed by native memory that lives as long as the context.
 * Positions of each sequence must continue where its stored tokens end.
 */
export interface Batch {
  readonly length: number;
  readonly capacity: number;
  clear(): void;
  /** @returns the row, for `logits` and `Sampler.sample`. */
  add(token: number, position: number, sequence: number, output: boolean): number;
}

/** A compiled grammar with the state of one text. Owned by its creator until given to a sampler. */
export interface Grammar {
  /** Advances by text that was already generated. @returns false when the grammar refuses it. */
  acceptText(text: string): boolean;
  /** Whether the grammar may end here. */
  readonly isComplete: boolean;
  clone(): Grammar;
  dispose(): void;
}

/** Chooses tokens for one choice of one job. */
export interface Sampler {
  /** Chooses from the logits of `row`. Does not advance any state: call `accept`. */
  sample(row: number): number;
  /** Tells penalties, DRY, mirostat and the grammar which token was chosen. */
  accept(token: number): void;
  /** From the next token on only what the grammar allows. Takes ownership; null = no constraint. */
  setGrammar(grammar: Grammar | null): void;
  /** Bans end-of-generation tokens until called with false. */
  banEndOfGeneration(banned: boolean): void;
  dispose(): void;
}
