import { describe, expect, test } from "bun:test";
import { read } from "bun:ffi";
import { Candidates } from "../../../src/llama/candidates.ts";
import { argmax } from "../../../src/llama/largest.ts";
import { RecentTokens } from "../../../src/llama/recent-tokens.ts";
import { topBound } from "../../../src/llama/top-bound.ts";

const NONE = new Map<number, number>();

/** Deterministic values in -8..8, many of them equal. */
function values(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return ((state >>> 16) % 1601) / 100 - 8;
  });
}

/** The entries as a sampler sees them, through the address it is given. */
function entries(candidates: Candidates): [number, number][] {
  const { pointer } = candidates;
  const size = Number(read.u64(pointer, 8));
  return Array.from({ length: size }, (_, index) => [
    read.i32(pointer, 64 + 12 * index),
    read.f32(pointer, 64 + 12 * index + 4),
  ]);
}

describe("candidates", () => {
  test("all of them come in order with their logits and biases", () => {
    const candidates = new Candidates(5);
    candidates.fillAll(
      new Float32Array([1, 2, 3, 4, 5]),
      new Map([
        [1, 10],
        [3, -Infinity],
      ]),
    );
    expect(entries(candidates)).toEqual([
      [0, 1],
      [1, 12],
      [2, 3],
      [3, -Infinity],
      [4, 5],
    ]);
    expect(candidates.best()).toBe(1);
    expect(candidates.selected).toBeNull();
  });

  test.each([1, 2, 3, 4, 5, 6])("the shortcut misses none of the best (seed %d)", (seed) => {
    const logits = values(20_000, seed);
    const biases = new Map([
      [3, 20],
      [argmax(logits), -Infinity],
      [77, -1],
    ]);
    const touched = new Map([
      [500, 1],
      [77, 2],
      [12_345, 1],
    ]);
    const candidates = new Candidates(logits.length);
    for (const count of [1, 10, 40, 100]) {
      expect(candidates.fillBest(logits, count, biases, touched)).toBe(true);
      const found = entries(candidates);
      expect(new Set(found.map(([token]) => token)).size).toBe(found.length);
      expect(found.length).toBeLessThan(logits.length / 4);
      candidates.fillAll(logits, biases);
      const best = (list: [number, number][]) =>
        list
          .map(([, score]) => score)
          .sort((one, other) => other - one)
          .slice(0, count);
      expect(best(found)).toEqual(best(entries(candidates)));
      for (const token of touched.keys()) expect(found.some(([id]) => id === token)).toBe(true);
    }
  });

  test("the shortcut is not taken for small vocabularies, or when nearly all is banned", () => {
    const candidates = new Candidates(4000);
    expect(candidates.fillBest(values(4000, 1), 400, NONE, NONE)).toBe(false);
    const banned = new Float32Array(4000).fill(-Infinity);
    expect(candidates.fillBest(banned, 10, NONE, NONE)).toBe(false);
    expect(candidates.fillBest(new Float32Array(4000).fill(NaN), 10, NONE, NONE)).toBe(false);
  });

  test("nothing is best when all is banned", () => {
    const candidates = new Candidates(3);
    candidates.fillAll(new Float32Array(3).fill(-Infinity), NONE);
    expect(candidates.best()).toBeNull();
  });

  test("the largest value wins, the first of equals, never NaN", () => {
    expect(argmax(new Float32Array([1, 5, NaN, 5, 2]))).toBe(1);
    expect(argmax(new Float32Array([NaN, -3]))).toBe(1);
  });

  test("a bound is reached by at least as many values as asked for", () => {
    const list = values(10_000, 9);
    const { bound } = topBound(list, 40)!;
    const reached = list.filter((value) => value >= bound).length;
    expect(reached).toBeGreaterThanOrEqual(40);
    expect(reached).toBeLessThan(200);
    expect(topBound(list.subarray(0, 100), 40)).toBeNull();
  });
});

describe("recent tokens", () => {
  test("only the last ones count, each as often as it occurs", () => {
    const recent = new RecentTokens(3);
    for (const token of [1, 2, 2, 3]) recent.push(token);
    expect([...recent.distinct]).toEqual([
      [2, 2],
      [3, 1],
    ]);
    recent.push(4);
    recent.push(4);
    expect(new Map(recent.distinct)).toEqual(
      new Map([
        [3, 1],
        [4, 2],
      ]),
    );
  });

  test("a window of 0 remembers nothing", () => {
    const recent = new RecentTokens(0);
    recent.push(1);
    expect(recent.distinct.size).toBe(0);
  });
});
