import { expect, test } from "bun:test";
import { KvCache } from "../../../src/engine/kv-cache.ts";
import { PrefixCache } from "../../../src/engine/prefix-cache.ts";
import type { ModelContext } from "../../../src/llama/backend.ts";
import { FakeBackend, type FakeContext } from "../../support/fake-backend.ts";

function setUp(facts = {}, cells = 32): { context: FakeContext; kv: KvCache } {
  const options = { path: "m", gpuLayers: "off", contextLength: null, mmap: true } as const;
  const model = new FakeBackend({ facts }).loadModel(options, () => undefined);
  const context = model.createContext({
    purpose: "generate",
    contextLength: cells,
    sequences: 4,
    batchCapacity: cells,
    threads: 1,
    kvTypeK: "f16",
    kvTypeV: "f16",
    flashAttention: "auto",
  });
  return { context, kv: new KvCache(context) };
}

function grow(context: ModelContext, kv: KvCache, sequence: number, tokens: number[]): void {
  const start = kv.length(sequence);
  context.batch.clear();
  for (const [index, token] of tokens.entries()) {
    context.batch.add(token, start + index, sequence, false);
  }
  expect(context.decode()).toBe("ok");
  kv.append(sequence, tokens.length);
}

function fresh(context: ModelContext, kv: KvCache, tokens: number[]): number {
  const sequence = kv.open();
  if (sequence === null) throw new Error("no sequence is free");
  grow(context, kv, sequence, tokens);
  return sequence;
}

test("copies share cells, and the books agree with the backend", () => {
  const { context, kv } = setUp();
  const a = fresh(context, kv, [1, 2, 3, 4]);
  const b = kv.open() ?? -1;
  expect(kv.share(a, b, 3)).toBe(true);
  grow(context, kv, b, [9]);
  expect([kv.used, kv.pinned, context.usedCells]).toEqual([5, 5, 5]);
  kv.close(a);
  expect([kv.used, kv.free, context.usedCells]).toEqual([4, 28, 4]);
  kv.unpin(b);
  expect([kv.used, kv.pinned]).toEqual([4, 0]);
  kv.close(b);
  expect([kv.used, context.usedCells, kv.openSequences]).toEqual([0, 0, 0]);
});

test("sequence ids run out and come back", () => {
  const { kv } = setUp();
  const all = [kv.open(), kv.open(), kv.open(), kv.open()];
  expect([...all, kv.open()]).toEqual([0, 1, 2, 3, null]);
  kv.close(2);
  expect(kv.open()).toBe(2);
});

test("memory that cannot be cut refuses a partial copy and stays empty", () => {
  const { context, kv } = setUp({ isRecurrent: true });
  const a = fresh(context, kv, [1, 2, 3]);
  const b = kv.open() ?? -1;
  expect(kv.share(a, b, 2)).toBe(false);
  expect(kv.length(b)).toBe(0);
  grow(context, kv, b, [7]);
});

test("the longest stored prefix is found, and using it keeps it", () => {
  const { context, kv } = setUp();
  const prefixes = new PrefixCache(kv, true);
  for (const tokens of [
    [1, 2],
    [1, 2, 3, 4],
    [5, 6],
  ].map((list) => Int32Array.from(list))) {
    prefixes.store("", fresh(context, kv, Array.from(tokens)), tokens);
  }
  // [1, 2] is part of [1, 2, 3, 4], and dropped.
  expect(prefixes.size).toBe(2);
  const found = prefixes.longest("", Int32Array.of(1, 2, 3, 9), 3);
  expect(found?.length).toBe(3);
  if (found !== null) prefixes.touch(found.value);
  expect(prefixes.longest("", Int32Array.of(7), 0)).toBeNull();
  prefixes.evictOne();
  expect(prefixes.longest("", Int32Array.of(5, 6, 7), 2)).toBeNull();
  prefixes.clear();
  expect(context.usedCells).toBe(0);
});

test("memory that cannot be cut keeps each state and gives only those that are used to their end", () => {
  const { context, kv } = setUp({ isRecurrent: true });
  const prefixes = new PrefixCache(kv, false);
  for (const tokens of [
    [1, 2],
    [1, 2, 3, 4],
    [5, 6],
  ]) {
    prefixes.store("", fresh(context, kv, tokens), Int32Array.from(tokens));
  }
  expect(prefixes.size).toBe(3);
  expect(prefixes.longest("", Int32Array.of(1, 2, 3, 9), 3)?.length).toBe(2);
  expect(prefixes.longest("", Int32Array.of(5, 7), 2)).toBeNull();
});

test("a scope finds nothing of another one", () => {
  const { context, kv } = setUp();
  const prefixes = new PrefixCache(kv, true);
  const tokens = Int32Array.of(1, 2, 3);
  prefixes.store("a", fresh(context, kv, [1, 2, 3]), tokens);
  expect(prefixes.longest("b", tokens, 3)).toBeNull();
  prefixes.store("b", fresh(context, kv, [1, 2, 3]), tokens);
  expect([prefixes.size, kv.used]).toEqual([2, 6]);
  expect(prefixes.longest("a", tokens, 3)?.value.scope).toBe("a");
});

test("a prefix of a stored one is not stored again", () => {
  const { context, kv } = setUp();
  const prefixes = new PrefixCache(kv, true);
  prefixes.store("", fresh(context, kv, [1, 2, 3]), Int32Array.of(1, 2, 3));
  prefixes.store("", fresh(context, kv, [1, 2]), Int32Array.of(1, 2));
  expect([prefixes.size, kv.used]).toEqual([1, 3]);
});

test("of short prefixes only the last used stay", () => {
  const { context, kv } = setUp();
  const prefixes = new PrefixCache(kv, true);
  for (const token of [1, 2, 3]) {
    prefixes.store(
      "",
      fresh(context, kv, [token, token, token]),
      Int32Array.of(token, token, token),
    );
  }
  const used = prefixes.longest("", Int32Array.of(1, 1, 1), 3);
  if (used !== null) prefixes.touch(used.value);
  prefixes.evictCheap(2);
  const lengths = [1, 2, 3].map(
    (token) => prefixes.longest("", Int32Array.of(token, token, token), 3)?.length,
  );
  expect(lengths).toEqual([3, undefined, 3]);
  prefixes.evictCheap(0);
  expect([prefixes.size, kv.used, context.usedCells]).toEqual([0, 0, 0]);
});

test("of short prefixes few tokens stay, however many slots there are", () => {
  const { context, kv } = setUp({}, 1_024);
  const prefixes = new PrefixCache(kv, true);
  for (const token of [1, 2, 3, 4]) {
    const tokens = new Int32Array(200).fill(token);
    prefixes.store("", fresh(context, kv, [...tokens]), tokens);
  }
  prefixes.evictCheap(16);
  const isLeft = [1, 2, 3, 4].map(
    (token) => prefixes.longest("", Int32Array.of(token), 1) !== null,
  );
  expect(isLeft).toEqual([false, false, true, true]);
});

test("holes are the free cells below the highest that was in use", () => {
  const { context, kv } = setUp();
  const first = fresh(context, kv, [1, 2, 3, 4]);
  const second = fresh(context, kv, [5, 6]);
  expect(kv.holes).toBe(0);
  kv.close(first);
  expect([kv.used, kv.holes]).toEqual([2, 4]);
  grow(context, kv, second, [7]);
  expect(kv.holes).toBe(3);
  kv.close(second);
  expect([kv.used, kv.holes]).toEqual([0, 0]);
});
