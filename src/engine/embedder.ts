import { assert } from "../lib/assert.ts";
import { LmError } from "../lib/errors.ts";
import type { ModelContext, Vocabulary } from "../llama/backend.ts";
import type { EmbedInput } from "../protocol/commands.ts";
import type { JobEvent } from "../protocol/events.ts";
import { failureEvent } from "./failure.ts";
import { checkedTokens } from "./prompt-tokens.ts";
import type { ThreadGovernor } from "./thread-governor.ts";

interface EmbedItem {
  readonly job: EmbedJob;
  readonly index: number;
  readonly tokens: Int32Array;
  /** Its vector was not finite in a batch with others. */
  isRetry: boolean;
}

interface EmbedJob {
  readonly id: number;
  readonly vectors: string[];
  missing: number;
  tokens: number;
}

/** Packs many inputs into each decode of an `embed` context, which it owns. */
export class Embedder {
  readonly #createContext: () => ModelContext;
  readonly #vocabulary: Vocabulary;
  readonly #emit: (event: JobEvent) => void;
  readonly #jobs = new Map<number, EmbedJob>();
  readonly #governor: ThreadGovernor | null;
  #queue: EmbedItem[] = [];
  #context: ModelContext | null = null;

  /**
   * @param createContext called at the first input.
   * @param governor null = the context's threads stay as they are.
   */
  constructor(
    createContext: () => ModelContext,
    vocabulary: Vocabulary,
    emit: (event: JobEvent) => void,
    governor: ThreadGovernor | null = null,
  ) {
    this.#governor = governor;
    this.#createContext = createContext;
    this.#vocabulary = vocabulary;
    this.#emit = emit;
  }

  get isIdle(): boolean {
    return this.#jobs.size === 0;
  }

  get queued(): number {
    return this.#jobs.size;
  }

  /** @throws LmError invalid_request, context_length_exceeded naming the input. */
  submit(jobId: number, inputs: readonly EmbedInput[]): void {
    const context = (this.#context ??= this.#createContext());
    const limit = Math.min(context.contextLength, context.batch.capacity);
    const job: EmbedJob = { id: jobId, vectors: [], missing: inputs.length, tokens: 0 };
    const items = inputs.map((input, index): EmbedItem => {
      const tokens = this.#tokenize(input, index);
      if (tokens.length > limit) throw tooLong(index, tokens.length, limit);
      job.tokens += tokens.length;
      return { job, index, tokens, isRetry: false };
    });
    this.#jobs.set(jobId, job);
    this.#queue.push(...items);
  }

  cancel(jobId: number): "queue" | null {
    const job = this.#jobs.get(jobId);
    if (job === undefined) return null;
    this.#drop(job);
    return "queue";
  }

  /**
   * At most one decode, of about `maxTokens`: one input is never split.
   * @returns tokens computed.
   */
  step(maxTokens: number): number {
    const context = this.#context;
    const items = context === null ? [] : this.#take(context, maxTokens);
    if (context === null || items.length === 0) return 0;
    const { batch } = context;
    batch.clear();
    for (const [sequence, { tokens }] of items.entries()) {
      for (const [position, token] of tokens.entries()) batch.add(token, position, sequence, true);
    }
    const result = this.#governor?.decode(context) ?? context.decode();
    assert(result === "ok", "an embedding batch fits its context");
    for (const [sequence, item] of items.entries()) {
      this.#settle(item, normalise(context.embedding(sequence)), items.length === 1);
      context.removeSequence(sequence, 0, -1);
    }
    return batch.length;
  }

  dispose(): void {
    this.#jobs.clear();
    this.#queue = [];
    this.#context?.dispose();
    this.#context = null;
  }

  #take(context: ModelContext, maxTokens: number): EmbedItem[] {
    const capacity = Math.min(context.contextLength, context.batch.capacity);
    let tokens = 0;
    let count = 0;
    for (const item of this.#queue) {
      const fits = tokens + item.tokens.length <= Math.min(capacity, maxTokens);
      if (count > 0 && (!fits || count === context.sequences || item.isRetry)) break;
      tokens += item.tokens.length;
      count++;
      if (item.isRetry) break;
    }
    return this.#queue.splice(0, count);
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

  #tokenize(input: EmbedInput, index: number): Int32Array {
    if (typeof input !== "string") return checkedTokens(input, this.#vocabulary, `input[${index}]`);
    const tokens = this.#vocabulary.tokenize(input, true, true);
    return tokens.length > 0 ? tokens : checkedTokens([], this.#vocabulary, `input[${index}]`);
  }
}

function tooLong(index: number, promptTokens: number, contextLength: number): LmError {
  const param = `input[${index}]`;
  return new LmError(
    "context_length_exceeded",
    { promptTokens, contextLength, param },
    `'${param}' has ${promptTokens} tokens; the model reads at most ${contextLength} at once`,
  );
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
