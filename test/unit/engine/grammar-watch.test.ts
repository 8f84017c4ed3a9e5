import { expect, test } from "bun:test";
import { GrammarWatch } from "../../../src/engine/grammar-watch.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { hasCode } from "../../../src/lib/errors.ts";
import { ManualClock } from "../../support/manual-clock.ts";

/** Keeps the processor busy until it has worked this long for this process. */
function work(ms: number): void {
  const start = process.cpuUsage();
  let used = 0;
  while (used < ms * 1000) {
    const { user, system } = process.cpuUsage(start);
    used = user + system;
  }
}

test("a step that computes too long ends the job", () => {
  const watch = new GrammarWatch(systemClock);
  watch.start();
  watch.check();
  watch.start();
  work(700);
  let caught: unknown = null;
  try {
    watch.check();
  } catch (error) {
    caught = error;
  }
  expect(hasCode(caught, "invalid_request") && caught.details.reason).toBe("invalid_grammar");
});

test("steps that grow slow do so together", () => {
  const watch = new GrammarWatch(systemClock);
  const step = (): void => {
    watch.start();
    work(200);
    watch.check();
  };
  step();
  expect(() => {
    step();
    step();
  }).toThrow("too many ways");
});

test("waiting is no work", () => {
  const clock = new ManualClock();
  const watch = new GrammarWatch(clock);
  watch.start();
  clock.advance(700);
  expect(() => watch.check()).not.toThrow();
});
