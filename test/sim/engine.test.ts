import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { GenerateJob } from "../../src/protocol/commands.ts";
import { engineHarness, job } from "../support/engine-harness.ts";
import type { FakeContext } from "../support/fake-backend.ts";
import { fakeModel } from "../support/fake-model.ts";

/** What a client does, and how many engine steps pass before the next one acts. */
interface Visit {
  prefix: number;
  prefixLength: number;
  tail: string;
  maxTokens: number;
  choices: number;
  isGreedy: boolean;
  hasGrammar: boolean;
  cachePrompt: boolean;
  promptLogprobs: boolean;
  /** Steps until it is cancelled; null = never. */
  cancelAfter: number | null;
  stepsAfter: number;
}

const visit: fc.Arbitrary<Visit> = fc.record({
  prefix: fc.nat(2),
  prefixLength: fc.constantFrom(0, 5, 40, 90),
  tail: fc.string({ unit: fc.constantFrom("x", "y"), maxLength: 8 }),
  maxTokens: fc.constantFrom(0, 1, 3, 12, 60),
  choices: fc.constantFrom(1, 1, 1, 2, 5),
  isGreedy: fc.boolean(),
  hasGrammar: fc.constantFrom(false, false, false, false, true),
  cachePrompt: fc.constantFrom(true, true, true, false),
  promptLogprobs: fc.constantFrom(false, false, false, true),
  cancelAfter: fc.option(fc.nat(12), { nil: null, freq: 3 }),
  stepsAfter: fc.nat(8),
});

const shape = fc.record({
  parallel: fc.integer({ min: 1, max: 5 }),
  contextLength: fc.constantFrom(160, 256, 600),
  batchCapacity: fc.constantFrom(5, 16, 64),
  spare: fc.nat(6),
  speculates: fc.boolean(),
  memory: fc.constantFrom(...(["full", "full", "recurrent", "window"] as const)),
});

const facts = {
  full: {},
  recurrent: { isRecurrent: true },
  window: { slidingWindow: 32 },
} as const;

function jobOf(visited: Visit): GenerateJob {
  const { prefix, prefixLength, tail, isGreedy, hasGrammar, promptLogprobs } = visited;
  const text = "abc".charAt(prefix).repeat(prefixLength) + tail;
  const base = job(text);
  return job(text, {
    maxTokens: visited.maxTokens,
    choices: visited.choices,
    cachePrompt: visited.cachePrompt,
    promptLogprobs,
    logprobs: promptLogprobs ? 1 : null,
    sampling: { ...base.sampling, temperature: isGreedy ? 0 : 1, seed: 99 },
    grammar: hasGrammar ? { gbnf: 'root ::= [a-m]+ "z"', attach: { kind: "start" } } : null,
    stops: ["qq"],
  });
}

const oracleTexts = new Map<string, string[]>();

/** The texts of one job alone in an engine that is large enough for everything. */
function oracle(spec: GenerateJob): string[] {
  const alone = { ...spec, promptLogprobs: false, logprobs: null, cachePrompt: false };
  const key = JSON.stringify(alone);
  const known = oracleTexts.get(key);
  if (known !== undefined) return known;
  const texts = Array.from({ length: spec.choices }, (_, choice) => {
    const { seed } = spec.sampling;
    const sampling = { ...spec.sampling, seed: (seed ?? 0) + choice };
    const { engine, settle, text } = engineHarness({
      model: fakeModel(),
      parallel: 1,
      contextLength: 4096,
      batchCapacity: 512,
      sequences: 1,
    });
    engine.generate(1, { ...alone, sampling, choices: 1 });
    settle();
    return text(1);
  });
  oracleTexts.set(key, texts);
  return texts;
}

test("whatever arrives and leaves, every job ends once, says the right words and leaves nothing", () => {
  fc.assert(
    fc.property(shape, fc.array(visit, { minLength: 1, maxLength: 14 }), (size, arrivals) => {
      const model = fakeModel({ facts: facts[size.memory] });
      const harness = engineHarness({
        model,
        parallel: size.parallel,
        contextLength: size.contextLength,
        batchCapacity: Math.max(size.batchCapacity, size.parallel),
        sequences: size.parallel + size.spare,
        speculates: size.speculates,
      });
      const { engine } = harness;
      const context = harness.context as FakeContext;
      const cancels: { id: number; atStep: number }[] = [];
      let now = 0;
      const step = (): void => {
        for (const { id, atStep } of cancels) if (atStep === now) engine.cancel(id);
        engine.step();
        now++;
        // Plain comparisons: there are many thousand steps.
        if (engine.load.running > size.parallel) throw new Error("more runs than there are slots");
        if (engine.load.kvCellsUsed !== context.usedCells) throw new Error("the books are wrong");
      };
      for (const [id, each] of arrivals.entries()) {
        engine.generate(id, jobOf(each));
        if (each.cancelAfter !== null) cancels.push({ id, atStep: now + each.cancelAfter });
        for (let steps = each.stepsAfter; steps > 0; steps--) step();
      }
      while (!engine.isIdle) {
        step();
        if (now > 20_000) throw new Error("the engine does not come to an end");
      }
      for (const [id, each] of arrivals.entries()) {
        expect(harness.terminals(id)).toHaveLength(1);
        const spec = jobOf(each);
        const isDone = harness.find(id, "jobDone") !== undefined;
        for (const [choice, expected] of oracle(spec).entries()) {
          const text = harness.text(id, choice);
          if (isDone) expect(text).toBe(expected);
          else expect(expected.startsWith(text)).toBe(true);
        }
      }
      const books = engine.generator?.bookkeeping;
      expect(books?.sequences).toBe(books?.stored ?? -1);
      expect(books?.pinnedCells).toBe(0);
      expect(context.liveSamplers).toBe(0);
      engine.dispose();
      expect(context.usedCells).toBe(0);
    }),
    { seed: 20_261_123, numRuns: 100 },
  );
}, 60_000);
