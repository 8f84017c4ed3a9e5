import { expect, test } from "bun:test";
import { defined } from "../../../src/lib/assert.ts";
import { ModelPool, type PoolOptions } from "../../../src/pool/model-pool.ts";
import type { LoadRequest } from "../../../src/pool/pool.ts";
import { fakeSpawner } from "../../support/fake-channel.ts";
import { MODEL_INFO } from "../../support/model-info.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import {
  failure,
  LOAD_DEFAULTS,
  never,
  scriptedJob,
  scriptedModel,
  textOf,
  POOL_DEFAULTS,
} from "../../support/pool-fixture.ts";

const model = scriptedModel({ name: "m" });
const adapters = [{ name: "a", path: "/a", sizeBytes: 1, scale: 1 }];

/** A pool whose engines load by themselves at once. */
function readyPool(options: Partial<PoolOptions> = {}, contextLength = MODEL_INFO.contextLength) {
  const { spawn } = fakeSpawner((channel) => {
    channel.onCommand = ({ type }) => {
      if (type === "load") channel.ready({ contextLength });
      if (type === "shutdown") channel.end(0);
    };
    queueMicrotask(() => channel.hello());
  });
  return new ModelPool({
    ...POOL_DEFAULTS,
    ttlMs: 60_000,
    clock: new ManualClock(),
    spawn,
    ...options,
  });
}

test("a request that names an instance gets that one, one that names the model the idlest", async () => {
  const pool = readyPool();
  await pool.load(model, {}, never());
  const second = await pool.load(model, { parallel: 2 }, never());
  await pool.load(model, { identifier: "Mine" }, never());
  expect(second.identifier).toBe("m:2");
  const of = async (name: string | null) => {
    const lease = await pool.acquire(model, never(), { name });
    lease.release();
    return lease.identifier;
  };
  expect(await of("m:2")).toBe("m:2");
  expect(await of("m:2")).toBe("m:2");
  expect(await of("mine")).toBe("Mine");
  expect(["m", "m:2", "Mine"]).toContain(await of("m"));
  expect(["m", "m:2", "Mine"]).toContain(await of("an alias"));
  expect(pool.statistics().engineStarts).toBe(3);
  await pool.close(0);
});

test("the model's name means the instance that bears it, and those loaded like it", async () => {
  const pool = readyPool();
  await pool.load(model, {}, never());
  await pool.load(model, { adapters }, never());
  const of = async (name: string) => await pool.acquire(model, never(), { name });
  const busy = [await of("m"), await of("m"), await of("M")];
  expect(busy.map(({ identifier }) => identifier)).toEqual(["m", "m", "m"]);
  const job = scriptedJob({ op: "forever" });
  const running = textOf(defined(busy[0], "it is leased").generate(job, never())).catch(() => null);
  expect(pool.preview(model, { name: "m" }).identifier).toBe("m");
  await pool.load(model, { flashAttention: "on" }, never());
  expect(pool.preview(model, { name: "m" }).identifier).toBe("m:3");
  for (const lease of busy) lease.release();
  await pool.unload("m", { force: true });
  await running;
  await pool.unload("m:3", { force: true });
  expect(pool.preview(model, { name: "m" })).toEqual({ identifier: "m:2", needsLoad: false });
  await pool.close(0);
});

test("a named instance that is leaving refuses, the model itself is loaded anew", async () => {
  const pool = readyPool();
  await pool.load(model, { identifier: "mine" }, never());
  const lease = await pool.acquire(model, never(), { name: "mine" });
  const unloading = pool.unload("mine", { force: false });
  const refused = await failure(pool.acquire(model, never(), { name: "mine" }));
  expect(refused.code).toBe("model_unloaded");
  const anew = pool.acquire(model, never(), { name: "m" });
  lease.release();
  await unloading;
  const fresh = await anew;
  expect(fresh.identifier).toBe("m");
  fresh.release();
  await pool.close(0);
});

const loads: { name: string; request: LoadRequest; isKept: boolean }[] = [
  { name: "nothing", request: {}, isKept: true },
  { name: "the context it has", request: { contextLength: 512 }, isKept: true },
  { name: "another context", request: { contextLength: 1_024 }, isKept: false },
  {
    name: "what the server's defaults are",
    request: { parallel: 4, kvTypeK: "f16" },
    isKept: true,
  },
  { name: "other settings", request: { contextLength: 512, parallel: 2 }, isKept: false },
  {
    name: "flash attention, which is on where it can be",
    request: { flashAttention: "on" },
    isKept: true,
  },
  { name: "no flash attention", request: { flashAttention: "off" }, isKept: false },
  { name: "adapters", request: { adapters }, isKept: false },
  { name: "its own name", request: { identifier: "m" }, isKept: true },
  { name: "another name", request: { identifier: "n" }, isKept: false },
];
test.each(loads)("a load on purpose of what a request loaded: $name", async (row) => {
  const pool = readyPool({ load: { ...LOAD_DEFAULTS, contextLength: null } }, 512);
  (await pool.acquire(model, never())).release();
  const { jit, ttlMs } = await pool.load(model, row.request, never());
  expect([jit, ttlMs]).toEqual([false, null]);
  const all = pool.instances().map((instance) => instance.jit);
  expect(all).toEqual(row.isKept ? [false] : [true, false]);
  await pool.close(0);
});

test("how to load: what the load asks for, then the model's preset, then the server's", async () => {
  const pool = readyPool({
    presetOf: ({ key }) =>
      key === "m" ? { load: { parallel: 7, threads: 3 }, ttlMs: null } : { load: {} },
  });
  const lease = await pool.acquire(model, never());
  expect(pool.instances()[0]).toMatchObject({
    parallel: 7,
    ttlMs: null,
    settings: { ...LOAD_DEFAULTS, parallel: 7, threads: 3 },
  });
  lease.release();
  await pool.load(model, { parallel: 2 }, never());
  expect(pool.instances()[1]?.settings).toMatchObject({ parallel: 2, threads: 3 });
  const other = await pool.acquire(scriptedModel({ name: "other" }), never());
  expect(pool.instances()[2]).toMatchObject({ parallel: 4, ttlMs: 60_000 });
  other.release();
  await pool.unload("m", { force: true });
  await pool.unload("m:2", { force: true });
  const asked = await pool.acquire(model, never(), { ttlMs: 5_000 });
  expect(pool.instances().at(-1)).toMatchObject({ ttlMs: 5_000 });
  asked.release();
  await pool.close(0);
});
