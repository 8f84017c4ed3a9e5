import { expect, spyOn, test } from "bun:test";
import type { Clock } from "../../../src/lib/clock.ts";
import { LmError } from "../../../src/lib/errors.ts";
import { laneShape } from "../../../src/protocol/embedding.ts";
import { engineHarness, stillClock } from "../../support/engine-harness.ts";
import type { FakeContext, FakeOptions } from "../../support/fake-backend.ts";
import { fakeModel } from "../../support/fake-model.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const MIB = 1024 * 1024;

/** An engine that runs by itself, with two lanes. */
function setUp(options: FakeOptions = {}, clock: Clock = stillClock) {
  const model = fakeModel(options);
  const harness = engineHarness({ model, clock, lanes: 2 });
  const stop = new AbortController();
  const over = harness.engine.run(stop.signal);
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await Bun.sleep(1);
  };
  return {
    ...harness,
    model,
    until,
    embedded: (jobId: number) => until(() => harness.find(jobId, "embedded") !== undefined),
    /** Contexts that compute apart now. */
    apart: () => model.contexts.filter(({ isApart }) => isApart),
    end: async () => {
      stop.abort();
      await over;
      await harness.engine.finish();
      harness.engine.dispose();
    },
  };
}

/** Decodes that end when the test says so. */
function gated() {
  const ends: (() => void)[] = [];
  const apart = (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    ends.push(resolve);
    return promise;
  };
  return { apart, ends };
}

const texts = (count: number): string[] =>
  Array.from({ length: count }, (_, index) =>
    `text ${index}`.padEnd(60 + ((index * 37) % 150), "."),
  );

test("many inputs are computed side by side, and each gets the vector that it gets alone", async () => {
  let most = 0;
  const { engine, embedded, find, apart, model, end } = setUp({
    apart: async () => {
      await Bun.sleep(1);
      most = Math.max(most, apart().length);
    },
  });
  const inputs = texts(40);
  engine.embed(1, inputs);
  await embedded(1);
  for (const [index, input] of inputs.entries()) {
    engine.embed(100 + index, [input]);
    await embedded(100 + index);
    expect(find(1, "embedded")?.vectors[index]).toBe(find(100 + index, "embedded")!.vectors[0]);
  }
  expect(most).toBe(2);
  // The slots', the embedder's own, and the lanes'.
  const [, own, ...lanes] = model.contexts;
  expect(lanes).toHaveLength(2);
  expect(own?.history).toHaveLength(40);
  for (const lane of lanes) {
    expect(lane.history.length).toBeGreaterThan(5);
    // The shortest fill up what attention computes anyway.
    expect(lane.history.every(({ tokens }) => tokens <= 256)).toBe(true);
  }
  await end();
});

test("fewer inputs than lanes share all threads", async () => {
  const { engine, embedded, model, end } = setUp();
  engine.embed(1, ["a"]);
  await embedded(1);
  expect(model.contexts).toHaveLength(2);
  await end();
});

test("while lanes compute the engine rests, and takes newcomers", async () => {
  const { apart, ends } = gated();
  const { engine, until, embedded, end } = setUp({ apart });
  engine.embed(1, texts(2));
  await until(() => ends.length === 2);
  const step = spyOn(engine, "step");
  await Bun.sleep(20);
  expect(step.mock.calls.length).toBeLessThan(2);
  engine.embed(2, ["b"]);
  ends.shift()!();
  // The free lane takes it, though the other one is not ready.
  await until(() => ends.length === 2);
  ends.splice(1, 1)[0]!();
  await embedded(2);
  ends.shift()!();
  await embedded(1);
  await end();
});

test("a cancelled job says nothing more, and its lanes serve others", async () => {
  const { apart, ends } = gated();
  const { engine, until, of, embedded, end } = setUp({ apart });
  engine.embed(1, texts(20));
  await until(() => ends.length === 2);
  engine.cancel(1);
  engine.embed(2, texts(2));
  while (of(2).length === 0) {
    ends.shift()?.();
    await Bun.sleep(1);
  }
  await embedded(2);
  expect(of(1).map(({ type }) => type)).toEqual(["cancelled"]);
  await end();
});

test("an end waits for what is being computed", async () => {
  const { apart, ends } = gated();
  const { engine, until, end } = setUp({ apart });
  engine.embed(1, texts(20));
  await until(() => ends.length === 2);
  let isOver = false;
  const ended = end().then(() => (isOver = true));
  await Bun.sleep(5);
  expect(isOver).toBe(false);
  for (const finish of ends) finish();
  await ended;
});

test("without memory for lanes one context does all the work", async () => {
  const { engine, embedded, find, model, end } = setUp();
  const create = model.createContext.bind(model);
  spyOn(model, "createContext").mockImplementation((options): FakeContext => {
    if (model.contexts.length < 3) return create(options);
    throw new LmError(
      "insufficient_memory",
      { model: "", neededBytes: 1, availableBytes: 0 },
      "no",
    );
  });
  engine.embed(1, texts(20));
  await embedded(1);
  engine.embed(2, texts(20));
  await embedded(2);
  expect(find(2, "embedded")?.vectors).toEqual(find(1, "embedded")!.vectors);
  expect(model.contexts[2]?.isDisposed).toBe(true);
  expect(model.contexts[1]?.history.length).toBeGreaterThan(3);
  await end();
});

test("a text that takes a lane too long waits until all threads are free for it", async () => {
  const { apart, ends } = gated();
  const clock = new ManualClock();
  const { engine, until, embedded, model, end } = setUp({ apart }, clock);
  engine.embed(1, texts(2));
  await until(() => ends.length === 2);
  // 50 ms for each token, and more.
  clock.advance(10_000);
  ends.shift()!();
  await Bun.sleep(5);
  engine.embed(2, ["x".repeat(250), "b"]);
  const step = spyOn(engine, "step");
  await Bun.sleep(20);
  expect(step.mock.calls.length).toBeLessThan(3);
  expect(ends).toHaveLength(1);
  const [, own] = model.contexts;
  expect(own?.history).toHaveLength(0);
  ends.shift()!();
  await embedded(1);
  await embedded(2);
  // The long one, with the short one beside it.
  expect(own?.history[0]?.tokens).toBe(253);
  await end();
});

test("a vector that is not finite beside others is made again alone", async () => {
  const broken = new Float32Array(16).fill(Number.NaN);
  const { engine, embedded, find, end } = setUp({
    embed: (tokens, inBatch) => (tokens.length === 4 && inBatch > 1 ? broken : null),
  });
  engine.embed(1, ["a", "abc", "b", "cd"]);
  await embedded(1);
  expect(find(1, "embedded")?.vectors.filter(Boolean)).toHaveLength(4);
  await end();
});

test("a decode that fails in a lane ends the engine's run", async () => {
  const model = fakeModel({ apart: () => Promise.reject(new Error("broken")) });
  const { engine } = engineHarness({ model, lanes: 2 });
  const over = engine.run(new AbortController().signal);
  engine.embed(1, texts(4));
  expect(await over.catch(String)).toContain("broken");
});

test.each([
  { threads: 2, mib: 14, lanes: { count: 2, threads: 1 } },
  { threads: 16, mib: 14, lanes: { count: 16, threads: 1 } },
  { threads: 16, mib: 28, lanes: { count: 8, threads: 2 } },
  { threads: 6, mib: 60, lanes: { count: 3, threads: 2 } },
  { threads: 7, mib: 60, lanes: { count: 3, threads: 2 } },
  { threads: 1, mib: 14, lanes: null },
  { threads: 8, mib: 200, lanes: null },
])("$threads threads with $mib MiB for each context", ({ threads, mib, lanes }) => {
  expect(laneShape(mib * MIB, threads)).toEqual(lanes);
});
