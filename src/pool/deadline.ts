import type { Clock } from "../lib/clock.ts";
import { waitFor } from "../lib/wait.ts";

/** How long one caller waits in all, for however many things one after the other. */
export class Deadline {
  /** Ends the waits too. */
  readonly signal: AbortSignal;
  readonly #clock: Clock;
  readonly #endMs: number;

  /** @param limitMs from now on. */
  constructor(clock: Clock, limitMs: number, signal: AbortSignal) {
    this.signal = signal;
    this.#clock = clock;
    this.#endMs = clock.monotonicMs() + limitMs;
  }

  /** @throws what `onLimit` returns when the time is over; `signal.reason` when aborted. */
  async wait<T>(promise: Promise<T>, onLimit: () => Error): Promise<T> {
    const limitMs = Math.max(0, this.#endMs - this.#clock.monotonicMs());
    return await waitFor(promise, this.signal, { clock: this.#clock, limitMs, onLimit });
  }
}
