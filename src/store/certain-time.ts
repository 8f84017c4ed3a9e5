import type { Clock } from "../lib/clock.ts";

/** A clock that was set by more than this since the last look jumped. */
const JUMP_MS = 60_000;

/**
 * A time that has passed for certain, by which something may be deleted for good: a machine may start with
 * a wrong clock, or have it set. The clock is believed once it ran for a while as the monotonic one did;
 * before that only the time that is known to have passed counts.
 */
export class CertainTime {
  readonly #clock: Pick<Clock, "now" | "monotonicMs">;
  readonly #evenMs: number;
  #certainMs: number;
  #nowMs: number;
  #monotonicMs: number;
  /** Monotonic time of the last jump, or of the start. */
  #evenSinceMs: number;

  /**
   * @param pastMs Milliseconds since the Unix epoch that have passed.
   * @param evenMs How long the clock must run evenly to be believed.
   */
  constructor(clock: Pick<Clock, "now" | "monotonicMs">, pastMs: number, evenMs: number) {
    this.#clock = clock;
    this.#evenMs = evenMs;
    this.#certainMs = pastMs;
    this.#nowMs = clock.now();
    this.#monotonicMs = clock.monotonicMs();
    this.#evenSinceMs = this.#monotonicMs;
  }

  /** Milliseconds since the Unix epoch, never later than the clock's. To be called now and then. */
  read(): number {
    const nowMs = this.#clock.now();
    const monotonicMs = this.#clock.monotonicMs();
    const passedMs = monotonicMs - this.#monotonicMs;
    const jumpMs = Math.abs(nowMs - this.#nowMs - passedMs);
    if (jumpMs > JUMP_MS) this.#evenSinceMs = monotonicMs;
    const isBelieved = monotonicMs - this.#evenSinceMs >= this.#evenMs;
    this.#certainMs = isBelieved ? nowMs : this.#certainMs + passedMs;
    this.#nowMs = nowMs;
    this.#monotonicMs = monotonicMs;
    return Math.min(nowMs, this.#certainMs);
  }
}
