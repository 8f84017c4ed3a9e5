import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import { createFfiBackend } from "../../src/llama/ffi-backend.ts";
import type { Model } from "../../src/llama/backend.ts";
import type { GenerateJob } from "../../src/protocol/commands.ts";
import { engineHarness, job } from "../support/engine-harness.ts";
import { llamaLibraries } from "../support/llama-libraries.ts";

const libraryDir = llamaLibraries();

const FILE = `export function total(items: readonly Item[]): number {
  let sum = 0;
  for (const { price, count } of items) sum += price * count;
  return sum;
}
`;
const START = FILE.slice(0, 24);
const PROMPT = `Once more:\n${FILE}\n${START}`;
const sampling = { ...job("").sampling, ignoreEos: true };
const copy = job(PROMPT, { maxTokens: FILE.length - START.length, sampling });

describe.if(libraryDir !== null)("guesses over llama.cpp, with a model that copies", () => {
  let folder: string;
  let model: Model;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "lmserver-test-"));
    const path = join(folder, "copies.gguf");
    const shape = { layers: 2, embedding: 768, heads: 8, kvHeads: 8, feedForward: 64 };
    makeModel({ path, architecture: "qwen2", shape, copies: true });
    const backend = createFfiBackend({ libraryDir: libraryDir ?? "", onLog: () => undefined });
    const file = { path, gpuLayers: "off", contextLength: null, mmap: true } as const;
    model = backend.loadModel(file, () => undefined);
  });

  afterAll(() => {
    model.dispose();
    rmSync(folder, { recursive: true });
  });

  function run(spec: GenerateJob, speculates: boolean) {
    const harness = engineHarness({ model, speculates, kvType: "f32", batchCapacity: 512 });
    harness.engine.generate(1, spec);
    let steps = 0;
    for (; !harness.engine.isIdle; steps++) harness.engine.step();
    const { speculation } = harness.engine.generator ?? {};
    harness.engine.disposeContexts();
    const done = harness.find(1, "choiceDone");
    return { text: harness.text(1), steps, speculation, done };
  }

  test("a file is copied in a fraction of the steps", () => {
    const plain = run(copy, false);
    const quick = run(copy, true);
    expect(plain.text).toStartWith(FILE.slice(START.length));
    expect(quick.text).toBe(plain.text);
    expect(plain.steps).toBeGreaterThanOrEqual(copy.maxTokens ?? 0);
    expect(quick.steps).toBeLessThan(plain.steps / 4);
    expect(quick.speculation?.acceptedTokens).toBeGreaterThan(FILE.length / 2);
  });

  const fields: [string, Partial<GenerateJob>][] = [
    ["a word that is never said", { sampling: { ...sampling, logitBias: [["p", null]] } }],
    ["a stop string", { stops: ["return"] }],
    ["a grammar", { grammar: { gbnf: "root ::= [^*]+", attach: { kind: "start" } } }],
    ["a penalty", { sampling: { ...sampling, repeatPenalty: 1.2 } }],
    ["drawn tokens", { sampling: { ...sampling, temperature: 1.5, topK: 0, seed: 3 } }],
  ];
  test.each(fields)("%s: the same answer in fewer steps", (_name, changed) => {
    const spec = { ...copy, ...changed };
    const plain = run(spec, false);
    const quick = run(spec, true);
    expect(quick.text).toBe(plain.text);
    expect(quick.done).toEqual(plain.done);
    expect(quick.steps).toBeLessThan(plain.steps);
  });
});
