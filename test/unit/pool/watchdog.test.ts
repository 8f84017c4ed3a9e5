import { expect, test } from "bun:test";
import { StepTimes } from "../../../src/pool/silence-limit.ts";
import { Watchdog } from "../../../src/pool/watchdog.ts";
import { ManualClock } from "../../support/manual-clock.ts";

function watched(limitMs: () => number) {
  const clock = new ManualClock();
  const stalls: number[] = [];
  const watchdog = new Watchdog(clock, limitMs, (stalledMs) => stalls.push(stalledMs));
  return { clock, stalls, watchdog };
}

test("silence of the limit is a stall, once", () => {
  const { clock, stalls, watchdog } = watched(() => 30_000);
  watchdog.start();
  clock.advance(29_000);
  expect(stalls).toEqual([]);
  clock.advance(1_000);
  expect(stalls).toEqual([30_000]);
  clock.advance(100_000);
  expect(stalls).toHaveLength(1);
  expect(clock.pending).toBe(0);
});

test("progress starts the count anew", () => {
  const { clock, stalls, watchdog } = watched(() => 1_000);
  watchdog.start();
  for (let n = 0; n < 10; n += 1) {
    clock.advance(900);
    watchdog.progress();
  }
  expect(stalls).toEqual([]);
});

test("a stopped watchdog leaves no timer", () => {
  const { clock, stalls, watchdog } = watched(() => 1_000);
  watchdog.start();
  watchdog.start();
  expect(clock.pending).toBe(1);
  watchdog.stop();
  expect(clock.pending).toBe(0);
  clock.advance(10_000);
  expect(stalls).toEqual([]);
});

test("time in which this process was suspended does not count", () => {
  const { clock, stalls, watchdog } = watched(() => 1_000);
  watchdog.start();
  clock.advance(500);
  clock.jump(3_600_000);
  clock.advance(400);
  expect(stalls).toEqual([]);
});

test("the limit may grow while it watches", () => {
  let limitMs = 1_000;
  const { clock, stalls, watchdog } = watched(() => limitMs);
  watchdog.start();
  clock.advance(900);
  limitMs = 5_000;
  clock.advance(3_000);
  expect(stalls).toEqual([]);
  clock.advance(2_000);
  expect(stalls).toHaveLength(1);
});

test("the median step time forgets old steps and outliers", () => {
  const times = new StepTimes();
  expect(times.medianMs()).toBe(0);
  for (let n = 0; n < 100; n += 1) times.add(1_000);
  for (let n = 0; n < 64; n += 1) times.add(n === 5 ? 1e9 : 20);
  expect(times.medianMs()).toBe(20);
});
