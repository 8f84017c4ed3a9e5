import type { Clock } from "../lib/clock.ts";

const TICKS_PER_LIMIT = 16;
const LONGEST_TICK_MS = 1_000;

/**
 * Notices that something stopped making progress. It counts its own ticks instead of comparing
 * clocks: while this process is suspended no ticks happen, so waking up accuses nobody.
 */
export class Watchdog {
  readonly #clock: Clock;
  readonly #limitMs: () => number;
  readonly #onStall: (stalledMs: number) => void;
  #silentMs = 0;
  #cancelTick: (() => void) | null = null;

  /** @param limitMs asked at each tick, so that it may follow measured speed. */
  constructor(clock: Clock, limitMs: () => number, onStall: (stalledMs: number) => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#onStall = onStall;
  }

  /** Begins to watch; nothing when it already does. */
  start(): void {
    if (this.#cancelTick !== null) return;
    this.#silentMs = 0;
    this.#schedule();
  }

  /** Ends watching; no timer is left. */
  stop(): void {
    this.#cancelTick?.();
    this.#cancelTick = null;
  }

  progress(): void {
    this.#silentMs = 0;
  }

  #schedule(): void {
    const tickMs = Math.min(LONGEST_TICK_MS, this.#limitMs() / TICKS_PER_LIMIT);
    this.#cancelTick = this.#clock.after(tickMs, () => {
      this.#cancelTick = null;
      this.#silentMs += tickMs;
      if (this.#silentMs >= this.#limitMs()) this.#onStall(this.#silentMs);
      else this.#schedule();
    });
  }
}
