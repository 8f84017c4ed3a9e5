import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createFfiBackend } from "../../src/llama/ffi-backend.ts";
import type { Backend, Model } from "../../src/llama/backend.ts";
import type { GenerateJob } from "../../src/protocol/commands.ts";
import { engineHarness, job, type HarnessOptions } from "../support/engine-harness.ts";
import { DEMO_MODEL, llamaLibraries } from "../support/llama-libraries.ts";

const libraryDir = llamaLibraries();
const endless = { sampling: { ...job("").sampling, ignoreEos: true } };

describe.if(libraryDir !== null)("the engine over llama.cpp", () => {
  let folder: string;
  let backend: Backend;
  /** Exact: F32 weights and cache, so that batching cannot turn the order of two logits. */
  let exact: Model;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "lmserver-test-"));
    const path = join(folder, "exact.gguf");
    makeModel({ path, architecture: "llama", type: "F32", seed: 5 });
    backend = createFfiBackend({ libraryDir: libraryDir!, onLog: () => undefined });
    exact = load(path);
  });

  afterAll(() => {
    exact.dispose();
    rmSync(folder, { recursive: true });
  });

  function load(path: string): Model {
    const file = { path, gpuLayers: "off", contextLength: null, mmap: true } as const;
    return backend.loadModel(file, () => undefined);
  }

  function withEngine(
    options: Partial<HarnessOptions>,
    use: (harness: ReturnType<typeof engineHarness>) => void,
  ): void {
    const harness = engineHarness({ model: exact, kvType: "f32", ...options });
    try {
      use(harness);
    } finally {
      harness.engine.disposeContexts();
    }
  }

  function alone(spec: GenerateJob): string {
    let told = "";
    withEngine({ parallel: 1, sequences: 1, contextLength: 512 }, ({ engine, settle, text }) => {
      engine.generate(1, { ...spec, choices: 1, cachePrompt: false });
      settle();
      told = text(1);
    });
    return told;
  }

  test("many at once, with shared prefixes and cancels, say what each says alone", () => {
    let random = 77;
    const next = (limit: number): number => {
      random = (Math.imul(random, 1103515245) + 12345) >>> 0;
      return (random >>> 8) % limit;
    };
    const specs = Array.from({ length: 60 }, (_, id) =>
      job("abc".charAt(next(3)).repeat(next(80)) + (id % 20), {
        maxTokens: 1 + next(24),
        choices: 1 + (next(5) === 0 ? 2 : 0),
        cachePrompt: next(6) > 0,
        ...endless,
      }),
    );
    withEngine({ parallel: 4, contextLength: 512, batchCapacity: 48 }, (harness) => {
      const { engine, settle, terminals, text, find } = harness;
      for (const [id, spec] of specs.entries()) {
        engine.generate(id, spec);
        for (let steps = next(4); steps > 0; steps--) engine.step();
        if (next(6) === 0) engine.cancel(id - next(3));
      }
      settle();
      for (const [id, spec] of specs.entries()) {
        expect(terminals(id)).toHaveLength(1);
        const expected = alone(spec);
        const isDone = find(id, "jobDone") !== undefined;
        for (let choice = 0; choice < spec.choices; choice++) {
          if (isDone) expect(text(id, choice)).toBe(expected);
          else expect(expected).toStartWith(text(id, choice).replace(/\ufffd$/, ""));
        }
      }
      const held = harness.books();
      expect(held.sequences).toBe(held.stored);
      expect(held.pinnedCells).toBe(0);
    });
  });

  test("a full cache sends the newest back and changes no text", () => {
    const specs = [1, 2, 3].map((id) => job(`prompt ${id}`, { maxTokens: 150, ...endless }));
    withEngine({ parallel: 3, contextLength: 256, batchCapacity: 64 }, (harness) => {
      for (const [id, spec] of specs.entries()) harness.engine.generate(id, spec);
      harness.settle();
      for (const [id, spec] of specs.entries()) expect(harness.text(id)).toBe(alone(spec));
    });
  });

  test("an embedding from a batch equals the one made alone", () => {
    withEngine({}, ({ engine, settle, find }) => {
      const inputs = Array.from({ length: 12 }, (_, index) => "word ".repeat(index + 1));
      engine.embed(100, inputs);
      for (const [index, input] of inputs.entries()) engine.embed(index, [input]);
      settle();
      for (const index of inputs.keys()) {
        const single = floats(find(index, "embedded")?.vectors[0]);
        const batched = floats(find(100, "embedded")?.vectors[index]);
        expect(Math.hypot(...single)).toBeCloseTo(1, 4);
        expect(
          single.reduce((sum, value, i) => sum + value * (batched[i] ?? 0), 0),
        ).toBeGreaterThan(0.9999);
      }
    });
  });

  test("a grammar that can be read in more and more ways fails its own job, in time", () => {
    // Each bracket doubles the ways: which letter must follow is only told at the end.
    const gbnf = 'root ::= x | y\nx ::= "[" root "x]"\ny ::= "[" root "y]"';
    const stream = job("and then", { maxTokens: 60, ...endless });
    const expected = alone(stream);
    withEngine({ clock: systemClock }, ({ engine, settle, events, terminals, text }) => {
      engine.generate(1, stream);
      engine.generate(2, job("[", { maxTokens: 60, grammar: { gbnf, attach: { kind: "start" } } }));
      settle();
      expect(terminals(2)).toMatchObject([
        { type: "jobFailed", code: "invalid_request", details: { reason: "invalid_grammar" } },
      ]);
      expect(terminals(1)).toMatchObject([{ type: "jobDone" }]);
      expect(text(1)).toBe(expected);
      const failedAt = events.findIndex((event) => event.type === "jobFailed");
      const ids = events.slice(0, failedAt).map((event) => event.jobId);
      expect(ids.filter((id) => id === 1).length).toBeGreaterThan(6);
      expect(failedAt).toBeLessThan(events.length - 6);
    });
  });

  test("the demo model answers, scores and obeys a grammar", () => {
    const demo = load(DEMO_MODEL);
    const harness = engineHarness({ model: demo, contextLength: 512 });
    const { engine, settle, text, find, of } = harness;
    const attach = { kind: "start" } as const;
    engine.generate(1, job("Once upon a time", { logprobs: 3, promptLogprobs: true }));
    engine.generate(2, job("Is it?", { grammar: { gbnf: 'root ::= "yes" | "no"', attach } }));
    settle();
    expect(["yes", "no"]).toContain(text(2));
    const told = of(1).flatMap((event) => (event.type === "text" ? (event.logprobs ?? []) : []));
    expect(told.map((token) => token.text).join("")).toBe(text(1));
    // Greedy: the sampled token is the best one.
    for (const token of told) expect(token.top[0]?.id).toBe(token.id);
    const prompt = find(1, "promptLogprobs")?.tokens ?? [];
    expect(prompt).toHaveLength(find(1, "accepted")?.promptTokens ?? -1);
    engine.dispose();
  });
});

function floats(base64 = ""): number[] {
  const bytes = Buffer.from(base64, "base64");
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4));
}
