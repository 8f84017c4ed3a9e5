import { assert, defined } from "../lib/assert.ts";
import { LmError } from "../lib/errors.ts";
import type { ModelContext, Vocabulary } from "../llama/backend.ts";
import type { EmbedInput } from "../protocol/commands.ts";
import type { JobEvent } from "../protocol/events.ts";
import { failureEvent } from "./failure.ts";
import { inputTokens } from "./prompt-tokens.ts";
import type { ThreadGovernor } from "./thread-governor.ts";

/** Length of a decode beside running streams, which wait for it. */
const BESIDE_STREAMS_MS = 50;
/** The same when nobody streams: the time until a cancel or a newcomer is noticed. */
const ALONE_MS = 1_000;
/** Tokens of the first decode, before anything was measured. */
const FIRST_TOKENS = 256;

interface EmbedItem {
  readonly job: EmbedJob;
  readonly index: number;
  readonly input: EmbedInput;
  /** null until its turn is near: reading many long texts at once would stall the streams. */
  tokens: Int32Array | null;
  /** Its vector was not finite in a batch with others. */
  isRetry: boolean;
}

interface EmbedJob {
  readonly id: number;
  readonly vectors: string[];
  missing: number;
  tokens: number;
}

export interface EmbedderOptions {
  /** Absent or null = the context's threads stay as they are. */
  governor?: ThreadGovernor | null;
  /**
   * Most tokens of inputs that share a decode: each looks at all of them, if only to find that they are
   * not its own. Absent = as many as the context takes.
   */
  packedTokens?: number;
}

/** Packs many inputs into each decode of an `embed` context, which it owns. */
export class Embedder {
  readonly #createContext: () => ModelContext;
  readonly #vocabulary: Vocabulary;
  readonly #emit: (event: JobEvent) => void;
  readonly #jobs = new Map<number, EmbedJob>();
  readonly #governor: ThreadGovernor | null;
  readonly #packedTokens: number;
  #queue: EmbedItem[] = [];
  #context: ModelContext | null = null;
  #tokenMs: number | null = null;

  /**
   * @param context its own from now on; a function is called at the first input.
   */
  constructor(
    context: ModelContext | (() => ModelContext),
    vocabulary: Vocabulary,
    emit: (event: JobEvent) => void,
    { governor = null, packedTokens = Infinity }: EmbedderOptions = {},
  ) {
    this.#governor = governor;
    this.#packedTokens = packedTokens;
    this.#context = typeof context === "function" ? null : context;
    this.#createContext = typeof context === "function" ? context : () => context;
    this.#vocabulary = vocabulary;
    this.#emit = emit;
  }

  get isIdle(): boolean {
    return this.#jobs.size === 0;
  }

  get queued(): number {
    return this.#jobs.size;
  }

  /**
   * Queues a job. An input that cannot be read fails the job when its turn comes.
   * @throws LmError when the context cannot be made.
   */
  submit(jobId: number, inputs: readonly EmbedInput[]): void {
    this.#context ??= this.#createContext();
    const job: EmbedJob = { id: jobId, vectors: [], missing: inputs.length, tokens: 0 };
    this.#jobs.set(jobId, job);
    for (const [index, input] of inputs.entries()) {
      this.#queue.push({ job, index, input, tokens: null, isRetry: false });
    }
  }

  cancel(jobId: number): "queue" | null {
    const job = this.#jobs.get(jobId);
    if (job === undefined) return null;
    this.#drop(job);
    return "queue";
  }

  /**
   * At most one decode; beside streams a short one, but one input is never split.
   * @returns whether there was one.
   */
  step(isBesideStreams: boolean): boolean {
    const context = this.#context;
    if (context === null || this.#queue.length === 0) return false;
    const targetMs = isBesideStreams ? BESIDE_STREAMS_MS : ALONE_MS;
    const allowance = this.#tokenMs === null ? FIRST_TOKENS : targetMs / this.#tokenMs;
    const items = this.#take(context, allowance);
    if (items.length === 0) return false;
    const { batch } = context;
    batch.clear();
    for (const [sequence, { tokens }] of items.entries()) {
      for (const [position, token] of defined(tokens, "a taken input is read").entries()) {
        batch.add(token, position, sequence, true);
      }
    }
    const startMs = performance.now();
    const result = this.#governor?.decode(context) ?? context.decode();
    assert(result === "ok", "an embedding batch fits its context");
    this.#tokenMs = (performance.now() - startMs) / batch.length;
    for (const [sequence, item] of items.entries()) {
      this.#settle(item, normalise(context.embedding(sequence)), items.length === 1);
      context.removeSequence(sequence, 0, -1);
    }
    return true;
  }

  dispose(): void {
    this.#jobs.clear();
    this.#queue = [];
    this.#context?.dispose();
    this.#context = null;
  }

  #take(context: ModelContext, allowance: number): EmbedItem[] {
    const limit = Math.min(context.contextLength, context.batch.capacity);
    const most = Math.min(limit, allowance, this.#packedTokens);
    let total = 0;
    let count = 0;
    for (const item of this.#queue) {
      if (count > 0 && (count === context.sequences || item.isRetry)) break;
      const length = this.#read(item, limit);
      // The queue has changed: its job is gone.
      if (length === null) return this.#take(context, allowance);
      if (count > 0 && total + length > most) break;
      total += length;
      count++;
      if (item.isRetry) break;
    }
    return this.#queue.splice(0, count);
  }

  /** Tokens of the input; null when it cannot be read and its job has failed of it. */
  #read(item: EmbedItem, limit: number): number | null {
    if (item.tokens !== null) return item.tokens.length;
    const { job, index, input } = item;
    try {
      item.tokens = inputTokens(input, this.#vocabulary, limit, `input[${index}]`);
      job.tokens += item.tokens.length;
      return item.tokens.length;
    } catch (error) {
      if (!(error instanceof LmError)) throw error;
      this.#emit(failureEvent(job.id, error));
      this.#drop(job);
      return null;
    }
  }

  #settle(item: EmbedItem, vector: Float32Array | null, wasAlone: boolean): void {
    const { job } = item;
    if (!this.#jobs.has(job.id)) return;
    if (vector === null && !wasAlone) {
      item.isRetry = true;
      this.#queue.unshift(item);
    } else if (vector === null) {
      const message = `The model gives no usable embedding for input[${item.index}]`;
      this.#emit(failureEvent(job.id, new LmError("internal", {}, message)));
      this.#drop(job);
    } else {
      job.vectors[item.index] = encodeVector(vector);
      job.missing--;
      if (job.missing > 0) return;
      this.#jobs.delete(job.id);
      const { id, vectors, tokens } = job;
      this.#emit({ type: "embedded", jobId: id, vectors, tokens });
    }
  }

  #drop(job: EmbedJob): void {
    this.#jobs.delete(job.id);
    this.#queue = this.#queue.filter((item) => item.job !== job);
  }
}

/** The vector at length 1, or null when it is zero or not finite. */
export function normalise(vector: Float32Array): Float32Array | null {
  let sum = 0;
  for (const value of vector) sum += value * value;
  const length = Math.sqrt(sum);
  return Number.isFinite(length) && length > 0 ? vector.map((value) => value / length) : null;
}

/** Base64 of little-endian float32. */
export function encodeVector(vector: Float32Array): string {
  const bytes = new DataView(new ArrayBuffer(vector.length * 4));
  for (const [index, value] of vector.entries()) bytes.setFloat32(index * 4, value, true);
  return Buffer.from(bytes.buffer).toString("base64");
}
