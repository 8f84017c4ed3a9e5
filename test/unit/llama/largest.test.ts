import { describe, expect, test } from "bun:test";
import { argmax, bitsOf, largest } from "../../../src/llama/largest.ts";
import { topBound } from "../../../src/llama/top-bound.ts";

const SPECIAL = [0, -0, NaN, -NaN, Infinity, -Infinity, 1e-45, -1e-45, 3.4e38, -3.4e38];

/** Values around `center`, every tenth of them special, the same for the same seed. */
function mixed(length: number, seed: number, center: number): Float32Array {
  let state = seed;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return Float32Array.from({ length }, () => {
    if (next() < 0.1) return SPECIAL[Math.floor(next() * SPECIAL.length)] ?? 0;
    // Few different values, so that there are equals.
    return center + Math.round(next() * 40) / 4;
  });
}

/** The definition, one value at a time. */
function firstLargest(values: Float32Array): { index: number; value: number } {
  let found = { index: 0, value: -Infinity };
  for (const [index, value] of values.entries()) if (value > found.value) found = { index, value };
  return found;
}

describe.each([
  ["positive", 1],
  ["negative", -50],
  ["of both signs", -5],
])("among values that are %s", (_name, center) => {
  test.each([0, 1, 7, 8, 9, 63, 4_095, 4_096, 4_097, 20_000])("of %d", (length) => {
    for (let seed = 1; seed <= 20; seed++) {
      const all = mixed(length, seed, center);
      const finite = all.map((value) => (Number.isFinite(value) && value < 1e30 ? value : center));
      for (const values of [all, finite]) {
        const { index, value } = firstLargest(values);
        expect(argmax(values)).toBe(index);
        expect(largest(values, bitsOf(values), 0, length) + 0).toBe(value + 0);
      }
    }
  });
});

test("only the range counts, also of a view into a larger buffer", () => {
  const buffer = new Float32Array([9, 1, 4, 3, 8]);
  const view = new Float32Array(buffer.buffer, 4, 3);
  expect(argmax(view)).toBe(1);
  expect(largest(view, bitsOf(view), 0, 3)).toBe(4);
  expect(largest(buffer, bitsOf(buffer), 1, 2)).toBe(1);
});

test("the bound of the best is the same for values below zero", () => {
  const values = mixed(10_000, 3, 5).map((value) => (value > -1e30 && value < 1e30 ? value : 0));
  const { bound } = topBound(values, 40)!;
  const shifted = topBound(
    values.map((value) => value - 100),
    40,
  )!;
  expect(shifted.bound).toBe(bound - 100);
});
