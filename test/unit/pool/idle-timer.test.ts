import { expect, test } from "bun:test";
import type { Clock } from "../../../src/lib/clock.ts";
import { IdleTimer } from "../../../src/pool/idle-timer.ts";

/** A clock with one timer, which goes on during a pause in which nothing fires. */
class PausingClock implements Clock {
  #nowMs = 0;
  #timer: { dueMs: number; callback: () => void } | null = null;

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    this.#timer = { dueMs: this.#nowMs + delayMs, callback };
    return () => (this.#timer = null);
  }

  pass(ms: number): void {
    for (let step = 0; step < ms; step += 100) this.pause(100);
  }

  /** What is due meanwhile fires at the end. */
  pause(ms: number): void {
    this.#nowMs += ms;
    const timer = this.#timer;
    if (timer === null || timer.dueMs > this.#nowMs) return;
    this.#timer = null;
    timer.callback();
  }
}

function armed(delayMs: number) {
  const clock = new PausingClock();
  const seen = { idle: 0 };
  const timer = new IdleTimer(clock, () => (seen.idle += 1));
  timer.arm(delayMs);
  return { clock, seen, timer };
}

test("what nobody used for the time is idle, once", () => {
  const { clock, seen } = armed(60_000);
  clock.pass(59_900);
  expect(seen.idle).toBe(0);
  clock.pass(200_000);
  expect(seen.idle).toBe(1);
});

test.each([
  { delayMs: 3_600_000, graceMs: 30_000 },
  { delayMs: 5_000, graceMs: 5_000 },
])("after a pause beyond $delayMs ms it stays for another $graceMs", ({ delayMs, graceMs }) => {
  const { clock, seen } = armed(delayMs);
  clock.pause(delayMs + 8_000);
  clock.pass(graceMs - 100);
  expect(seen.idle).toBe(0);
  clock.pass(200);
  expect(seen.idle).toBe(1);
});

test("a pause that ends before the time is over changes nothing", () => {
  const { clock, seen } = armed(60_000);
  clock.pause(59_000);
  clock.pass(1_000);
  expect(seen.idle).toBe(1);
});

test("what is used again in the grace is not idle", () => {
  const { clock, seen, timer } = armed(5_000);
  clock.pause(60_000);
  timer.stop();
  clock.pass(60_000);
  expect(seen.idle).toBe(0);
});
