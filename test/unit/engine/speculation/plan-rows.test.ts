import { expect, test } from "bun:test";
import { planRows } from "../../../../src/engine/speculation/plan-rows.ts";
import { StepCost } from "../../../../src/engine/speculation/step-cost.ts";

const memoryBound = { fixed: 9, row: 1 };
const computeBound = { fixed: 0, row: 1 };

test("likely guesses join while memory is the limit, and none where computing is", () => {
  const sure = { most: 16, chance: 0.99, guessCost: 0 };
  expect(planRows([sure], 1, memoryBound, 64)).toEqual([16]);
  expect(planRows([sure], 1, computeBound, 64)).toEqual([0]);
  const many = Array.from({ length: 64 }, () => sure);
  expect(planRows(many, 64, { fixed: 9, row: 9 }, 512)).toEqual(many.map(() => 0));
});

test("a guess joins when it brings more than its time would otherwise", () => {
  // One row costs a tenth of a step; the margin asks for a little more.
  expect(planRows([{ most: 1, chance: 0.12, guessCost: 0 }], 1, memoryBound, 8)).toEqual([1]);
  expect(planRows([{ most: 1, chance: 0.1, guessCost: 0 }], 1, memoryBound, 8)).toEqual([0]);
});

test("the likeliest come first, and neither room nor offers are exceeded", () => {
  const offers = [
    { most: 3, chance: 0.5, guessCost: 0 },
    { most: 4, chance: 0.99, guessCost: 0 },
    { most: 0, chance: 1, guessCost: 0 },
  ];
  expect(planRows(offers, 3, memoryBound, 4)).toEqual([0, 4, 0]);
  expect(planRows(offers, 3, memoryBound, 5)).toEqual([1, 4, 0]);
});

test("what guessing itself costs is weighed too", () => {
  const guessed = { most: 16, chance: 0.6, guessCost: 2 };
  expect(planRows([guessed], 1, memoryBound, 8)).toEqual([1]);
  expect(planRows([{ ...guessed, guessCost: 9 }], 1, memoryBound, 8)).toEqual([0]);
  expect(planRows([guessed, { ...guessed, guessCost: 0 }], 2, memoryBound, 8)).toEqual([0, 2]);
});

test("beside other streams a step grows to twice its time at most", () => {
  const offers = [
    { most: 16, chance: 0.99, guessCost: 0 },
    { most: 0, chance: 0, guessCost: 0 },
  ];
  const [count] = planRows(offers, 2, { fixed: 4, row: 1 }, 64);
  expect(count).toBe(6);
});

test("what a row costs is learned from steps of different sizes", () => {
  const cost = new StepCost();
  for (let step = 0; step < 100; step++) {
    const rows = 1 + (step % 8);
    cost.record(rows, 40 + 5 * rows);
  }
  expect(cost.line.row).toBeCloseTo(5, 0);
  expect(cost.line.fixed).toBeCloseTo(40, -1);
});

test("steps of one size leave the first guess in force", () => {
  const cost = new StepCost();
  expect(cost.line.row / (cost.line.fixed + cost.line.row)).toBeCloseTo(0.2);
  for (let step = 0; step < 300; step++) cost.record(1, 50);
  expect(cost.line.row).toBeCloseTo(10);
  expect(cost.line.fixed).toBeCloseTo(40);
});

test("a disturbed step and a clock that stands still teach nothing", () => {
  const calm = new StepCost();
  const disturbed = new StepCost();
  for (let step = 0; step < 100; step++) {
    const rows = 1 + (step % 8);
    calm.record(rows, 40 + 5 * rows);
    disturbed.record(rows, 40 + 5 * rows);
    disturbed.record(rows, 0);
  }
  expect(disturbed.line).toEqual(calm.line);
  disturbed.record(1, 100_000);
  expect(disturbed.line.fixed).toBeLessThan(60);
});
