import { expect, test } from "bun:test";
import { LmError } from "../../../../src/lib/errors.ts";
import type { GenerateJob } from "../../../../src/protocol/commands.ts";
import { engineHarness, job } from "../../../support/engine-harness.ts";
import type { FakeContext, FakeOptions } from "../../../support/fake-backend.ts";
import { mix } from "../../../support/fake-lifetime.ts";
import { fakeModel } from "../../../support/fake-model.ts";

const FILE = "The quick brown fox jumps over a lazy dog and 17 zebras vex my big sphinx of quartz.";
const greedy = { ...job("").sampling, ignoreEos: true };
const long = { maxTokens: 120, sampling: greedy };

/** Copies what stands a whole file before, but for every 40th token. */
const copier = (tokens: readonly number[]): number | null => {
  const source = tokens[tokens.length - FILE.length] ?? null;
  return tokens.length % 40 === 0 ? 33 : source;
};

function run(
  spec: GenerateJob,
  speculates: boolean,
  options: FakeOptions = { next: copier },
  shape: { parallel?: number; contextLength?: number } = {},
) {
  const harness = engineHarness({
    model: fakeModel(options),
    speculates,
    batchCapacity: 128,
    ...shape,
  });
  harness.engine.generate(1, spec);
  harness.settle();
  const context = harness.context as FakeContext;
  const { generator } = harness.engine;
  return { ...harness, context, steps: context.history.length, totals: generator?.load, generator };
}

test("a text that copies another takes far fewer steps and reads the same", () => {
  const plain = run(job(FILE, long), false);
  const quick = run(job(FILE, long), true);
  expect(quick.text(1)).toBe(plain.text(1));
  expect(plain.text(1)).toContain("brown fox jumps");
  expect(plain.steps).toBe(121);
  expect(quick.steps).toBeLessThan(40);
  expect(quick.find(1, "choiceDone")).toEqual(plain.find(1, "choiceDone"));
  expect(quick.books()).toEqual(plain.books());
  expect(quick.context.usedCells).toBe(plain.context.usedCells);
});

test("right guesses do not outlive the tokens asked for", () => {
  for (const maxTokens of [1, 2, 3, 7, 50]) {
    const { find, context } = run(job(FILE, { ...long, maxTokens }), true);
    expect(find(1, "choiceDone")).toMatchObject({ completionTokens: maxTokens, finish: "length" });
    expect(context.usedCells).toBeLessThanOrEqual(FILE.length + 1 + maxTokens);
  }
});

const cases: { name: string; fields: Partial<GenerateJob> }[] = [
  { name: "stop strings", fields: { stops: ["jumps over", "zeb"] } },
  { name: "log probabilities", fields: { logprobs: 3 } },
  { name: "drawn tokens", fields: { sampling: { ...greedy, temperature: 1, seed: 7 } } },
  {
    name: "several choices",
    fields: { choices: 3, sampling: { ...greedy, temperature: 1, seed: 7 } },
  },
  {
    name: "a grammar",
    fields: {
      sampling: job("").sampling,
      grammar: { gbnf: 'root ::= [A-Za-z0-9 .]+ "!"', attach: { kind: "start" } },
    },
  },
  {
    name: "an end token",
    fields: { sampling: { ...greedy, ignoreEos: false, logitBias: [[33, null]] } },
  },
];

test.each(cases)("$name: the answer is the same with and without guesses", ({ fields }) => {
  const spec = job(FILE, { ...long, ...fields });
  const plain = run(spec, false);
  const quick = run(spec, true);
  expect(quick.steps).toBeLessThan(plain.steps);
  const told = ({ of }: typeof plain, choice: number) => {
    const events = of(1).filter((event) => "choice" in event && event.choice === choice);
    const texts = events.flatMap((event) => (event.type === "text" ? [event] : []));
    return {
      text: texts.map(({ text }) => text).join(""),
      logprobs: texts.flatMap(({ logprobs }) => logprobs ?? []),
      done: events.find((event) => event.type === "choiceDone"),
    };
  };
  for (let choice = 0; choice < spec.choices; choice++) {
    expect(told(quick, choice)).toEqual(told(plain, choice));
  }
});

test("guesses that are mostly wrong cost a bounded part of the work, however long the text", () => {
  // Noise of eight letters: every three of them stood before, the next is right one time in eight.
  const noise = ({ length }: readonly number[]): number => 97 + (mix(length, 3) % 8);
  const tokens = 2000;
  const spec = job("", { maxTokens: tokens, sampling: greedy });
  const { context, steps } = run(spec, true, { next: noise }, { contextLength: 4096 });
  const rows = context.history.reduce((sum, { tokens: count }) => sum + count, 0);
  expect(rows).toBeGreaterThan(steps);
  // Before anything is measured a guess is taken to cost a fifth of a step.
  const loss = (rows - steps) / 5 - (tokens - steps);
  expect(loss).toBeLessThan(0.02 * tokens);
});

test("memory that cannot be cut is left alone", () => {
  for (const facts of [{ isRecurrent: true }, { isHybrid: true }, { slidingWindow: 32 }]) {
    const { steps } = run(job(FILE, long), true, { facts, next: copier });
    expect(steps).toBe(121);
  }
});

test("a decode that finds no cells for guesses is tried again without them", () => {
  const free = run(job(FILE, long), true);
  const guessed = free.context.history.findIndex(({ tokens }, step) => step > 2 && tokens > 4);
  const { find, text, steps } = run(job(FILE, long), true, {
    next: copier,
    isFull: (attempt) => attempt === guessed + 1,
  });
  expect(find(1, "jobDone")).toBeDefined();
  expect(text(1)).toBe(free.text(1));
  expect(steps).toBeLessThan(free.steps + 10);
});

test("guesses take no cells that another slot needs", () => {
  const plain = [FILE, FILE.slice(3), FILE.slice(9)].map((text) =>
    run(job(text, long), false).text(1),
  );
  const harness = engineHarness({
    model: fakeModel({ next: copier }),
    speculates: true,
    parallel: 3,
    contextLength: 448,
    batchCapacity: 64,
  });
  for (const [id, text] of [FILE, FILE.slice(3), FILE.slice(9)].entries()) {
    harness.engine.generate(id, job(text, { ...long, cachePrompt: false }));
  }
  harness.settle();
  expect([0, 1, 2].map((id) => harness.text(id))).toEqual(plain);
});

test("a job that fails takes the unchecked guesses of its other choices with it", () => {
  const gate = (point: string, count: number): void => {
    if (point === "sample" && count === 60) throw new LmError("internal", {}, "fake: no choice");
  };
  const harness = engineHarness({
    model: fakeModel({ next: copier, gate }),
    speculates: true,
    batchCapacity: 64,
  });
  const { engine, settle, find, text } = harness;
  engine.generate(1, job(FILE, { ...long, choices: 3 }));
  settle();
  expect(find(1, "jobFailed")?.message).toBe("fake: no choice");
  const held = harness.books();
  expect(held.pinnedCells).toBe(0);
  expect((harness.context as FakeContext).usedCells).toBe(engine.load.kvCellsUsed);
  // What was stored of it continues as if nothing had been guessed.
  const again = job(FILE + text(1), { ...long, maxTokens: 40 });
  engine.generate(2, again);
  settle();
  expect(find(2, "accepted")?.cachedTokens).toBeGreaterThan(FILE.length);
  expect(text(2)).toBe(run(again, false).text(1));
});
