import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeModel, type MakeModelOptions } from "../../scripts/make-model/make-model.ts";
import { loadEngine } from "../../src/engine/load-engine.ts";
import { defined } from "../../src/lib/assert.ts";
import type { Backend, ContextOptions } from "../../src/llama/backend.ts";
import { createFfiBackend } from "../../src/llama/ffi-backend.ts";
import { estimateMemory } from "../../src/pool/fit.ts";
import { catalogOf } from "../support/catalog-fixture.ts";
import { stillClock } from "../support/engine-harness.ts";
import { llamaLibraries } from "../support/llama-libraries.ts";
import { LOAD_DEFAULTS } from "../support/pool-fixture.ts";

const libraryDir = llamaLibraries();

interface Case {
  name: string;
  make: Omit<MakeModelOptions, "path">;
  load: Partial<typeof LOAD_DEFAULTS>;
  /** Of the context; the library keeps outputs for each. */
  sequences: number;
  /** What the cache may differ by; absent = by what the log's numbers are rounded to. */
  kvDifference?: number;
}

const MIB = 1024 * 1024;

const wide = { layers: 6, embedding: 512, heads: 8, kvHeads: 4, feedForward: 1536, context: 4096 };
/** So large that a row of scores for each sequence shows. */
const large = { type: "Q8_0", vocabularyTokens: 60_000 } as const;
const cases: Case[] = [
  {
    name: "a llama with grouped heads",
    make: { architecture: "llama", shape: wide, type: "Q8_0" },
    load: { contextLength: 4_096 },
    sequences: 33,
  },
  {
    name: "the same with a quantised cache, more slots and a smaller batch",
    make: { architecture: "llama", shape: wide, type: "F16" },
    load: {
      contextLength: 2_048,
      kvTypeK: "q8_0",
      kvTypeV: "q8_0",
      parallel: 32,
      batchCapacity: 128,
    },
    sequences: 61,
  },
  {
    name: "a qwen2 with all heads",
    make: { architecture: "qwen2", shape: { ...wide, kvHeads: 8, layers: 4 }, type: "Q8_0" },
    load: { contextLength: 1_024 },
    sequences: 33,
  },
  {
    name: "a large vocabulary",
    make: { architecture: "llama", shape: { ...wide, layers: 2 }, ...large },
    load: { contextLength: 1_024 },
    sequences: 33,
  },
  {
    name: "a sliding window and a large vocabulary",
    make: { architecture: "gemma3", shape: wide, ...large },
    load: { contextLength: 1_024 },
    sequences: 9,
    kvDifference: MIB,
  },
  {
    name: "a recurrent memory and a large vocabulary",
    make: { architecture: "mamba", shape: wide, ...large },
    load: { contextLength: 1_024 },
    sequences: 9,
  },
  {
    name: "a recurrent memory with as many sequences as there can be",
    make: { architecture: "mamba", shape: wide, type: "Q8_0" },
    load: { contextLength: 1_024, parallel: 200 },
    sequences: 256,
  },
  {
    name: "recurrent layers beside others and a large vocabulary",
    make: { architecture: "lfm2", shape: wide, ...large },
    load: { contextLength: 1_024 },
    sequences: 9,
  },
  {
    name: "a bert",
    make: {
      architecture: "bert",
      shape: { ...wide, embedding: 384, heads: 12, kvHeads: 12, context: 512 },
      type: "F16",
    },
    load: { contextLength: null },
    sequences: 64,
  },
  {
    name: "a nomic-bert with long inputs",
    make: { architecture: "nomic-bert", shape: { ...wide, layers: 2, context: 2048 }, type: "F32" },
    load: { contextLength: null },
    sequences: 64,
  },
  {
    name: "a bert whose context its sequences cannot share evenly",
    make: { architecture: "bert", shape: { ...wide, context: 514 }, type: "F16" },
    load: { contextLength: null },
    sequences: 64,
  },
  {
    name: "a context and a batch with fewer tokens than there are sequences",
    make: { architecture: "llama", shape: wide, type: "Q8_0" },
    load: { contextLength: 16, batchCapacity: 8 },
    sequences: 33,
  },
  {
    name: "a window, and a batch with fewer tokens than there are sequences",
    make: { architecture: "gemma3", shape: wide, type: "Q8_0" },
    load: { contextLength: 100, parallel: 128, batchCapacity: 8 },
    sequences: 256,
    kvDifference: 2 * MIB,
  },
];

/** The backend, which also tells what each context is made with. */
function watched(backend: Backend, asked: ContextOptions[]): Backend {
  return {
    ...backend,
    loadModel: (options, onProgress) => {
      const model = backend.loadModel(options, onProgress);
      const create = model.createContext.bind(model);
      model.createContext = (context) => (asked.push(context), create(context));
      return model;
    },
  };
}

describe.if(libraryDir !== null)("what a model is expected to need", () => {
  let folder: string;
  let backend: Backend;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "lmserver-test-"));
    backend = createFfiBackend({ libraryDir: libraryDir!, onLog: () => undefined });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(cases)(
    "is within 5 % of what llama.cpp allocates: $name",
    async ({ make, load, name, sequences, kvDifference = 2 ** 16 }) => {
      const own = join(folder, name.replaceAll(" ", "-"));
      mkdirSync(own);
      makeModel({ ...make, path: join(own, "model.gguf") });
      const [model] = await catalogOf(own).catalog.list();
      const found = defined(model, "the model was written");
      const purpose = found.kind === "embedding" ? "embed" : "generate";
      const options = { ...LOAD_DEFAULTS, ...load, purpose, modelPath: found.path } as const;
      const asked: ContextOptions[] = [];
      const { engine, info } = loadEngine(
        { ...options, gpuLayers: "off" },
        {
          backend: watched(backend, asked),
          clock: stillClock,
          defaultThreads: () => 1,
          mostThreads: () => 1,
          send: () => undefined,
          buildId: "test",
          onTrouble: () => undefined,
          onProgress: () => undefined,
        },
      );
      engine.dispose();
      expect(asked.map((context) => context.sequences)).toEqual([sequences]);
      const expected = estimateMemory(found, {
        ...options,
        threads: 1,
        contextLength: info.contextLength,
      });
      const { modelBytes, kvBytes, computeBytes } = info.memory;
      expect(expected.weightBytes / modelBytes).toBeCloseTo(1, 1);
      expect(Math.abs(expected.kvBytes - kvBytes)).toBeLessThan(kvDifference);
      expect(computeBytes).toBeGreaterThan(0);
      const real = modelBytes + kvBytes + computeBytes;
      const sum = expected.weightBytes + expected.kvBytes + expected.computeBytes;
      expect(Math.abs(sum / real - 1)).toBeLessThan(0.05);
      // Less than the rows of scores of 28 sequences, where the vocabulary is large.
      expect(Math.abs(expected.computeBytes - computeBytes)).toBeLessThan(4 * MIB);
    },
  );
});
