/** Prompt tokens per step beside running streams that are always allowed: no prompt starves. */
const LEAST = 4;
/** Before anything was measured; on a slow machine a large model takes seconds for it. */
const FIRST_GUESS = 64;
/**
 * Time for prompts, as a part of the time that the streams take. Less than all of it, because the
 * estimate is a mean: one step in twenty takes a quarter longer.
 */
const PROMPT_SHARE = 0.75;
/** Even when decoding is faster than this, prompts get so much time per step. */
const LEAST_PROMPT_MS = 3;
/** Longest step when nobody streams: the time until a cancel or a newcomer is noticed. */
const ALONE_MS = 1000;
const SMOOTHING = 0.25;

/**
 * How many prompt tokens a step may compute. Beside running streams prompts get a little less time
 * than the streams, so that the pause between two tokens at most doubles.
 */
export class PrefillPacer {
  readonly #capacity: number;
  /** Running averages in ms; null = not measured. */
  #decodeMs: number | null = null;
  #promptTokenMs: number | null = null;

  /** @param capacity tokens per decode. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** @param streams slots that get one token in the same step. */
  allowance(streams: number): number {
    const most = Math.max(this.#capacity - streams, 0);
    if (this.#promptTokenMs === null) return Math.min(FIRST_GUESS, most);
    const targetMs =
      streams === 0 ? ALONE_MS : Math.max((this.#decodeMs ?? 0) * PROMPT_SHARE, LEAST_PROMPT_MS);
    // A clock too coarse to see a token leaves no limit but the batch.
    const tokens = Math.floor(targetMs / Math.max(this.#promptTokenMs, Number.EPSILON));
    return Math.min(Math.max(tokens, LEAST), most);
  }

  record(streams: number, promptTokens: number, elapsedMs: number): void {
    if (promptTokens === 0) {
      this.#decodeMs = average(this.#decodeMs, elapsedMs);
    } else if (streams === 0 || this.#decodeMs !== null) {
      const promptMs = Math.max(elapsedMs - (streams > 0 ? (this.#decodeMs ?? 0) : 0), 0);
      this.#promptTokenMs = average(this.#promptTokenMs, promptMs / promptTokens);
    }
  }
}

function average(old: number | null, value: number): number {
  return old === null ? value : old + (value - old) * SMOOTHING;
}
