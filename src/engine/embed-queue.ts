import { defined } from "../lib/assert.ts";
import { LmError } from "../lib/errors.ts";
import type { ModelContext, Vocabulary } from "../llama/backend.ts";
import type { EmbedInput } from "../protocol/commands.ts";
import { inputTokens } from "./prompt-tokens.ts";

/** Characters that are read for one decode beyond its first input: a few milliseconds of work. */
const READ_AHEAD = 16_384;
/** Of a token, roughly; for the order of inputs that are not read yet. */
const TOKEN_CHARACTERS = 4;

export interface EmbedItem {
  readonly job: EmbedJob;
  readonly index: number;
  readonly input: EmbedInput;
  /** null until its turn is near: reading many long texts at once would stall the streams. */
  tokens: Int32Array | null;
}

export interface EmbedJob {
  readonly id: number;
  readonly vectors: string[];
  missing: number;
  tokens: number;
}

/** What one decode has room for. */
export interface EmbedRoom {
  /** Tokens of the longest input; a longer one is refused. */
  longest: number;
  /** Most tokens in all, unless the first input alone has more. */
  most: number;
  /** Most tokens of the first input; while it has more, nothing is taken. Absent = as many as `longest`. */
  first?: number;
  /** Most inputs. */
  sequences: number;
  /** The tokens that a decode should have whose first input has `first`. */
  fill: (first: number) => number;
}

/**
 * Inputs that wait. Jobs take turns, so that a short one does not wait for thousands of texts; within a
 * job the longest comes first, and the shortest fill what is left of a decode or end it early.
 */
export class EmbedQueue {
  readonly #vocabulary: Vocabulary;
  readonly #onUnreadable: (job: EmbedJob, error: LmError) => void;
  /** Of each job, in the order of their turns; none is empty. */
  readonly #waiting = new Map<EmbedJob, EmbedItem[]>();
  /** Inputs that failed beside others: each has the next decode for itself. */
  #retries: EmbedItem[] = [];

  /** @param onUnreadable told of an input that cannot be embedded; its job is no longer in the queue. */
  constructor(vocabulary: Vocabulary, onUnreadable: (job: EmbedJob, error: LmError) => void) {
    this.#vocabulary = vocabulary;
    this.#onUnreadable = onUnreadable;
  }

  get length(): number {
    let length = this.#retries.length;
    for (const items of this.#waiting.values()) length += items.length;
    return length;
  }

  add(job: EmbedJob, inputs: readonly EmbedInput[]): void {
    const items = inputs.map((input, index) => ({ job, index, input, tokens: null }));
    if (items.length === 0) return;
    this.#waiting.set(
      job,
      items.toSorted((one, other) => charactersOf(other.input) - charactersOf(one.input)),
    );
  }

  retry(item: EmbedItem): void {
    this.#retries.push(item);
  }

  drop(job: EmbedJob): void {
    this.#waiting.delete(job);
    this.#retries = this.#retries.filter((item) => item.job !== job);
  }

  /** The inputs of the next decode; none when the queue is empty or the first has more than `room.first`. */
  take(room: EmbedRoom): EmbedItem[] {
    const again = this.#retries.shift();
    if (again !== undefined) return [again];
    for (const [job, items] of this.#waiting) {
      const first = defined(items[0], "a waiting job has inputs");
      const length = this.#read(first, room.longest);
      if (length === null) continue;
      // Others do not pass it: it would wait for ever.
      if (length > (room.first ?? Infinity)) return [];
      this.#waiting.delete(job);
      this.#waiting.set(job, items);
      return this.#fill(first, Math.min(room.fill(length), room.most) - length, room);
    }
    return [];
  }

  /** Adds what fits beside the first input, and takes all of them out of the queue. */
  #fill(first: EmbedItem, free: number, { longest, sequences }: EmbedRoom): EmbedItem[] {
    const taken = new Set([first]);
    let left = free;
    let characters = READ_AHEAD;
    for (const items of this.#waiting.values()) {
      for (const item of items) {
        if (left <= 0 || taken.size === sequences) break;
        if (taken.has(item)) continue;
        if (item.tokens === null) {
          characters -= charactersOf(item.input);
          if (characters < 0) continue;
        }
        const length = this.#read(item, longest);
        // Its job is gone, and with it the rest of these.
        if (length === null) break;
        if (length > left) continue;
        left -= length;
        taken.add(item);
      }
    }
    for (const [job, items] of this.#waiting) {
      const rest = items.filter((item) => !taken.has(item));
      if (rest.length === 0) this.#waiting.delete(job);
      else if (rest.length < items.length) this.#waiting.set(job, rest);
    }
    return [...taken];
  }

  /** Tokens of the input; null when it cannot be read, which ends its job. */
  #read(item: EmbedItem, longest: number): number | null {
    if (item.tokens !== null) return item.tokens.length;
    const { job, index, input } = item;
    try {
      item.tokens = inputTokens(input, this.#vocabulary, longest, `input[${index}]`);
      job.tokens += item.tokens.length;
      return item.tokens.length;
    } catch (error) {
      if (!(error instanceof LmError)) throw error;
      this.drop(job);
      this.#onUnreadable(job, error);
      return null;
    }
  }
}

function charactersOf(input: EmbedInput): number {
  return typeof input === "string" ? input.length : input.length * TOKEN_CHARACTERS;
}

/** Makes the inputs the context's batch: each is a sequence, numbered in their order. */
export function fillBatch({ batch }: ModelContext, items: readonly EmbedItem[]): void {
  batch.clear();
  for (const [sequence, { tokens }] of items.entries()) {
    for (const [position, token] of defined(tokens, "a taken input is read").entries()) {
      batch.add(token, position, sequence, true);
    }
  }
}
