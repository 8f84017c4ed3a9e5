import { expect, test } from "bun:test";
import type { CatalogModel, ModelHeader } from "../../../src/catalog/model.ts";
import { automaticContext, estimateMemory, largestContext } from "../../../src/pool/fit.ts";
import { MAX_EMBED_LANES_BYTES } from "../../../src/protocol/embedding.ts";
import { LOAD_DEFAULTS, scriptedModel } from "../../support/pool-fixture.ts";
import { modelHeader } from "../../support/model-header.ts";

const GIB = 2 ** 30;
const header = modelHeader({
  tensorBytes: 5 * GIB,
  blockCount: 32,
  headCount: [32],
  headCountKv: [8],
  vocabularySize: 128_256,
});
/** About Llama 3 8B at 4 bits. */
const model = (facts: Partial<CatalogModel> = {}): CatalogModel =>
  scriptedModel(
    { name: "m" },
    { sizeBytes: 5 * GIB, maxContextLength: 131_072, embeddingSize: 4_096, header, ...facts },
  );
const fit = { ...LOAD_DEFAULTS, threads: 1, purpose: "generate" } as const;

test("the KV cache is two rows per layer, head and token", () => {
  const { kvBytes } = estimateMemory(model(), { ...fit, contextLength: 8_192 });
  expect(kvBytes).toBe(8_192 * 32 * 8 * (128 + 128) * 2);
  const quantized = { ...fit, contextLength: 8_192, kvTypeK: "q8_0", kvTypeV: "q8_0" } as const;
  expect(estimateMemory(model(), quantized).kvBytes).toBe((kvBytes / 2) * (34 / 32));
});

test("a draft model counts with weights, cache and buffers of its own, in the same process", () => {
  const small = model({ header: { ...header, tensorBytes: GIB, blockCount: 8 } });
  const asked = { ...fit, contextLength: 4_096 };
  const [alone, beside] = [estimateMemory(model(), asked), estimateMemory(small, asked)];
  const both = estimateMemory(model(), { ...asked, draft: { model: small } });
  expect(both.weightBytes).toBe(6 * GIB);
  expect(both.kvBytes).toBe(alone.kvBytes * 1.25);
  // It stores nothing and keeps a row of scores for each slot alone.
  expect(both.computeBytes).toBe(
    alone.computeBytes + beside.computeBytes - 29 * header.vocabularySize * 4,
  );
  expect(both.totalBytes).toBeLessThan(alone.totalBytes + beside.totalBytes);
  expect(both.totalBytes).toBeGreaterThan(alone.totalBytes + beside.kvBytes + GIB);
});

const outputs = [
  { name: "with prefixes that are shared", facts: {}, parallel: 4, rows: 4 + 28 + 1 },
  { name: "with a sliding window", facts: { slidingWindow: 512 }, parallel: 4, rows: 4 + 4 + 1 },
  { name: "with recurrent layers", facts: { isRecurrent: true }, parallel: 4, rows: 4 + 4 + 1 },
  { name: "with more slots than sequences", facts: {}, parallel: 250, rows: 256 },
];

test.each(outputs)("a row of scores is kept for each sequence: $name", (row) => {
  const asked = { ...fit, contextLength: 4_096, parallel: row.parallel };
  // The layers are wider than the scores of a decode.
  const bytes = (vocabularySize: number, draft?: { model: CatalogModel }): number => {
    const own = model({ header: { ...header, ...row.facts, vocabularySize } });
    return estimateMemory(own, { ...asked, ...(draft && { draft }) }).computeBytes;
  };
  expect(bytes(2_000) - bytes(1_000)).toBe(row.rows * 1_000 * 4);
  const drafting = (vocabularySize: number): number =>
    bytes(1_000, { model: model({ header: { ...header, vocabularySize } }) });
  expect(drafting(2_000) - drafting(1_000)).toBe(row.parallel * 1_000 * 4);
});

test("heads may differ per layer", () => {
  const mixed = model({ header: { ...header, blockCount: 3, headCountKv: [8, 0, 2] } });
  const { kvBytes } = estimateMemory(mixed, { ...fit, contextLength: 256 });
  expect(kvBytes).toBe(256 * 10 * 256 * 2);
});

test("each sequence has a state in each recurrent layer, whatever the context", () => {
  const recurrent = { ...header, isRecurrent: true, stateLayers: 3, stateFloats: 1_000 };
  const kvBytes = (parallel: number, contextLength: number, headCountKv: number[]): number =>
    estimateMemory(model({ header: { ...recurrent, headCountKv } }), {
      ...fit,
      parallel,
      contextLength,
    }).kvBytes;
  // A stored one for each slot, and one more.
  expect(kvBytes(4, 1_024, [0])).toBe(9 * 3 * 1_000 * 4);
  expect(kvBytes(4, 8_192, [0])).toBe(9 * 3 * 1_000 * 4);
  expect(kvBytes(200, 1_024, [0])).toBe(256 * 3 * 1_000 * 4);
  expect(kvBytes(4, 256, [0, 2])).toBe(9 * 3 * 1_000 * 4 + 256 * 2 * 256 * 2);
});

test("layers with a sliding window keep only their window", () => {
  const windowed = model({ header: { ...header, slidingWindow: 1_024 } });
  const at = (contextLength: number, of = windowed) =>
    estimateMemory(of, { ...fit, contextLength }).kvBytes;
  expect(at(1_024)).toBe(at(1_024, model()));
  expect(at(32_768)).toBeLessThan(at(32_768, model()) * 0.6);
  expect(at(32_768)).toBeGreaterThan(at(32_768, model()) * 0.5);
});

test("an encoder keeps no cache, and embeddings have one of a bounded length", () => {
  const embed = { ...fit, purpose: "embed", contextLength: 8_192 } as const;
  expect(estimateMemory(model({ architecture: "nomic-bert" }), embed).kvBytes).toBe(0);
  const decoder = estimateMemory(model(), embed);
  expect(decoder.kvBytes).toBe(8_192 * 32 * 8 * (128 + 128) * 2);
  const longest = estimateMemory(model(), { ...embed, contextLength: 2 ** 20 });
  expect(longest).toEqual(decoder);
});

test("an embedding model needs a context for each thread, where several are small", () => {
  const own = { ...header, blockCount: 6, headCount: [12], vocabularySize: 30_000 };
  const small = model({ architecture: "bert", embeddingSize: 384, header: own });
  const embed = { ...fit, purpose: "embed", contextLength: 512, threads: 1 } as const;
  const total = (fields: { threads: number }): number =>
    estimateMemory(small, { ...embed, ...fields }).totalBytes;
  const { computeBytes } = estimateMemory(small, embed);
  expect(total({ threads: 4 }) - total({ threads: 1 })).toBe(4 * computeBytes);
  const most = Math.floor(MAX_EMBED_LANES_BYTES / computeBytes);
  expect(total({ threads: 2 * most }) - total({ threads: 1 })).toBe(most * computeBytes);
  const long = { ...embed, contextLength: 8_192 };
  const large = model({ architecture: "bert" });
  expect(estimateMemory(large, { ...long, threads: 4 })).toEqual(estimateMemory(large, long));
});

interface Lie {
  name: string;
  lies: Partial<ModelHeader>;
  kvBytes: number;
}

const lies: Lie[] = [
  {
    name: "immense layers",
    lies: { blockCount: 2 ** 40, headCountKv: [2 ** 40], keyLength: 2 ** 60 },
    kvBytes: Number.MAX_SAFE_INTEGER,
  },
  { name: "infinite", lies: { keyLength: Infinity }, kvBytes: Number.MAX_SAFE_INTEGER },
  { name: "negative", lies: { blockCount: -5, vocabularySize: -(2 ** 40) }, kvBytes: 0 },
  { name: "no numbers", lies: { keyLength: Number.NaN, valueLength: Number.NaN }, kvBytes: 0 },
  { name: "no heads", lies: { headCount: [], headCountKv: [] }, kvBytes: 0 },
];

test.each(lies)(
  "a header that lies stays a safe, positive number: $name",
  ({ lies: told, kvBytes }) => {
    const estimate = estimateMemory(model({ header: { ...header, ...told } }), {
      ...fit,
      contextLength: 2 ** 31,
    });
    expect(estimate.kvBytes).toBe(kvBytes);
    expect(estimate.totalBytes).toBeGreaterThanOrEqual(5 * GIB);
    expect(Number.isSafeInteger(estimate.totalBytes)).toBe(true);
  },
);

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

test("the largest context is the last step that fits, and nothing when none does", () => {
  const at = (length: number) =>
    estimateMemory(model(), { ...fit, contextLength: length }).totalBytes;
  const free = at(10_240);
  expect(largestContext(model(), fit, free)).toBe(10_240);
  expect(largestContext(model(), fit, free - 1)).toBe(9_984);
  expect(largestContext(model(), fit, at(256) - 1)).toBe(0);
  const facts = { maxContextLength: 1_000 };
  expect(largestContext(model(facts), fit, Infinity)).toBe(1_000);
});
