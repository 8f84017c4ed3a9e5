import type { Clock } from "../lib/clock.ts";

/** Longest delay a timer can hold. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Calls once when nothing was used for a while. */
export class IdleTimer {
  readonly #clock: Clock;
  readonly #onIdle: () => void;
  #cancel: (() => void) | null = null;

  constructor(clock: Clock, onIdle: () => void) {
    this.#clock = clock;
    this.#onIdle = onIdle;
  }

  /** Counts anew. @param delayMs null = never. */
  arm(delayMs: number | null): void {
    this.stop();
    if (delayMs === null) return;
    this.#cancel = this.#clock.after(Math.min(LONGEST_TIMER_MS, delayMs), this.#onIdle);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }
}
