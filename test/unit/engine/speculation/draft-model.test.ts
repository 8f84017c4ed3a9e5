import { expect, test } from "bun:test";
import { loadDraft } from "../../../../src/engine/load-draft.ts";
import { DraftModel } from "../../../../src/engine/speculation/draft-model.ts";
import { vocabularyMismatch } from "../../../../src/engine/speculation/vocabulary-match.ts";
import { hasCode } from "../../../../src/lib/errors.ts";
import type { Model } from "../../../../src/llama/backend.ts";
import type { GenerateJob, LoadOptions } from "../../../../src/protocol/commands.ts";
import { engineHarness, job, stillClock } from "../../../support/engine-harness.ts";
import { FakeBackend, type FakeContext, type FakeOptions } from "../../../support/fake-backend.ts";
import { mix } from "../../../support/fake-lifetime.ts";
import { FakeVocabulary } from "../../../support/fake-vocabulary.ts";
import { fakeModel } from "../../../support/fake-model.ts";

const greedy = { ...job("").sampling, ignoreEos: true };
const long = { maxTokens: 100, sampling: greedy };
/** What the large model says: letters that follow from the whole text. */
const said = (tokens: readonly number[]): number =>
  97 + (tokens.reduce((hash, token) => mix(hash, token), 7) % 26);

function draftOf(model: Model, sequences = 4, contextLength = 512, minProbability = 0) {
  const context = model.createContext({
    purpose: "generate",
    contextLength,
    sequences,
    batchCapacity: 64,
    threads: 1,
    kvTypeK: "f16",
    kvTypeV: "f16",
    flashAttention: "auto",
  });
  const guesser = new DraftModel({
    model,
    context,
    minProbability,
    governor: null,
    clock: stillClock,
  });
  return {
    name: "small",
    drafter: { model: guesser, maxTokens: 8, minTokens: 0 },
    memory: context.memory,
    context: context as FakeContext,
  };
}

function run(specs: GenerateJob[], next: FakeOptions["next"] | null, minProbability = 0) {
  const draft =
    next === null ? null : draftOf(fakeModel({ next: next ?? said }), 4, 512, minProbability);
  const harness = engineHarness({
    model: fakeModel({ next: said }),
    batchCapacity: 64,
    contextLength: 1024,
    ...(draft !== null && { draft }),
  });
  for (const [id, spec] of specs.entries()) harness.engine.generate(id, spec);
  harness.settle();
  const { history } = harness.context as FakeContext;
  return { ...harness, draft, steps: history.length };
}

test("a draft model that knows what comes makes few steps of many", () => {
  const specs = [job("a story", long), job("another one", long)];
  const plain = run(specs, null);
  const quick = run(specs, said);
  for (const id of [0, 1]) expect(quick.text(id)).toBe(plain.text(id));
  expect(plain.steps).toBeGreaterThanOrEqual(100);
  expect(quick.steps).toBeLessThan(60);
  const { drafts } = quick.find(0, "jobDone")?.timings ?? {};
  expect(drafts?.model).toBe("small");
  expect(drafts?.accepted).toBeGreaterThan(50);
  expect(drafts?.total).toBe(
    (drafts?.accepted ?? 0) + (drafts?.rejected ?? 0) + (drafts?.ignored ?? 0),
  );
  // Its cache is empty again.
  expect(quick.draft?.context.usedCells).toBe(0);
  expect(plain.find(0, "jobDone")?.timings.drafts).toBeUndefined();
});

test("one that is right now and then changes no answer, and one that never is is left alone", () => {
  const specs = [
    job("a story", { ...long, choices: 2, sampling: { ...greedy, temperature: 1, seed: 4 } }),
    job("another one", { ...long, stops: ["ab", "e"] }),
  ];
  const plain = run(specs, null);
  const sometimes = run(specs, (tokens) => said(tokens) - (tokens.length % 3 === 0 ? 1 : 0));
  const never = run([job("a story", { ...long, maxTokens: 300 })], () => 48);
  expect([0, 1].map((choice) => sometimes.text(0, choice))).toEqual(
    [0, 1].map((choice) => plain.text(0, choice)),
  );
  expect(sometimes.text(1)).toBe(plain.text(1));
  const { drafts } = never.find(0, "jobDone")?.timings ?? {};
  expect(drafts?.accepted).toBe(0);
  // A guess costs a fifth of a step here: 1 % of the tokens and the first credit.
  expect((drafts?.total ?? 0) / 5).toBeLessThan(300 * 0.02 + 2);
  expect(drafts?.rejected).toBeGreaterThan(0);
});

test("a long prompt is read in pieces, and a cache that is full is begun anew", () => {
  const spec = job("p".repeat(400), long);
  const draft = draftOf(fakeModel({ next: said }), 4, 450);
  const harness = engineHarness({
    model: fakeModel({ next: said }),
    batchCapacity: 64,
    contextLength: 1024,
    draft,
  });
  harness.engine.generate(1, spec);
  harness.settle();
  expect(harness.text(1)).toBe(run([spec], null).text(0));
  const sizes = draft.context.history.map(({ tokens }) => tokens);
  expect(Math.max(...sizes)).toBe(64);
  expect(draft.context.usedCells).toBe(0);
});

test("guesses of which the draft model is unsure are not made", () => {
  const sure = run([job("a story", long)], said, 0.99);
  const unsure = run([job("a story", long)], () => null, 0.99);
  expect(sure.find(0, "jobDone")?.timings.drafts?.accepted).toBeGreaterThan(50);
  expect(unsure.find(0, "jobDone")?.timings.drafts?.total).toBe(0);
});

const options: LoadOptions = {
  modelPath: "large",
  contextLength: 256,
  parallel: 2,
  batchCapacity: 16,
  gpuLayers: "off",
  threads: 1,
  kvTypeK: "f16",
  kvTypeV: "f16",
  flashAttention: "auto",
  mmap: true,
  speculation: "auto",
  purpose: "generate",
  draft: { name: "small", modelPath: "small", maxTokens: 8, minTokens: 0, minProbability: 0 },
};

const unsuited: { name: string; main: FakeOptions; draft: FakeOptions }[] = [
  { name: "a recurrent draft model", main: {}, draft: { facts: { isRecurrent: true } } },
  { name: "one for a recurrent model", main: { facts: { isRecurrent: true } }, draft: {} },
  { name: "one with a window", main: {}, draft: { facts: { slidingWindow: 255 } } },
  { name: "one for a window", main: { facts: { slidingWindow: 255 } }, draft: {} },
  { name: "an encoder", main: {}, draft: { facts: { hasDecoder: false } } },
];

test.each(unsuited)("$name is refused by its name, and freed", ({ main, draft }) => {
  const model = fakeModel(main);
  const backend = new FakeBackend(draft);
  const harness = engineHarness({ model });
  let error: unknown;
  try {
    const deps = { backend, clock: stillClock, threads: 1, isGoverned: false };
    loadDraft(options, model, { context: harness.context, contextLength: 256 }, deps);
  } catch (caught) {
    error = caught;
  }
  expect(hasCode(error, "invalid_request") && error.message).toContain('"small" cannot draft');
  expect(() => backend.models[0]?.createGrammar('root ::= "a"')).toThrow("model");
});

test("a window as long as the context that was promised is enough, however the library rounds", () => {
  const facts = { slidingWindow: 100 };
  const model = fakeModel({ facts });
  const harness = engineHarness({ model, contextLength: 256 });
  const deps = { backend: new FakeBackend({ facts }), clock: stillClock };
  const main = { context: harness.context, contextLength: 100 };
  const draft = loadDraft(options, model, main, { ...deps, threads: 1, isGoverned: false });
  expect(draft?.name).toBe("small");
});

test("tokens with other bytes, and a vocabulary of another size, are told", () => {
  class Shifted extends FakeVocabulary {
    override piece(token: number, special: boolean): Uint8Array {
      return super.piece(token === 90 ? 91 : token, special);
    }
  }
  class Larger extends FakeVocabulary {
    override readonly size: number = 5000;
  }
  const main = new FakeVocabulary();
  expect(vocabularyMismatch(main, new FakeVocabulary())).toBeNull();
  expect(vocabularyMismatch(main, new Shifted())).toBe("its token 90 is another one");
  expect(vocabularyMismatch(main, new Larger())).toBe("it has 5000 tokens instead of 267");
});
