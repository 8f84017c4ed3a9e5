import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import type { Backend, ContextOptions, Model, ModelOptions } from "../../src/llama/backend.ts";
import { createFfiBackend } from "../../src/llama/ffi-backend.ts";
import { llamaLibraries } from "../support/llama-libraries.ts";

const libraryDir = llamaLibraries();

describe.if(libraryDir !== null)("options of a load reach llama.cpp", () => {
  let folder: string;
  let backend: Backend;
  let model: Model;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "lmserver-test-"));
    const path = join(folder, "m.gguf");
    makeModel({
      path,
      architecture: "llama",
      type: "F32",
      seed: 3,
      shape: { heads: 2, kvHeads: 1 },
    });
    backend = createFfiBackend({ libraryDir: libraryDir!, onLog: () => undefined });
    const file = { path, gpuLayers: "off", contextLength: null, mmap: true } as const;
    model = backend.loadModel(file, () => undefined);
  });
  afterAll(() => {
    model.dispose();
    rmSync(folder, { recursive: true });
  });

  /** Logits after a fixed text. */
  function logits(options: Partial<ContextOptions>, of = model): Float32Array {
    const context = of.createContext({
      purpose: "generate",
      contextLength: 256,
      sequences: 1,
      batchCapacity: 64,
      threads: 1,
      kvTypeK: "f32",
      kvTypeV: "f32",
      flashAttention: "off",
      ...options,
    });
    try {
      const tokens = of.vocabulary.tokenize("once upon a time there was", true, false);
      for (const [position, token] of tokens.entries()) {
        context.batch.add(token, position, 0, position === tokens.length - 1);
      }
      expect(context.decode()).toBe("ok");
      return context.logits(tokens.length - 1).slice();
    } finally {
      context.dispose();
    }
  }

  const distance = (a: Float32Array, b: Float32Array) =>
    Math.max(...a.map((value, index) => Math.abs(value - (b[index] ?? 0))));

  test("base and scale of the rotary positions change what is computed, the model's own do not", () => {
    const own = logits({});
    expect(distance(own, logits({ ropeFreqBase: 10_000, ropeFreqScale: 1 }))).toBe(0);
    expect(distance(own, logits({ ropeFreqBase: 500 }))).toBeGreaterThan(0.01);
    expect(distance(own, logits({ ropeFreqScale: 0.5 }))).toBeGreaterThan(0.01);
  });

  test("another number of experts computes something else, the model's own the same", () => {
    const path = join(folder, "experts.gguf");
    makeModel({ path, type: "F32", seed: 4, shape: { experts: 4 } });
    const of = (experts: ModelOptions["experts"]): Float32Array => {
      const file = { path, gpuLayers: "off", contextLength: null, mmap: true } as const;
      const some = backend.loadModel({ ...file, ...(experts && { experts }) }, () => undefined);
      const found = logits({}, some);
      some.dispose();
      return found;
    };
    const own = of(undefined);
    const llama = { architecture: "llama" };
    expect(distance(own, of({ ...llama, used: 2 }))).toBe(0);
    expect(distance(own, of({ ...llama, used: 1 }))).toBeGreaterThan(0.01);
    expect(distance(own, of({ ...llama, used: 4 }))).toBeGreaterThan(0.01);
  });

  test("types of the cache and flash attention change little, but something", () => {
    const own = logits({});
    const rough = logits({ kvTypeK: "q8_0", kvTypeV: "q8_0", flashAttention: "on" });
    expect(distance(own, rough)).toBeGreaterThan(0);
    expect(distance(own, rough)).toBeLessThan(1);
  });
});
