import type { Clock } from "../lib/clock.ts";

/** Longest delay a timer can hold. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** A timer that fires this much too late was held up by a pause: of the process or its machine. */
const PAUSE_MS = 2_000;
/** After a pause everybody gets this long to come back, or as long as was asked for. */
const GRACE_MS = 30_000;

/** Calls once when nothing was used for a while in which somebody could have used it. */
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
    const boundedMs = Math.min(LONGEST_TIMER_MS, delayMs);
    const dueMs = this.#clock.monotonicMs() + boundedMs;
    this.#cancel = this.#clock.after(boundedMs, () => {
      const lateMs = this.#clock.monotonicMs() - dueMs;
      if (lateMs < PAUSE_MS) this.#onIdle();
      else this.arm(Math.min(GRACE_MS, boundedMs));
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }
}
