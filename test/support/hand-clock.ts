import { systemClock, type Clock } from "../../src/lib/clock.ts";

/** Readings that move only by `skip`, with the machine's timers: for tests with real processes. */
export class HandClock implements Clock {
  #nowMs = 1_000_000;

  skip(ms: number): void {
    this.#nowMs += ms;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    return systemClock.after(delayMs, callback);
  }
}
