import { assert } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import { LmError } from "../lib/errors.ts";
import type { ModelContext, Vocabulary } from "../llama/backend.ts";
import type { EmbedInput } from "../protocol/commands.ts";
import type { JobEvent } from "../protocol/events.ts";
import { EmbedLanes } from "./embed-lanes.ts";
import {
  type EmbedItem,
  type EmbedJob,
  EmbedQueue,
  type EmbedRoom,
  fillBatch,
} from "./embed-queue.ts";
import { failureEvent } from "./failure.ts";
import type { ThreadGovernor } from "./thread-governor.ts";

/** Length of a decode beside running streams, which wait for it. */
const BESIDE_STREAMS_MS = 50;
/** The same when nobody streams: the time until a cancel or a newcomer is noticed. */
const ALONE_MS = 1_000;
/** Tokens of the first decode, before anything was measured. */
const FIRST_TOKENS = 256;
/** Longest decode of a lane: a text that takes its few threads longer gets all of them. */
const LANE_MS = 5_000;
/** Most tokens of a text in a lane, before anything was measured. */
const FIRST_LANE_TOKENS = 512;
/** Rows that llama.cpp's attention computes together on a CPU, with far fewer of them at the same cost. */
const ATTENTION_TILE = 64;
/** Least tokens of a lane's decode, as far as there are inputs. */
const LANE_TOKENS = 2 * ATTENTION_TILE;

export interface EmbedderOptions {
  clock: Clock;
  /** Absent or null = the context's threads stay as they are. */
  governor?: ThreadGovernor | null;
  /**
   * Most tokens of inputs that share a decode: each looks at all of them, if only to find that they are
   * not its own. Absent = as many as the context takes.
   */
  packedTokens?: number;
  /** Contexts for as many inputs or more, which compute side by side; absent or null = none. */
  lanes?: LanesOptions | null;
}

export interface LanesOptions {
  count: number;
  /** Of the same shape as the embedder's own. @throws LmError when it cannot be made. */
  createContext: () => ModelContext;
  /** Called when a decode of a lane has ended, for the next `step`. */
  onEnd: () => void;
}

/**
 * Packs inputs into decodes of an `embed` context, which it owns; many are given to lanes, which compute
 * side by side.
 */
export class Embedder {
  readonly #createContext: () => ModelContext;
  readonly #emit: (event: JobEvent) => void;
  readonly #jobs = new Map<number, EmbedJob>();
  readonly #queue: EmbedQueue;
  readonly #clock: Clock;
  readonly #governor: ThreadGovernor | null;
  readonly #packedTokens: number;
  /** null = there are none, or they could not be made. */
  #lanesOptions: LanesOptions | null;
  #lanes: EmbedLanes | null = null;
  #context: ModelContext | null = null;
  #tokenMs: number | null = null;
  #laneTokenMs: number | null = null;
  /** The next input is too long for a lane: it waits until all of them are free. */
  #isDraining = false;

  /**
   * @param context its own from now on; a function is called at the first input.
   */
  constructor(
    context: ModelContext | (() => ModelContext),
    vocabulary: Vocabulary,
    emit: (event: JobEvent) => void,
    { clock, governor = null, packedTokens = Infinity, lanes = null }: EmbedderOptions,
  ) {
    this.#clock = clock;
    this.#governor = governor;
    this.#packedTokens = packedTokens;
    this.#lanesOptions = lanes;
    this.#context = typeof context === "function" ? null : context;
    this.#createContext = typeof context === "function" ? context : () => context;
    this.#emit = emit;
    this.#queue = new EmbedQueue(vocabulary, (job, error) => {
      this.#jobs.delete(job.id);
      this.#emit(failureEvent(job.id, error));
    });
  }

  get isIdle(): boolean {
    return this.#jobs.size === 0;
  }

  /** Until a lane's decode has ended there is nothing for `step` to do. */
  get isWaiting(): boolean {
    const lanes = this.#lanes;
    if (lanes === null || !lanes.isBusy || lanes.hasEnded) return false;
    return this.#queue.length === 0 || lanes.free === null || this.#isDraining;
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
    this.#queue.add(job, inputs);
    this.#isDraining = false;
  }

  cancel(jobId: number): "queue" | null {
    const job = this.#jobs.get(jobId);
    if (job === undefined) return null;
    this.#drop(job);
    return "queue";
  }

  /**
   * At most one decode, beside streams a short one, but one input is never split; or what lanes have
   * computed, and new work for those that are free.
   * @returns whether there was something.
   */
  step(isBesideStreams: boolean): boolean {
    const context = this.#context;
    if (context === null) return false;
    const hasCollected = this.#collect();
    const lanes = this.#lanesForQueue();
    const hasStarted = lanes !== null && this.#startLanes(lanes);
    if (hasStarted || lanes?.isBusy === true) return hasStarted || hasCollected;
    return this.#decode(context, isBesideStreams) || hasCollected;
  }

  /** Before `dispose`: until no lane computes. */
  async rest(): Promise<void> {
    await this.#lanes?.rest();
  }

  dispose(): void {
    for (const job of this.#jobs.values()) this.#drop(job);
    this.#lanes?.dispose();
    this.#context?.dispose();
    this.#lanes = this.#context = null;
  }

  /** The lanes, when they are at work or have enough of it. */
  #lanesForQueue(): EmbedLanes | null {
    if (this.#lanes?.isBusy === true) return this.#lanes;
    const options = this.#lanesOptions;
    if (options === null || this.#queue.length < options.count) return null;
    this.#lanes ??= this.#createLanes(options);
    return this.#lanes;
  }

  /** null when there is no memory for them: one context then does all the work. */
  #createLanes({ count, createContext, onEnd }: LanesOptions): EmbedLanes | null {
    const contexts: ModelContext[] = [];
    try {
      while (contexts.length < count) contexts.push(createContext());
      return new EmbedLanes(contexts, this.#clock, onEnd);
    } catch (error) {
      if (!(error instanceof LmError)) throw error;
      for (const context of contexts) context.dispose();
      this.#lanesOptions = null;
      return null;
    }
  }

  #startLanes(lanes: EmbedLanes): boolean {
    let hasStarted = false;
    const first = this.#laneTokenMs === null ? FIRST_LANE_TOKENS : LANE_MS / this.#laneTokenMs;
    for (let context = lanes.free; context !== null; context = lanes.free) {
      const items = this.#queue.take({
        ...this.#room(context, ALONE_MS, this.#laneTokenMs),
        first,
        fill: (length) =>
          Math.max(Math.ceil(length / ATTENTION_TILE) * ATTENTION_TILE, LANE_TOKENS),
      });
      if (items.length === 0) break;
      lanes.start(context, items);
      hasStarted = true;
    }
    this.#isDraining = lanes.free !== null && this.#queue.length > 0;
    return hasStarted;
  }

  #collect(): boolean {
    const results = this.#lanes?.collect() ?? [];
    for (const { context, items, ms } of results) {
      this.#laneTokenMs = ms / context.batch.length;
      this.#settleAll(context, items);
    }
    return results.length > 0;
  }

  #decode(context: ModelContext, isBesideStreams: boolean): boolean {
    const targetMs = isBesideStreams ? BESIDE_STREAMS_MS : ALONE_MS;
    const room = this.#room(context, targetMs, this.#tokenMs);
    const items = this.#queue.take({ ...room, fill: () => this.#packedTokens });
    if (items.length === 0) return false;
    fillBatch(context, items);
    const startMs = this.#clock.monotonicMs();
    const result = this.#governor?.decode(context) ?? context.decode();
    assert(result === "ok", "an embedding batch fits its context");
    this.#tokenMs = (this.#clock.monotonicMs() - startMs) / context.batch.length;
    this.#settleAll(context, items);
    return true;
  }

  #room(context: ModelContext, targetMs: number, tokenMs: number | null): Omit<EmbedRoom, "fill"> {
    const longest = Math.min(context.contextLength, context.batch.capacity);
    const allowance = tokenMs === null ? FIRST_TOKENS : targetMs / tokenMs;
    return { longest, most: Math.min(longest, allowance), sequences: context.sequences };
  }

  /** Takes the vectors of a decode, and frees its sequences. */
  #settleAll(context: ModelContext, items: readonly EmbedItem[]): void {
    for (const [sequence, item] of items.entries()) {
      this.#settle(item, normalise(context.embedding(sequence)), items.length === 1);
      context.removeSequence(sequence, 0, -1);
    }
  }

  #settle(item: EmbedItem, vector: Float32Array | null, wasAlone: boolean): void {
    const { job } = item;
    if (!this.#jobs.has(job.id)) return;
    if (vector === null && !wasAlone) {
      this.#queue.retry(item);
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
    this.#queue.drop(job);
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
