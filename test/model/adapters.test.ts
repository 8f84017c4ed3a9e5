import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeAdapter } from "../../scripts/make-model/make-adapter.ts";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import type { Backend, Model } from "../../src/llama/backend.ts";
import { createFfiBackend } from "../../src/llama/ffi-backend.ts";
import type { AdapterScale, LoadedAdapter } from "../../src/protocol/commands.ts";
import { engineHarness, job } from "../support/engine-harness.ts";
import { llamaLibraries } from "../support/llama-libraries.ts";

const libraryDir = llamaLibraries();
const PROMPT = "The quick brown fox jumps over the lazy dog and ";
const endless = { sampling: { ...job("").sampling, ignoreEos: true }, maxTokens: 24 };

describe.if(libraryDir !== null)("LoRA adapters over llama.cpp", () => {
  let folder: string;
  let backend: Backend;
  let model: Model;
  let adapters: LoadedAdapter[];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "lmserver-test-"));
    makeModel({ path: join(folder, "base.gguf"), type: "F32", seed: 3 });
    adapters = ["one", "two"].map((name, index) => {
      const path = join(folder, `${name}.gguf`);
      return { name, path, scale: 0, ...makeAdapter({ path, seed: 20 + index }) };
    });
    backend = createFfiBackend({ libraryDir: libraryDir!, onLog: () => undefined });
    model = load("base.gguf");
    for (const { path } of adapters) model.loadAdapter(path);
  });

  afterAll(() => {
    model.dispose();
    rmSync(folder, { recursive: true });
  });

  function load(name: string): Model {
    const file = { path: join(folder, name), gpuLayers: "off", contextLength: null } as const;
    return backend.loadModel({ ...file, mmap: true }, () => undefined);
  }

  /** What each choice of adapters says when all of them run at once. */
  function said(choices: readonly (AdapterScale[] | undefined)[], parallel = 4): string[] {
    const harness = engineHarness({ model, parallel, kvType: "f32", adapters });
    try {
      for (const [index, chosen] of choices.entries()) {
        const fields = { ...endless, ...(chosen !== undefined && { adapters: chosen }) };
        harness.engine.generate(index + 1, job(PROMPT, fields));
      }
      harness.settle();
      return choices.map((_, index) => harness.text(index + 1));
    } finally {
      harness.engine.disposeContexts();
    }
  }

  const alone = (chosen?: AdapterScale[]): string => said([chosen])[0]!;
  const one = (scale: number): AdapterScale[] => [{ adapter: 0, scale }];
  const two = (scale: number): AdapterScale[] => [{ adapter: "two", scale }];

  test("an adapter changes the answer, by its number or name, and at scale 0 does not", () => {
    const base = alone();
    expect(base).not.toBe("");
    expect(alone(one(1))).not.toBe(base);
    expect(alone(two(1))).not.toBe(alone(one(1)));
    expect(alone([{ adapter: "one", scale: 1 }])).toBe(alone(one(1)));
    expect(alone(one(0))).toBe(base);
    expect(alone([])).toBe(base);
  });

  test("an adapter that lies halfway between two scales says something of its own", () => {
    expect(new Set([alone(one(0.4)), alone(one(1)), alone()]).size).toBe(3);
  });

  test("requests with different adapters answer together as they do alone", () => {
    const choices = [one(1), undefined, two(1), one(0.5), one(1), [...one(1), ...two(1)]];
    const expected = choices.map((chosen) => alone(chosen));
    expect(new Set(expected).size).toBe(5);
    expect(said(choices, 6)).toEqual(expected);
    expect(said(choices, 2)).toEqual(expected);
  });

  test("a stored prefix serves the adapters it was computed with only", () => {
    const harness = engineHarness({ model, kvType: "f32", adapters });
    try {
      const cached = (id: number, chosen: AdapterScale[]): number | undefined => {
        harness.engine.generate(id, job(PROMPT, { ...endless, adapters: chosen }));
        harness.settle();
        return harness.find(id, "accepted")?.cachedTokens;
      };
      expect(cached(1, one(1))).toBe(0);
      expect(cached(2, two(1))).toBe(0);
      expect(cached(3, [])).toBe(0);
      expect(cached(4, one(1))).toBeGreaterThan(10);
      expect(harness.text(4)).toBe(harness.text(1));
      expect(harness.text(3)).toBe(alone());
    } finally {
      harness.engine.disposeContexts();
    }
  });

  test("an adapter of another shape, architecture or kind is refused with llama.cpp's reason", () => {
    const wide = join(folder, "wide.gguf");
    makeAdapter({ path: wide, shape: { embedding: 128 } });
    const other = join(folder, "other.gguf");
    makeAdapter({ path: other, architecture: "qwen2" });
    const corrupt = join(folder, "corrupt.gguf");
    writeFileSync(corrupt, "GGUF but not really");
    expect(() => model.loadAdapter(wide)).toThrow(/incorrect shape/);
    expect(() => model.loadAdapter(other)).toThrow(/arch mismatch/);
    expect(() => model.loadAdapter(corrupt)).toThrow(/The adapter cannot be loaded/);
    expect(() => model.loadAdapter(join(folder, "base.gguf"))).toThrow(/adapter/);
    expect(() => model.loadAdapter(join(folder, "absent.gguf"))).toThrow(/failed to open/);
    // What was refused left no number behind.
    expect(alone(two(1))).not.toBe(alone());
  });

  test("an adapter the model was loaded without is refused by name", () => {
    const harness = engineHarness({ model, kvType: "f32", adapters });
    try {
      harness.engine.generate(1, job(PROMPT, { adapters: [{ adapter: 2, scale: 1 }] }));
      harness.settle();
      const failed = harness.find(1, "jobFailed");
      expect(failed?.code).toBe("invalid_request");
      expect(failed?.message).toBe(
        `Invalid 'lora[0].id': the model has the LoRA adapters 0 ("one"), 1 ("two").`,
      );
    } finally {
      harness.engine.disposeContexts();
    }
  });
});
