import { expect, spyOn, test } from "bun:test";
import { waitFor } from "../../../src/lib/wait.ts";
import { ManualClock } from "../../support/manual-clock.ts";

test("a wait that ends leaves no listener and no timer", async () => {
  const clock = new ManualClock();
  const { signal } = new AbortController();
  const added = spyOn(signal, "addEventListener");
  const removed = spyOn(signal, "removeEventListener");
  const limit = { clock, limitMs: 1_000, onLimit: () => new Error("late") };
  expect(await waitFor(Promise.resolve(7), signal, limit)).toBe(7);
  expect(removed.mock.calls.map(([, listener]) => listener)).toEqual(
    added.mock.calls.map(([, listener]) => listener),
  );
  expect(clock.pending).toBe(0);
});

test("a wait ends with the signal's reason, or with the limit's error", async () => {
  const clock = new ManualClock();
  const abort = new AbortController();
  const forever = new Promise<never>(() => {});
  const left = waitFor(forever, abort.signal);
  abort.abort(new Error("left"));
  expect(left).rejects.toThrow("left");
  expect(waitFor(forever, abort.signal)).rejects.toThrow("left");
  const late = waitFor(forever, new AbortController().signal, {
    clock,
    limitMs: 5,
    onLimit: () => new Error("late"),
  });
  clock.advance(5);
  expect(late).rejects.toThrow("late");
});
