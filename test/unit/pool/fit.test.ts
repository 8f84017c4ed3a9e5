import { expect, test } from "bun:test";
import type { CatalogModel, ModelShape } from "../../../src/catalog/model.ts";
import { automaticContext, estimateMemory } from "../../../src/pool/fit.ts";
import { LOAD_DEFAULTS, scriptedModel } from "../../support/pool-fixture.ts";

const GIB = 2 ** 30;
const shape: ModelShape = {
  layerCount: 32,
  headCountKv: 8,
  headCount: 32,
  keyLength: 128,
  valueLength: 128,
  embeddingSize: 4_096,
  feedForwardSize: 14_336,
  vocabularySize: 128_256,
};
/** About Llama 3 8B at 4 bits. */
const model = (facts: Partial<CatalogModel> = {}): CatalogModel =>
  scriptedModel({ name: "m" }, { sizeBytes: 5 * GIB, maxContextLength: 131_072, shape, ...facts });
const fit = { ...LOAD_DEFAULTS, purpose: "generate" } as const;

test("the KV cache is two rows per layer, head and token", () => {
  const { kvBytes } = estimateMemory(model(), { ...fit, contextLength: 8_192 });
  expect(kvBytes).toBe(8_192 * 32 * 8 * (128 + 128) * 2);
  const quantized = { ...fit, contextLength: 8_192, kvTypeK: "q8_0", kvTypeV: "q8_0" } as const;
  expect(estimateMemory(model(), quantized).kvBytes).toBe((kvBytes / 2) * (34 / 32));
});

test("heads may differ per layer", () => {
  const mixed = model({ shape: { ...shape, layerCount: 3, headCountKv: [8, 0, 2] } });
  const { kvBytes } = estimateMemory(mixed, { ...fit, contextLength: 256 });
  expect(kvBytes).toBe(256 * 10 * 256 * 2);
});

test("an embedding model keeps no cache, and a silent header is its file", () => {
  const embed = estimateMemory(model(), { ...fit, purpose: "embed", contextLength: 8_192 });
  expect(embed.kvBytes).toBe(0);
  const unknown = estimateMemory(model({ shape: null }), { ...fit, contextLength: 8_192 });
  expect([unknown.kvBytes, unknown.computeBytes]).toEqual([0, 0]);
  expect(unknown.totalBytes).toBeGreaterThan(5 * GIB);
});

test("a header full of lies stays a safe number", () => {
  const huge = { ...shape, layerCount: 2 ** 40, headCountKv: 2 ** 40, keyLength: 2 ** 60 };
  const lies = model({ shape: huge, sizeBytes: 24 });
  const { totalBytes } = estimateMemory(lies, { ...fit, contextLength: 2 ** 31 });
  expect(totalBytes).toBe(Number.MAX_SAFE_INTEGER);
  const nan = model({ shape: { ...shape, keyLength: Number.NaN } });
  expect(estimateMemory(nan, { ...fit, contextLength: 1 }).kvBytes).toBe(Number.MAX_SAFE_INTEGER);
});

const contexts = [
  { name: "all of a small model", facts: { maxContextLength: 2_048 }, free: GIB, length: 2_048 },
  { name: "at most 32768", facts: {}, free: 100 * GIB, length: 32_768 },
  { name: "never below 4096", facts: {}, free: 0, length: 4_096 },
  {
    name: "a small model whole, fits or not",
    facts: { maxContextLength: 1_000 },
    free: 0,
    length: 1_000,
  },
  { name: "no limit known", facts: {}, free: Infinity, length: 32_768 },
];

test.each(contexts)("automatic context: $name", ({ facts, free, length }) => {
  expect(automaticContext(model(facts), fit, free)).toBe(length);
});

test("automatic context is reduced until it fits, in steps of 256 tokens", () => {
  const free = 7 * GIB;
  const contextLength = automaticContext(model(), fit, free);
  expect(contextLength).toBeGreaterThan(4_096);
  expect(contextLength).toBeLessThan(32_768);
  expect(contextLength % 256).toBe(0);
  const at = (length: number) =>
    estimateMemory(model(), { ...fit, contextLength: length }).totalBytes;
  expect(at(contextLength)).toBeLessThanOrEqual(free);
});
