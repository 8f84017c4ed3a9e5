import { expect, test } from "bun:test";
import { ThreadGovernor } from "../../../src/engine/thread-governor.ts";
import type { ModelContext } from "../../../src/llama/backend.ts";
import { stillClock } from "../../support/engine-harness.ts";
import { ManualClock } from "../../support/manual-clock.ts";

/**
 * Decodes of one row that take `stepMs(threads)` and get `share` of the time all threads ask for, while
 * `idle` processors are not used by anybody.
 * @returns the threads after the last of them.
 */
function decodes(
  governor: ThreadGovernor,
  count: number,
  threads: number,
  share: number,
  stepMs: (threads: number) => number = barrier,
  idle = 0,
): number {
  let now = threads;
  for (let index = 0; index < count; index++) {
    const ms = stepMs(now);
    now = governor.record(ms, ms * now * share, 1, ms * idle) ?? now;
  }
  return now;
}

/** Spinning at barriers: the more threads, the slower. */
const barrier = (threads: number): number => 25 * threads;

test("on a quiet machine the threads stay", () => {
  expect(decodes(new ThreadGovernor(4, stillClock), 1000, 4, 1)).toBe(4);
});

test("when others take the processors, fewer threads compute within a second", () => {
  const governor = new ThreadGovernor(4, stillClock);
  expect(decodes(governor, 8, 4, 0.6)).toBe(2);
  expect(decodes(governor, 20, 2, 0.6)).toBe(1);
  expect(decodes(governor, 1000, 1, 0.3)).toBe(1);
});

test("where fewer threads are slower all the same, the threads stay, and the next trial comes later", () => {
  const governor = new ThreadGovernor(2, stillClock);
  const mild = (threads: number): number => (threads === 2 ? 40 : 60);
  const trials: number[] = [];
  let now = 2;
  for (let step = 0; step < 2000; step++) {
    const next = decodes(governor, 1, now, 0.7, mild);
    if (next < now) trials.push(step);
    now = next;
  }
  expect(now).toBe(2);
  const waits = trials.slice(1).map((step, index) => step - (trials[index] ?? 0));
  expect(waits.length).toBeGreaterThan(2);
  expect(waits[1]).toBeGreaterThan(1.5 * (waits[0] ?? 0));
});

test("a machine that becomes much more crowded is a reason to try fewer threads at once", () => {
  const governor = new ThreadGovernor(2, stillClock);
  const mild = (threads: number): number => (threads === 2 ? 40 : 60);
  for (let round = 0; round < 6; round++) decodes(governor, 400, 2, 0.7, mild);
  const heavy = (threads: number): number => (threads === 2 ? 400 : 60);
  expect(decodes(governor, 20, 2, 0.4, heavy)).toBe(1);
});

test("fewer threads that once paid are given up when all are faster again, calm or not", () => {
  const governor = new ThreadGovernor(2, stillClock);
  expect(decodes(governor, 12, 2, 0.5)).toBe(1);
  const mild = (threads: number): number => (threads === 2 ? 30 : 50);
  expect(decodes(governor, 100, 1, 0.85, mild)).toBe(2);
});

test("steps of another size prove nothing: the threads go back", () => {
  const governor = new ThreadGovernor(2, stillClock);
  let now = 2;
  for (let step = 0; now === 2; step++) now = governor.record(50, 50, 1) ?? now;
  for (let step = 0; step < 50; step++) now = governor.record(50, 50, 300) ?? now;
  expect(now).toBe(2);
});

test("one bad window, as when the weights come from disk, changes nothing", () => {
  const governor = new ThreadGovernor(2, stillClock);
  expect(decodes(governor, 5, 2, 0.2)).toBe(2);
  expect(decodes(governor, 5, 2, 1)).toBe(2);
  expect(decodes(governor, 5, 2, 0.2)).toBe(2);
});

test("after a calm time all threads are tried again, later after every failure", () => {
  const governor = new ThreadGovernor(2, stillClock);
  const waits: number[] = [];
  for (let round = 0; round < 3; round++) {
    expect(decodes(governor, 10, 2, 0.5)).toBe(1);
    let wait = 0;
    while (decodes(governor, 1, 1, 1) === 1) wait += 25;
    waits.push(wait);
  }
  expect(waits[1]).toBeGreaterThan(1.4 * (waits[0] ?? 0));
  expect(waits[2]).toBeGreaterThan(1.4 * (waits[1] ?? 0));
});

test("the wait grows no further than a minute", () => {
  const governor = new ThreadGovernor(2, stillClock);
  let wait = 0;
  for (let round = 0; round < 12; round++) {
    decodes(governor, 10, 2, 0.5);
    for (wait = 25; decodes(governor, 1, 1, 1) === 1;) wait += 25;
  }
  expect(wait).toBeGreaterThanOrEqual(59_000);
  expect(wait).toBeLessThan(61_000);
});

/** Threads that have a processor each: the more, the faster. */
const alone = (threads: number): number => 50 / threads;

test("as soon as processors are free again all threads compute, however long the wait has grown", () => {
  const governor = new ThreadGovernor(2, stillClock);
  for (let round = 0; round < 4; round++) {
    decodes(governor, 10, 2, 0.5);
    while (decodes(governor, 1, 1, 1, barrier, 0.1) === 1);
  }
  expect(decodes(governor, 10, 2, 0.5, barrier, 0.1)).toBe(1);
  expect(decodes(governor, 30, 1, 1, alone, 0.3)).toBe(1);
  expect(decodes(governor, 12, 1, 1, alone, 0.9)).toBe(2);
  expect(decodes(governor, 1000, 2, 1, alone, 0)).toBe(2);
});

test("idle processors that do not help are a reason less and less often, until others have used them", () => {
  const governor = new ThreadGovernor(2, stillClock);
  expect(decodes(governor, 10, 2, 0.5)).toBe(1);
  // As in a container that may not use what the machine has.
  const trials: number[] = [];
  let now = 1;
  for (let step = 0; step < 1_000; step++) {
    const next = decodes(governor, 1, now, now === 1 ? 1 : 0.5, barrier, 1);
    if (next > now) trials.push(step);
    now = next;
  }
  const waits = trials.slice(1).map((step, index) => step - (trials[index] ?? 0));
  expect(waits.length).toBeGreaterThan(2);
  expect(waits.length).toBeLessThan(8);
  expect(waits.at(-1)).toBeGreaterThan(4 * (waits[0] ?? 0));
  expect(decodes(governor, 30, 1, 1, barrier, 0)).toBe(1);
  let steps = 0;
  while (decodes(governor, 1, 1, 1, barrier, 1) === 1) steps++;
  // Two windows, of which the first is partly of before.
  expect(steps).toBeLessThan(20);
});

test("the machine's idle time counts while a decode runs, not between two", () => {
  const set: number[] = [];
  let idleMs = 0;
  const clock = new ManualClock();
  const governor = new ThreadGovernor(2, clock, () => idleMs);
  let isFree = false;
  // Sleeps as if others had the processors; one thread is twice as fast.
  const context = {
    batch: { length: 1 },
    decode: () => {
      const ms = set.length === 0 ? 130 : 65;
      clock.advance(ms);
      if (isFree) idleMs += 2 * ms;
      return "ok";
    },
    setThreads: (count: number) => set.push(count),
  } as unknown as ModelContext;
  const decode = (count: number): void => {
    for (let step = 0; step < count; step++) {
      governor.decode(context);
      idleMs += 1_000;
    }
  };
  decode(4);
  expect(set).toEqual([1]);
  // The trial, and a window after it.
  decode(10);
  expect(set).toEqual([1]);
  isFree = true;
  decode(5);
  expect(set).toEqual([1, 2]);
});
