import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { MemoryBlocks } from "../../src/engine/archive/memory-blocks.ts";
import type { ArchiveOptions } from "../../src/engine/archive/prefix-archive.ts";
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
  /** Bytes that are kept of what leaves the cells; 0 = there is no archive. */
  archiveBytes: fc.constantFrom(0, 3_000, 1_000_000),
});

interface Size {
  parallel: number;
  contextLength: number;
  batchCapacity: number;
  spare: number;
  speculates: boolean;
  memory: keyof typeof facts;
  archiveBytes: number;
}

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

function archiveOf(maxBytes: number): { archive?: ArchiveOptions; shortArchive?: ArchiveOptions } {
  if (maxBytes === 0) return {};
  const inMemory = (blockTokens: number): ArchiveOptions => {
    return { store: new MemoryBlocks(maxBytes), fingerprint: "", blockTokens, leastTokens: 10 };
  };
  return { archive: inMemory(16), shortArchive: inMemory(256) };
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

/** Runs everything that arrives; each job must end well. @returns how often the archive helped. */
function simulate(size: Size, arrivals: readonly Visit[]): number {
  const model = fakeModel({ facts: facts[size.memory] });
  const harness = engineHarness({
    model,
    parallel: size.parallel,
    contextLength: size.contextLength,
    batchCapacity: Math.max(size.batchCapacity, size.parallel),
    sequences: size.parallel + size.spare + 1,
    speculates: size.speculates,
    ...archiveOf(size.archiveBytes),
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
  // A stored prefix has to be saved before it is of use to those that come later.
  const saveAll = (): void => {
    for (let left = 50; left > 0 && engine.generator?.tidy() !== null; left--);
  };
  for (const [id, each] of arrivals.entries()) {
    if (id % 3 === 2) saveAll();
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
  const archiveHits = engine.generator?.cacheLoad.hits.archive ?? 0;
  const held = harness.books();
  expect(held.sequences).toBe(held.stored);
  expect(held.pinnedCells).toBe(0);
  expect(context.liveSamplers).toBe(0);
  engine.dispose();
  expect(context.usedCells).toBe(0);
  return archiveHits;
}

test("whatever arrives and leaves, every job ends once, says the right words and leaves nothing", () => {
  const all = fc.array(visit, { minLength: 1, maxLength: 14 });
  fc.assert(
    fc.property(shape, all, (size, arrivals) => void simulate(size, arrivals)),
    { seed: 20_261_123, numRuns: 100, includeErrorInReport: true },
  );
}, 60_000);

test("what the archive gives back to a cache that is too small says the right words too", () => {
  let hits = 0;
  const long = visit.map((each) => ({ ...each, prefixLength: 90, maxTokens: each.maxTokens % 12 }));
  const small = fc.record({
    parallel: fc.integer({ min: 1, max: 3 }),
    contextLength: fc.constant(200),
    batchCapacity: fc.constantFrom(16, 64),
    spare: fc.constantFrom(2, 6),
    speculates: fc.boolean(),
    memory: fc.constantFrom(...(["full", "full", "recurrent", "window"] as const)),
    archiveBytes: fc.constantFrom(3_000, 1_000_000),
  });
  fc.assert(
    fc.property(small, fc.array(long, { minLength: 8, maxLength: 20 }), (size, arrivals) => {
      hits += simulate(size, arrivals);
    }),
    { seed: 20_261_128, numRuns: 80, includeErrorInReport: true },
  );
  expect(hits).toBeGreaterThan(20);
}, 60_000);
