import type { Clock } from "../../src/lib/clock.ts";

interface Timer {
  dueMs: number;
  callback: () => void;
}

/** Time that moves only by `advance`; timers fire in order of their due times. */
export class ManualClock implements Clock {
  #nowMs = 1_000_000;
  #timers = new Set<Timer>();

  /** Timers that have neither fired nor been cancelled. */
  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    while (this.#fireNext(endMs));
    this.#nowMs = endMs;
  }

  /** As `advance`, and lets go on what each timer wakes. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    while (this.#fireNext(endMs)) await Bun.sleep(0);
    this.#nowMs = endMs;
    await Bun.sleep(0);
  }

  /** Moves the readings as a suspended machine sees it: nothing fires on the way. */
  jump(ms: number): void {
    this.#nowMs += ms;
    for (const timer of this.#timers) timer.dueMs += ms;
  }

  /** @returns false when no timer is due by then. */
  #fireNext(endMs: number): boolean {
    const timer = this.#next(endMs);
    if (timer === null) return false;
    this.#timers.delete(timer);
    this.#nowMs = Math.max(this.#nowMs, timer.dueMs);
    timer.callback();
    return true;
  }

  #next(endMs: number): Timer | null {
    let first: Timer | null = null;
    for (const timer of this.#timers) {
      if (timer.dueMs <= endMs && (first === null || timer.dueMs < first.dueMs)) first = timer;
    }
    return first;
  }
}
