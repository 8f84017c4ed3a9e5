import { expect, test } from "bun:test";
import { LoadProgress } from "../../../src/pool/load-progress.ts";

const PID = 7;

test("mapped bytes beyond what the process held before are the model's", () => {
  let heldBytes: number | null = 50;
  const progress = new LoadProgress(1_000, () => heldBytes);
  expect(progress.fraction(PID)).toBe(0);
  progress.begin(PID);
  expect(progress.fraction(PID)).toBe(0);
  heldBytes = 300;
  expect(progress.fraction(PID)).toBe(0.25);
  // The system may take pages away again.
  heldBytes = 100;
  expect(progress.fraction(PID)).toBe(0.25);
  heldBytes = null;
  expect(progress.fraction(PID)).toBe(0.25);
  heldBytes = 5_000;
  expect(progress.fraction(PID)).toBe(0.99);
  progress.told(1);
  expect(progress.fraction(PID)).toBe(1);
});

test("where the system tells nothing, the engine's word counts", () => {
  const progress = new LoadProgress(1_000, () => null);
  progress.begin(PID);
  progress.told(0.4);
  progress.told(0.3);
  expect(progress.fraction(PID)).toBe(0.4);
});

test.if(process.platform === "linux")("a file that this process maps is seen", () => {
  const progress = new LoadProgress(1);
  progress.begin(process.pid);
  expect(progress.fraction(process.pid)).toBeLessThan(1);
  // A process that is gone holds nothing, and nothing is thrown.
  expect(new LoadProgress(1).fraction(2 ** 22 + 1)).toBe(0);
});
