import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import type { LoadedDraft } from "../../src/engine/load-draft.ts";
import { DraftModel } from "../../src/engine/speculation/draft-model.ts";
import { defined } from "../../src/lib/assert.ts";
import { createFfiBackend } from "../../src/llama/ffi-backend.ts";
import type { Backend, Model } from "../../src/llama/backend.ts";
import type { GenerateJob } from "../../src/protocol/commands.ts";
import { engineHarness, job, stillClock } from "../support/engine-harness.ts";
import { llamaLibraries } from "../support/llama-libraries.ts";

const libraryDir = llamaLibraries();
const REQUESTS = 250;
const SCOPES = ["first key", "second key"] as const;
const PREFIXES = [
  "let total = 0; for (const item of items) total += item.price; ",
  "Once upon a time there was a small house by the river, and in it lived ",
  "aaaaaaaabaaaaaaaabaaaaaaaab",
];
const GRAMMARS = ['root ::= [a-z ]{3,40} "."', 'root ::= "yes" | "no" | [0-9]+ "!"'];

/** The same numbers for the same seed, on every machine. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % limit;
  };
}

interface Arrival {
  spec: GenerateJob;
  /** Steps from its arrival to the next. */
  pause: number;
  /** Steps from its arrival to its cancel; null = it stays. */
  cancelAfter: number | null;
}

/** Prompts of 1 to 400 tokens: alone, with a shared beginning, or a continuation of one before. */
function arrivals(seed: number): Arrival[] {
  const next = numbers(seed);
  const pick = <T>(items: readonly T[]): T => items[next(items.length)] as T;
  const texts: string[] = [];
  return Array.from({ length: REQUESTS }, (_, id) => {
    const prefix = pick(PREFIXES);
    const kind = next(4);
    const text =
      kind === 0
        ? `${id} ${String.fromCharCode(...Array.from({ length: next(60) }, () => 97 + next(26)))}`
        : kind === 1
          ? `${pick([...texts, prefix]).slice(0, 300)}${prefix.slice(0, next(30))}`
          : `${prefix.repeat(1 + next(3)).slice(next(5))}${kind === 3 ? id : ""}`;
    texts.push(text);
    const hasGrammar = next(8) === 0;
    const base = job(text).sampling;
    const sampling = {
      ...base,
      ignoreEos: !hasGrammar,
      ...(next(6) === 0 && { repeatPenalty: 1.3 }),
      ...(next(10) === 0 && { temperature: 0.7, seed: id }),
    };
    const spec = job(text, {
      sampling,
      maxTokens: pick([0, 1, 3, 10, 40, 40, 90]),
      choices: pick([1, 1, 1, 1, 2, 4]),
      cachePrompt: next(6) > 0,
      cacheScope: pick(SCOPES),
      logprobs: next(8) === 0 ? 2 : null,
      stops: next(8) === 0 ? ["e", "ab"] : [],
      grammar: hasGrammar ? { gbnf: pick(GRAMMARS), attach: { kind: "start" } } : null,
    });
    return { spec, pause: pick([0, 0, 3, 30]), cancelAfter: next(9) === 0 ? next(20) : null };
  });
}

interface Round {
  name: string;
  seed: number;
  parallel: number;
  speculates: boolean;
  hasDraft?: boolean;
}

describe.if(libraryDir !== null)("hundreds of random requests over llama.cpp", () => {
  let folder: string;
  let path: string;
  let backend: Backend;
  /** F32 weights and cache: batching cannot turn the order of two logits. */
  let model: Model;
  const known = new Map<string, string>();

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "lmserver-test-"));
    path = join(folder, "exact.gguf");
    makeModel({ path, architecture: "llama", type: "F32", seed: 11 });
    backend = createFfiBackend({ libraryDir: libraryDir ?? "", onLog: () => undefined });
    model = load(path);
  });

  function load(file: string): Model {
    const options = { path: file, gpuLayers: "off", contextLength: null, mmap: true } as const;
    return backend.loadModel(options, () => undefined);
  }

  afterAll(() => {
    model.dispose();
    rmSync(folder, { recursive: true });
  });

  /** What one choice says with nothing beside it, before it or guessed: text and log probabilities. */
  function oracle(harness: ReturnType<typeof engineHarness>, spec: GenerateJob, choice: number) {
    const { seed } = spec.sampling;
    const sampling = { ...spec.sampling, seed: seed === null ? null : seed + choice };
    const alone = { ...spec, sampling, choices: 1, cachePrompt: false };
    const key = JSON.stringify(alone);
    const jobId = 1_000_000 + known.size;
    if (!known.has(key)) {
      harness.engine.generate(jobId, alone);
      harness.settle();
      known.set(key, said(harness, jobId, 0));
      harness.events.length = 0;
    }
    return known.get(key) ?? "";
  }

  function said({ of }: ReturnType<typeof engineHarness>, jobId: number, choice: number): string {
    const texts = of(jobId).flatMap((event) =>
      event.type === "text" && event.choice === choice ? [event] : [],
    );
    const done = of(jobId).find((event) => event.type === "choiceDone" && event.choice === choice);
    const end = done?.type === "choiceDone" ? [done.finish, done.stop, done.completionTokens] : [];
    const ids = texts.flatMap(({ logprobs }) => logprobs?.map(({ id }) => id) ?? []);
    return JSON.stringify([texts.map(({ text }) => text).join(""), ids, ...end]);
  }

  const shared = { batchCapacity: 32, contextLength: 768, kvType: "f32", sequences: 24 } as const;
  /** The model once more: what it guesses is right but for what samplers and grammars change. */
  function draftOf(file: string, sequences: number): LoadedDraft {
    const own = load(file);
    const context = own.createContext({
      purpose: "generate",
      contextLength: shared.contextLength,
      sequences,
      batchCapacity: shared.batchCapacity,
      threads: 1,
      kvTypeK: "f32",
      kvTypeV: "f32",
      flashAttention: "off",
    });
    const guesser = new DraftModel({
      model: own,
      context,
      minProbability: 0,
      governor: null,
      clock: stillClock,
    });
    const drafter = { model: guesser, maxTokens: 8, minTokens: 0 };
    return { name: "twin", drafter, memory: context.memory };
  }

  const rounds: Round[] = [
    { name: "with guesses", seed: 20_261, parallel: 5, speculates: true },
    { name: "without", seed: 20_261, parallel: 5, speculates: false },
    { name: "fewer slots, other requests", seed: 733, parallel: 3, speculates: true },
    { name: "with a draft model", seed: 733, parallel: 4, speculates: true, hasDraft: true },
  ];

  test.each(rounds)(
    "every answer is the one the request gets alone: $name",
    (round) => {
      const draft = round.hasDraft === true ? { draft: draftOf(path, round.parallel) } : {};
      const harness = engineHarness({ model, ...shared, ...round, ...draft });
      const lonely = engineHarness({ model, ...shared, parallel: 1, sequences: 1 });
      const { engine, find, terminals } = harness;
      const all = arrivals(round.seed);
      const cancels = new Map<number, number[]>();
      let now = 0;
      const next = numbers(round.seed);
      const step = (): void => {
        // Somebody who is being answered leaves, too.
        const { slots } = engine.status;
        if (next(40) === 0) engine.cancel(slots[next(Math.max(slots.length, 1))]?.jobId ?? -1);
        for (const id of cancels.get(now) ?? []) engine.cancel(id);
        engine.step();
        now++;
      };
      for (const [id, { spec, pause, cancelAfter }] of all.entries()) {
        engine.generate(id, spec);
        if (cancelAfter !== null) {
          const at = now + cancelAfter;
          cancels.set(at, [...(cancels.get(at) ?? []), id]);
        }
        for (let count = 0; count < pause; count++) step();
      }
      for (; !engine.isIdle; step())
        if (now > 50_000) throw new Error("it does not come to an end");

      for (const [id, { spec }] of all.entries()) {
        expect(terminals(id)).toHaveLength(1);
        if (find(id, "jobDone") === undefined) continue;
        for (let choice = 0; choice < spec.choices; choice++) {
          expect(`${id} ${said(harness, id, choice)}`).toBe(
            `${id} ${oracle(lonely, spec, choice)}`,
          );
        }
      }
      const { totals, speculation, cacheLoad } = defined(engine.generator, "it generates");
      const held = harness.books();
      expect(held.sequences).toBe(held.stored);
      expect(held.pinnedCells).toBe(0);
      // The round met what it is about.
      const stages = harness.events.flatMap((event) =>
        event.type === "cancelled" ? [event.stage] : [],
      );
      expect(new Set(stages)).toEqual(new Set(["queue", "prefill", "decode"]));
      expect(speculation.acceptedTokens > 500).toBe(round.speculates);
      expect(cacheLoad.hits.running).toBeGreaterThan(0);
      expect(cacheLoad.hits.stored).toBeGreaterThan(0);
      expect(totals.promptTokens).toBeGreaterThan(20 * shared.contextLength);
      harness.engine.disposeContexts();
      lonely.engine.disposeContexts();
    },
    120_000,
  );
});
