import { assert, defined } from "../../src/lib/assert.ts";
import { LmError } from "../../src/lib/errors.ts";
import type {
  Backend,
  Batch,
  ContextOptions,
  Device,
  Grammar,
  Model,
  ModelContext,
  ModelFacts,
  ModelOptions,
} from "../../src/llama/backend.ts";
import type { Sampling } from "../../src/protocol/sampling.ts";
import { FakeGrammar } from "./fake-grammar.ts";
import { Lifetime, mix } from "./fake-lifetime.ts";
import { FakeSampler } from "./fake-sampler.ts";
import { FakeVocabulary } from "./fake-vocabulary.ts";

/** Named points at which a test can look, wait or fail; `count` numbers the visits from 1. */
export type Gate = (
  point: "load.start" | "load.half" | "decode.step" | "embed.step" | "sample" | "unload",
  count: number,
) => void;

export interface FakeOptions {
  facts?: Partial<ModelFacts>;
  gate?: Gate;
  /** The token that must follow `tokens`, or null to let the hash decide. */
  next?: (tokens: readonly number[]) => number | null;
  /** Finds no cells at this attempt, numbered from 1, though there are some. */
  isFull?: (attempt: number) => boolean;
  /** Milliseconds of work per decode, spent for real. */
  decodeMs?: (tokens: number) => number;
  /** Least length of the reason for which a corrupt file is refused; absent = 0. */
  reasonBytes?: number;
  /** How long a decode apart takes; absent = a turn of the loop. */
  apart?: (context: FakeContext) => Promise<void>;
  /** Replaces an embedding; for vectors that are not finite. */
  embed?: (tokens: readonly number[], inBatch: number) => Float32Array | null;
}

/** One token in the KV cache; sequences that share a prefix share its cells. */
interface Cell {
  readonly token: number;
  readonly position: number;
  readonly before: Cell | null;
  /** Of all tokens up to this one: the logits follow from it alone. */
  readonly hash: number;
  readonly sequences: Set<number>;
}

/**
 * A backend without a native library. Logits are a pure function of a sequence's tokens, cells are
 * counted and shared like llama.cpp's unified KV cache, and every misuse is an AssertionError.
 */
export class FakeBackend implements Backend {
  readonly #options: FakeOptions;
  readonly models: FakeModel[] = [];

  constructor(options: FakeOptions = {}) {
    this.#options = options;
  }

  loadModel(options: ModelOptions, onProgress: (fraction: number) => void): FakeModel {
    this.#options.gate?.("load.start", 1);
    if (options.path.includes("corrupt")) {
      const reason = "fake: the file is not a model".padEnd(this.#options.reasonBytes ?? 0);
      throw new LmError("invalid_file", { path: options.path, reason }, reason);
    }
    onProgress(0.5);
    this.#options.gate?.("load.half", 1);
    onProgress(1);
    const model = new FakeModel(this.#options);
    this.models.push(model);
    return model;
  }

  devices(): readonly Device[] {
    const memory = { freeBytes: 0, totalBytes: 0 };
    return [{ name: "CPU", description: "no hardware at all", isGpu: false, ...memory }];
  }
}

export class FakeModel implements Model {
  readonly facts: ModelFacts;
  readonly vocabulary = new FakeVocabulary();
  readonly options: FakeOptions;
  readonly contexts: FakeContext[] = [];
  readonly #lifetime = new Lifetime("model");

  constructor(options: FakeOptions) {
    this.options = options;
    this.facts = {
      architecture: "fake",
      trainContextLength: 4096,
      embeddingSize: 16,
      gpuLayers: 0,
      sizeBytes: 0,
      hasEncoder: false,
      hasDecoder: true,
      isRecurrent: false,
      isHybrid: false,
      slidingWindow: 0,
      devices: ["CPU"],
      ...options.facts,
    };
  }

  metadata(): ReadonlyMap<string, string> {
    return new Map([["general.architecture", "fake"]]);
  }

  readonly adapters: string[] = [];

  loadAdapter(path: string): void {
    this.#lifetime.check();
    if (path.includes("corrupt")) {
      const reason = "fake: the file is not an adapter";
      throw new LmError("invalid_file", { path, reason }, reason);
    }
    this.adapters.push(path);
  }

  createContext(options: ContextOptions): FakeContext {
    this.#lifetime.check();
    const context = new FakeContext(this, options);
    this.contexts.push(context);
    return context;
  }

  createGrammar(gbnf: string): Grammar {
    this.#lifetime.check();
    return new FakeGrammar(gbnf);
  }

  dispose(): void {
    assert(
      this.contexts.every((context) => context.isDisposed),
      "a model outlives its contexts",
    );
    this.options.gate?.("unload", 1);
    this.#lifetime.end();
  }
}

interface Entry {
  token: number;
  position: number;
  sequence: number;
  output: boolean;
}

class FakeBatch implements Batch {
  readonly entries: Entry[] = [];
  readonly capacity: number;
  readonly #sequences: number;
  readonly #vocabularySize: number;

  constructor(options: ContextOptions, vocabularySize: number) {
    this.capacity = options.batchCapacity;
    this.#sequences = options.sequences;
    this.#vocabularySize = vocabularySize;
  }

  get length(): number {
    return this.entries.length;
  }

  clear(): void {
    this.entries.length = 0;
  }

  add(token: number, position: number, sequence: number, output: boolean): number {
    assert(this.entries.length < this.capacity, "the batch is full");
    assert(token >= 0 && token < this.#vocabularySize, `token ${token} is outside the vocabulary`);
    assert(sequence >= 0 && sequence < this.#sequences, `no sequence ${sequence}`);
    this.entries.push({ token, position, sequence, output });
    return this.entries.length - 1;
  }
}

export class FakeContext implements ModelContext {
  readonly model: FakeModel;
  readonly contextLength: number;
  readonly sequences: number;
  readonly batch: FakeBatch;
  readonly memory = { modelBytes: 0, kvBytes: 0, computeBytes: 0 };
  readonly #purpose: ContextOptions["purpose"];
  readonly #mostThreads: number;
  readonly #lifetime = new Lifetime("context");
  /** Last cell of each sequence. */
  readonly #tails = new Map<number, Cell>();
  readonly #liveSamplers = new Set<FakeSampler>();
  #rows: (Cell | null)[] = [];
  #used = 0;
  #decodes = 0;
  #attempts = 0;
  /** Of the adapters in use; each cell's hash, and so its logits, follow from it. */
  #adapters = 0;
  /** Tokens of each decode, for tests that look at batches. */
  readonly history: { tokens: number; sequences: number[] }[] = [];
  isDisposed = false;
  /** Computes on a thread that is pretended. */
  isApart = false;

  constructor(model: FakeModel, options: ContextOptions) {
    this.model = model;
    this.contextLength = options.contextLength;
    this.sequences = options.sequences;
    this.#purpose = options.purpose;
    this.#mostThreads = options.threads;
    this.batch = new FakeBatch(options, model.vocabulary.size);
  }

  get usedCells(): number {
    return this.#used;
  }

  get liveSamplers(): number {
    return this.#liveSamplers.size;
  }

  decode(): "ok" | "full" {
    this.#check();
    const { entries } = this.batch;
    assert(entries.length > 0, "a decode needs tokens");
    if (this.#used + entries.length > this.contextLength) return "full";
    if (this.model.options.isFull?.(++this.#attempts) === true) return "full";
    const point = this.#purpose === "embed" ? "embed.step" : "decode.step";
    this.model.options.gate?.(point, ++this.#decodes);
    const workMs = this.model.options.decodeMs?.(entries.length) ?? 0;
    if (workMs > 0) Bun.sleepSync(workMs);
    this.#rows = entries.map((entry) => this.#append(entry));
    const sequences = entries.map((entry) => entry.sequence);
    this.history.push({ tokens: entries.length, sequences: [...new Set(sequences)] });
    return "ok";
  }

  async decodeApart(): Promise<"ok" | "full"> {
    this.#check();
    this.isApart = true;
    await (this.model.options.apart?.(this) ?? Bun.sleep(0));
    this.isApart = false;
    return this.decode();
  }

  logits(row: number): Float32Array {
    this.#lifetime.check();
    const cell = defined(this.#rows[row], `row ${row} has no output`);
    const logits = new Float32Array(this.model.vocabulary.size);
    for (let token = 0; token < logits.length; token++) {
      // Mostly small letters, so that texts are readable and some end by themselves.
      const isLetter = token >= 97 && token < 123;
      const isEnd = token === this.model.vocabulary.eos;
      logits[token] = (mix(cell.hash, token) % 1024) / 256 + (isLetter ? 3 : isEnd ? 1.5 : 0);
    }
    const forced = this.model.options.next?.(tokensOf(cell)) ?? null;
    if (forced !== null) logits[forced] = 20;
    return logits;
  }

  embedding(sequence: number): Float32Array {
    this.#check();
    assert(this.#purpose === "embed", "only an embedding context has embeddings");
    const cell = defined(this.#tails.get(sequence), `sequence ${sequence} is empty`);
    const replaced = this.model.options.embed?.(tokensOf(cell), this.#tails.size);
    if (replaced) return replaced;
    const size = this.model.facts.embeddingSize;
    return Float32Array.from({ length: size }, (_, i) => (mix(cell.hash, i) % 2001) / 1000 - 1);
  }

  setThreads(threads: number): void {
    this.#lifetime.check();
    assert(threads >= 1 && threads <= this.#mostThreads, `there are no ${threads} threads`);
  }

  setAdapters(scales: readonly number[]): void {
    this.#lifetime.check();
    assert(scales.length <= this.model.adapters.length, "only adapters that were read can be used");
    const bits = scales.map((scale) => Math.round(scale * 1000));
    this.#adapters = bits.every((scale) => scale === 0) ? 0 : bits.reduce(mix, 1);
  }

  copySequence(from: number, to: number, end: number): void {
    this.#lifetime.check();
    assert(from !== to && !this.#tails.has(to), "a copy goes to an empty sequence");
    if (this.#isWholeOnly && (this.#tails.get(from)?.position ?? -1) !== end - 1) return;
    let cell = this.#tails.get(from) ?? null;
    while (cell !== null && cell.position >= end) cell = cell.before;
    if (cell === null) return;
    this.#tails.set(to, cell);
    for (let each: Cell | null = cell; each !== null; each = each.before) each.sequences.add(to);
  }

  removeSequence(sequence: number, start: number, end: number): boolean {
    this.#lifetime.check();
    const tail = this.#tails.get(sequence) ?? null;
    if (tail === null) return true;
    const isToEnd = end < 0 || end > tail.position;
    assert(isToEnd, "the fake removes ends only");
    if (start > 0 && start <= tail.position && this.#isWholeOnly) return false;
    let cell: Cell | null = tail;
    for (; cell !== null && cell.position >= start; cell = cell.before) {
      cell.sequences.delete(sequence);
      if (cell.sequences.size === 0) this.#used--;
    }
    if (cell === null) this.#tails.delete(sequence);
    else this.#tails.set(sequence, cell);
    return true;
  }

  lastPosition(sequence: number): number {
    this.#lifetime.check();
    return this.#tails.get(sequence)?.position ?? -1;
  }

  saveSequence(sequence: number): Uint8Array {
    this.#lifetime.check();
    const tail = this.#tails.get(sequence);
    const tokens = tail === undefined ? [] : tokensOf(tail);
    return new TextEncoder().encode(JSON.stringify({ fake: 1, tokens }));
  }

  restoreSequence(sequence: number, state: Uint8Array): boolean {
    this.#lifetime.check();
    this.removeSequence(sequence, 0, -1);
    const tokens = readState(state);
    if (tokens === null || this.#used + tokens.length > this.contextLength) return false;
    for (const [position, token] of tokens.entries()) {
      this.#append({ token, position, sequence, output: false });
    }
    return true;
  }

  saveRange(sequence: number, start: number, end: number, scratch: number): Uint8Array {
    this.#lifetime.check();
    assert(!this.#isWholeOnly, "this memory cannot be cut");
    assert(!this.#tails.has(scratch), "the scratch sequence is empty");
    const tail = this.#tails.get(sequence);
    const tokens = tail === undefined ? [] : tokensOf(tail).slice(start, end);
    assert(start < end && tokens.length === end - start, "a saved range is there");
    return new TextEncoder().encode(JSON.stringify({ fake: 1, tokens }));
  }

  restoreRange(sequence: number, length: number, state: Uint8Array, scratch: number): boolean {
    this.#lifetime.check();
    assert(!this.#isWholeOnly, "this memory cannot be cut");
    assert(!this.#tails.has(scratch), "the scratch sequence is empty");
    const tokens = readState(state);
    if (tokens?.length !== length || this.#used + length > this.contextLength) return false;
    const first = this.lastPosition(sequence) + 1;
    for (const [index, token] of tokens.entries()) {
      this.#append({ token, position: first + index, sequence, output: false });
    }
    return true;
  }

  createSampler(sampling: Sampling, choice: number, history: Int32Array): FakeSampler {
    this.#lifetime.check();
    assert(history instanceof Int32Array, "history is a list of tokens");
    const host = {
      vocabulary: this.model.vocabulary,
      logits: (row: number) => this.logits(row),
      onSample: (count: number) => this.model.options.gate?.("sample", count),
    };
    const sampler: FakeSampler = new FakeSampler(host, sampling, choice, () =>
      this.#liveSamplers.delete(sampler),
    );
    this.#liveSamplers.add(sampler);
    return sampler;
  }

  dispose(): void {
    this.#check();
    assert(this.#liveSamplers.size === 0, "a context outlives its samplers");
    this.#lifetime.end();
    this.isDisposed = true;
  }

  #check(): void {
    this.#lifetime.check();
    assert(!this.isApart, "a context that computes apart is left alone");
  }

  get #isWholeOnly(): boolean {
    return this.model.facts.isRecurrent || this.model.facts.isHybrid;
  }

  #append({ token, position, sequence, output }: Entry): Cell | null {
    const before = this.#tails.get(sequence) ?? null;
    assert(
      position === (before?.position ?? -1) + 1,
      `sequence ${sequence} continues at ${(before?.position ?? -1) + 1}, not at ${position}`,
    );
    const base = mix(before?.hash ?? 1, token);
    const hash = this.#adapters === 0 ? base : mix(base, this.#adapters);
    const cell = { token, position, before, hash, sequences: new Set([sequence]) };
    this.#used++;
    this.#tails.set(sequence, cell);
    return output ? cell : null;
  }
}

function tokensOf(tail: Cell): number[] {
  const tokens: number[] = [];
  for (let cell: Cell | null = tail; cell !== null; cell = cell.before) tokens.push(cell.token);
  return tokens.toReversed();
}

function readState(state: Uint8Array): number[] | null {
  const text = new TextDecoder().decode(state);
  if (!text.startsWith('{"fake":1,') || !text.endsWith("}")) return null;
  return (JSON.parse(text) as { tokens: number[] }).tokens;
}
