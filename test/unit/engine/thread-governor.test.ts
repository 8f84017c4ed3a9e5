import { expect, test } from "bun:test";
import { ThreadGovernor } from "../../../src/engine/thread-governor.ts";

/** Decodes of 50 ms that get `share` of the time `threads` threads ask for. */
function decodes(governor: ThreadGovernor, count: number, threads: number, share: number): number {
  let now = threads;
  for (let index = 0; index < count; index++) {
    now = governor.record(50, 50 * now * share) ?? now;
  }
  return now;
}

test("on a quiet machine the threads stay", () => {
  expect(decodes(new ThreadGovernor(4), 1000, 4, 1)).toBe(4);
});

test("when others take the processors, fewer threads compute within half a second", () => {
  const governor = new ThreadGovernor(4);
  expect(decodes(governor, 10, 4, 0.6)).toBe(2);
  expect(decodes(governor, 10, 2, 0.6)).toBe(1);
  expect(decodes(governor, 1000, 1, 0.3)).toBe(1);
});

test("one bad window, as when the weights come from disk, changes nothing", () => {
  const governor = new ThreadGovernor(2);
  expect(decodes(governor, 5, 2, 0.2)).toBe(2);
  expect(decodes(governor, 5, 2, 1)).toBe(2);
  expect(decodes(governor, 5, 2, 0.2)).toBe(2);
});

test("after a calm time all threads are tried again, later after every failure", () => {
  const governor = new ThreadGovernor(2);
  const waits: number[] = [];
  for (let round = 0; round < 3; round++) {
    expect(decodes(governor, 10, 2, 0.5)).toBe(1);
    let wait = 0;
    while (decodes(governor, 1, 1, 1) === 1) wait += 50;
    waits.push(wait);
  }
  expect(waits[1]).toBeGreaterThan(1.8 * (waits[0] ?? 0));
  expect(waits[2]).toBeGreaterThan(1.8 * (waits[1] ?? 0));
});

test("the wait grows no further than a minute", () => {
  const governor = new ThreadGovernor(2);
  let wait = 0;
  for (let round = 0; round < 12; round++) {
    decodes(governor, 10, 2, 0.5);
    for (wait = 50; decodes(governor, 1, 1, 1) === 1;) wait += 50;
  }
  expect(wait).toBeGreaterThanOrEqual(60_000);
  expect(wait).toBeLessThan(61_000);
});
