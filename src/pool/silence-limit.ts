import type { Clock } from "../lib/clock.ts";
import type { EngineLimits } from "./engine-limits.ts";

/** A job's part of a decode over this many bytes of weights may take a millisecond. */
const SLOWEST_BYTES_PER_MS = 20_000;
const STEP_TIME_FACTOR = 20;

/** How long an engine may say nothing before it counts as stalled; a slow one has longer. */
export class SilenceLimit {
  readonly #limits: EngineLimits;
  /** Tokens of the longest decode. */
  readonly #batchCapacity: number;
  readonly #clock: Clock;
  readonly #stepTimes = new StepTimes();
  #modelBytes: number | null = null;
  /** Time of the last step; null = the engine had nothing to do since. */
  #lastStepMs: number | null = null;

  constructor(limits: EngineLimits, batchCapacity: number, clock: Clock) {
    this.#limits = limits;
    this.#batchCapacity = batchCapacity;
    this.#clock = clock;
  }

  get ms(): number {
    const { loadTimeoutMs, watchdogMs } = this.#limits;
    if (this.#modelBytes === null) return loadTimeoutMs;
    const prefillMs = (this.#modelBytes * this.#batchCapacity) / 512 / SLOWEST_BYTES_PER_MS;
    return Math.max(watchdogMs, prefillMs, STEP_TIME_FACTOR * this.#stepTimes.medianMs());
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
