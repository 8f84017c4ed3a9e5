import type { Clock } from "../lib/clock.ts";
import type { EngineLimits } from "./engine-limits.ts";

const STEP_TIME_FACTOR = 20;
/** Weights that 512 tokens of a prompt take a millisecond for, on the slowest machine that is waited for. */
const SLOWEST_BYTES_PER_MS = 20_000;
/** The first prompt may still have to read the weights: 70 GB come from a disk of 80 MB/s in this time. */
const LONGEST_PROMPT_MS = 900_000;

/**
 * How long an engine may say nothing before it counts as stalled. One that steps has twenty times the
 * usual step. No step tells how long a piece of a prompt takes, or a text to embed: while the engine
 * may be at one, a large model has longer.
 */
export class SilenceLimit {
  readonly #limits: EngineLimits;
  /** Tokens of the longest decode. */
  readonly #batchCapacity: number;
  readonly #mayReadPrompt: () => boolean;
  readonly #clock: Clock;
  readonly #stepTimes = new StepTimes();
  #modelBytes: number | null = null;
  /** Time of the last step; null = the engine had nothing to do since. */
  #lastStepMs: number | null = null;

  /** @param mayReadPrompt whether the engine may be at a prompt or a text right now. */
  constructor(
    limits: EngineLimits,
    batchCapacity: number,
    mayReadPrompt: () => boolean,
    clock: Clock,
  ) {
    this.#limits = limits;
    this.#batchCapacity = batchCapacity;
    this.#mayReadPrompt = mayReadPrompt;
    this.#clock = clock;
  }

  get ms(): number {
    const { loadTimeoutMs, watchdogMs } = this.#limits;
    if (this.#modelBytes === null) return loadTimeoutMs;
    const promptMs = this.#mayReadPrompt() ? this.#promptMs(this.#modelBytes) : 0;
    return Math.max(watchdogMs, promptMs, STEP_TIME_FACTOR * this.#stepTimes.medianMs());
  }

  #promptMs(modelBytes: number): number {
    const slowestMs = (modelBytes * this.#batchCapacity) / 512 / SLOWEST_BYTES_PER_MS;
    return Math.min(slowestMs, LONGEST_PROMPT_MS);
  }

  /** From now on it computes. */
  loaded(modelBytes: number): void {
    this.#modelBytes = modelBytes;
  }

  step(): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#lastStepMs !== null) this.#stepTimes.add(nowMs - this.#lastStepMs);
    this.#lastStepMs = nowMs;
  }

  /** There is nothing to do: the time until the next step tells nothing. */
  rest(): void {
    this.#lastStepMs = null;
  }
}

/** Median of the last step durations. */
export class StepTimes {
  #recent: number[] = [];

  add(durationMs: number): void {
    this.#recent.push(durationMs);
    if (this.#recent.length > 64) this.#recent.shift();
  }

  /** 0 before the first step. */
  medianMs(): number {
    const sorted = this.#recent.toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? 0;
  }
}
