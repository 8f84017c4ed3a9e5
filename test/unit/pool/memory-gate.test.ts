import { expect, test } from "bun:test";
import type { CatalogModel } from "../../../src/catalog/model.ts";
import { computeThreads, mostThreads } from "../../../src/lib/compute-threads.ts";
import { estimateMemory } from "../../../src/pool/fit.ts";
import { ModelPool, type PoolOptions } from "../../../src/pool/model-pool.ts";
import { DRAFT_LIMITS } from "../../../src/pool/pool.ts";
import { fakeSpawner } from "../../support/fake-channel.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import {
  failure,
  LOAD_DEFAULTS,
  never,
  POOL_DEFAULTS,
  scriptedModel,
} from "../../support/pool-fixture.ts";
import { modelHeader } from "../../support/model-header.ts";

const MIB = 2 ** 20;
const flush = () => new Promise((resolve) => setImmediate(resolve));
const modelOf = (name: string, mib: number, facts: Partial<CatalogModel> = {}) =>
  scriptedModel({ name }, { sizeBytes: mib * MIB, ...facts });
const big = modelOf("big", 800);
const other = modelOf("other", 700);
const small = modelOf("small", 100);
const embedding = modelOf("embedding", 50, { kind: "embedding" });

function bytesOf(model: CatalogModel): number {
  const purpose = model.kind === "embedding" ? "embed" : "generate";
  const threads = computeThreads(null);
  const fit = { ...LOAD_DEFAULTS, threads, contextLength: 1_024, purpose } as const;
  return estimateMemory(model, fit).totalBytes;
}

/** A pool whose engines load at once and end when they are told to. */
function gatedPool(options: Partial<PoolOptions> = {}) {
  const { spawn } = fakeSpawner((engine) => {
    engine.onCommand = ({ type }) => {
      if (type === "load") engine.ready();
      if (type === "shutdown") engine.end(0);
    };
    queueMicrotask(() => engine.hello());
  });
  const pool = new ModelPool({
    ...POOL_DEFAULTS,
    memoryLimitBytes: bytesOf(big) + bytesOf(small) + bytesOf(embedding),
    clock: new ManualClock(),
    spawn,
    ...options,
  });
  const states = () =>
    Object.fromEntries(pool.instances().map(({ identifier, state }) => [identifier, state]));
  return { pool, states };
}

const evictions = [
  { name: "its memory", options: {} },
  { name: "being the only one of its kind", options: { keepLastJit: true } },
];
test.each(evictions)("what fits beside all loads while another waits for $name", async (row) => {
  const { pool, states } = gatedPool(row.options);
  const busy = await pool.acquire(big, never());
  const waiting = pool.acquire(other, never());
  await flush();
  expect(states()).toEqual({ big: "draining", other: "starting" });
  (await pool.acquire(embedding, never())).release();
  await pool.load(small, {}, never());
  expect(states()).toMatchObject({ big: "draining", small: "ready", embedding: "ready" });
  busy.release();
  (await waiting).release();
  expect(states()).toEqual({ other: "ready", small: "ready", embedding: "ready" });
  await pool.close(0);
});

test("what fits beside all loads while two of other kinds wait", async () => {
  const { pool, states } = gatedPool({ keepLastJit: true });
  const busy = [await pool.acquire(big, never()), await pool.acquire(embedding, never())];
  const waiting = [
    pool.acquire(other, never()),
    pool.acquire(modelOf("second", 50, { kind: "embedding" }), never()),
  ];
  await flush();
  await pool.load(small, {}, never());
  expect(states()).toMatchObject({ big: "draining", embedding: "draining", small: "ready" });
  for (const lease of busy) lease.release();
  for (const lease of await Promise.all(waiting)) lease.release();
  expect(states()).toEqual({ other: "ready", second: "ready", small: "ready" });
  await pool.close(0);
});

test("the place of one that waits is given to nobody else", async () => {
  const { pool, states } = gatedPool();
  const busy = await pool.acquire(big, never());
  const waiting = pool.acquire(other, never());
  await flush();
  await pool.load(small, {}, never());
  // There is room for it beside `big`, and none beside `other`.
  const third = failure(pool.load(modelOf("third", 160), {}, never()));
  await flush();
  expect(states()).toMatchObject({ big: "draining", other: "draining", third: "starting" });
  busy.release();
  (await waiting).release();
  await pool.close(0);
  expect((await third).code).toBe("server_shutdown");
});

test("a model that leaves anyway is waited for, also one that was loaded on purpose", async () => {
  const { pool, states } = gatedPool();
  await pool.load(big, {}, never());
  const busy = await pool.acquire(big, never());
  const unloading = pool.unload("big", { force: false });
  const waiting = pool.acquire(other, never());
  await flush();
  expect(states()).toEqual({ big: "draining", other: "starting" });
  busy.release();
  await unloading;
  (await waiting).release();
  await pool.close(0);
});

test("one that waits for room is unloaded at once, and what was to leave for it stays", async () => {
  const { pool, states } = gatedPool();
  const busy = await pool.acquire(big, never());
  const waiting = failure(pool.acquire(other, never()));
  await flush();
  const anew = pool.acquire(big, never());
  await pool.unload("other", { force: true });
  expect((await waiting).code).toBe("model_unloaded");
  expect(states()).toEqual({ big: "ready" });
  const again = await anew;
  expect([again.identifier, pool.statistics().engineStarts]).toEqual(["big", 1]);
  again.release();
  busy.release();
  await pool.close(0);
});

test("a model that two wait for leaves for the second when the first is unloaded", async () => {
  const { pool, states } = gatedPool();
  const busy = await pool.acquire(big, never());
  const first = failure(pool.load(other, {}, never()));
  await flush();
  const second = pool.load(modelOf("second", 200), {}, never());
  await flush();
  await pool.unload("other", { force: true });
  await first;
  expect(states()).toEqual({ big: "draining", second: "starting" });
  busy.release();
  expect((await second).state).toBe("ready");
  expect(states()).toEqual({ second: "ready" });
  await pool.close(0);
});

test("when the last request leaves a model that waits for room, the busy one stays", async () => {
  const { pool, states } = gatedPool();
  const busy = await pool.acquire(big, never());
  const leaving = [new AbortController(), new AbortController()];
  const left = leaving.map(({ signal }) => pool.acquire(other, signal).catch(() => "left"));
  await flush();
  leaving[0]?.abort();
  await flush();
  expect(states()).toEqual({ big: "draining", other: "starting" });
  const anew = pool.acquire(big, never());
  leaving[1]?.abort();
  expect(await Promise.all(left)).toEqual(["left", "left"]);
  (await anew).release();
  expect(states()).toEqual({ big: "ready" });
  busy.release();
  const fresh = await pool.acquire(other, never());
  expect(states()).toEqual({ other: "ready" });
  fresh.release();
  await pool.close(0);
});

test("a request that comes as the last one leaves is answered", async () => {
  const { pool } = gatedPool();
  const busy = await pool.acquire(big, never());
  const leaving = new AbortController();
  const left = pool.acquire(other, leaving.signal).catch(() => "left");
  await flush();
  leaving.abort();
  expect(await left).toBe("left");
  const next = pool.acquire(other, never());
  await flush();
  busy.release();
  (await next).release();
  await pool.close(0);
});

test("a load on purpose waits for room without anyone who asks for the model", async () => {
  const { pool, states } = gatedPool();
  const busy = await pool.acquire(big, never());
  const loading = pool.load(other, {}, never());
  const leaving = new AbortController();
  const left = pool.acquire(other, leaving.signal).catch(() => "left");
  await flush();
  leaving.abort();
  await left;
  expect(states()).toEqual({ big: "draining", other: "starting" });
  busy.release();
  expect((await loading).state).toBe("ready");
  await pool.close(0);
});

test("threads beyond what the machine has need no memory", async () => {
  const header = modelHeader({ blockCount: 6, headCount: [12], vocabularySize: 30_000 });
  const facts = { architecture: "bert", embeddingSize: 384, header };
  const encoder = modelOf("encoder", 50, { ...facts, kind: "embedding" });
  const fit = { ...LOAD_DEFAULTS, contextLength: 512, purpose: "embed" } as const;
  const most = estimateMemory(encoder, { ...fit, threads: mostThreads() });
  // Each thread would have a context of its own, of 4 MiB or more.
  const { pool, states } = gatedPool({ memoryLimitBytes: most.totalBytes });
  const settings = { threads: 2 * mostThreads(), contextLength: 512 };
  (await pool.acquire(encoder, never(), { settings })).release();
  expect(states()).toEqual({ encoder: "ready" });
  await pool.close(0);
});

test("a draft model that forgets what leaves its window is refused before anybody leaves", async () => {
  const { pool, states } = gatedPool({ keepLastJit: true });
  (await pool.acquire(big, never())).release();
  const header = modelHeader({ slidingWindow: 512 });
  const windowed = modelOf("windowed", 1, { architecture: "gemma3", header });
  const ask = (contextLength: number) => {
    const draft = { model: windowed, ...DRAFT_LIMITS };
    return pool.acquire(other, never(), { contextLength, settings: { draft } });
  };
  const refused = await failure(ask(1_024));
  expect(refused.details).toMatchObject({ param: "draftModel", reason: "invalid_value" });
  expect(states()).toEqual({ big: "ready" });
  (await ask(512)).release();
  expect(states()).toEqual({ other: "ready" });
  await pool.close(0);
});
