import { expect, test } from "bun:test";
import { type EmbedJob, EmbedQueue, type EmbedRoom } from "../../../src/engine/embed-queue.ts";
import type { LmError } from "../../../src/lib/errors.ts";
import { FakeVocabulary } from "../../support/fake-vocabulary.ts";

/** The fake vocabulary gives a token for each character and one more. */
const text = (tokens: number): string => "x".repeat(tokens - 1);
const room = (fields: Partial<EmbedRoom> = {}): EmbedRoom => ({
  longest: 512,
  most: 512,
  sequences: 64,
  fill: () => 128,
  ...fields,
});

function setUp() {
  const failed: { id: number; error: LmError }[] = [];
  const queue = new EmbedQueue(new FakeVocabulary(), ({ id }, error) => failed.push({ id, error }));
  const add = (id: number, lengths: readonly number[]): EmbedJob => {
    const job: EmbedJob = { id, vectors: [], missing: lengths.length, tokens: 0 };
    queue.add(job, lengths.map(text));
    return job;
  };
  const take = (fields: Partial<EmbedRoom> = {}): string[] =>
    queue.take(room(fields)).map(({ job, tokens }) => `${job.id}:${tokens?.length}`);
  return { queue, add, take, failed };
}

test("the longest comes first, and what fits beside it, longest first", () => {
  const { add, take, queue } = setUp();
  add(1, [20, 100, 30, 90, 25, 5]);
  expect(take()).toEqual(["1:100", "1:25"]);
  expect(take()).toEqual(["1:90", "1:30", "1:5"]);
  expect(take()).toEqual(["1:20"]);
  expect(take()).toEqual([]);
  expect(queue.length).toBe(0);
});

test("jobs take turns", () => {
  const { add, take } = setUp();
  add(1, [120, 120, 120]);
  add(2, [110]);
  add(3, [115, 115]);
  const order = [take(), take(), take(), take(), take(), take()].flat();
  expect(order).toEqual(["1:120", "2:110", "3:115", "1:120", "3:115", "1:120"]);
});

test("a short input of another job fills a decode", () => {
  const { add, take } = setUp();
  add(1, [100, 100]);
  add(2, [28, 28, 28]);
  expect(take()).toEqual(["1:100", "2:28"]);
  expect(take()).toEqual(["2:28", "1:100"]);
  expect(take()).toEqual(["2:28"]);
});

test("a decode takes no more inputs and tokens than it has room for", () => {
  const { add, take } = setUp();
  add(1, [10, 10, 10, 10]);
  expect(take({ sequences: 3 })).toHaveLength(3);
  add(2, [60, 60]);
  // An input is never split.
  expect(take({ most: 50 })).toEqual(["1:10"]);
  expect(take({ most: 50 })).toEqual(["2:60"]);
});

test("an input that is too long for this decode is not passed by others", () => {
  const { add, take } = setUp();
  add(1, [100, 20]);
  add(2, [30]);
  expect(take({ first: 99 })).toEqual([]);
  expect(take({ first: 100 })).toEqual(["1:100", "1:20"]);
  expect(take({ first: 99 })).toEqual(["2:30"]);
});

test("an input that is too long ends its job, wherever it is met", () => {
  const { add, take, failed, queue } = setUp();
  add(1, [600, 100]);
  add(2, [100]);
  expect(take()).toEqual(["2:100"]);
  expect(failed.map(({ id, error }) => [id, error.code])).toEqual([[1, "context_length_exceeded"]]);
  expect(queue.length).toBe(0);
});

test("an input that failed beside others has the next decode for itself", () => {
  const { queue, add, take } = setUp();
  add(1, [20, 10]);
  const [first] = queue.take(room({ sequences: 1 }));
  queue.retry(first!);
  expect(queue.length).toBe(2);
  expect(take()).toEqual(["1:20"]);
  expect(take()).toEqual(["1:10"]);
});

test("a dropped job is gone, its second attempts too", () => {
  const { queue, add, take } = setUp();
  const job = add(1, [20, 10]);
  add(2, [30]);
  const [first] = queue.take(room({ sequences: 1 }));
  queue.retry(first!);
  queue.drop(job);
  expect(take()).toEqual(["2:30"]);
  expect(queue.length).toBe(0);
});
