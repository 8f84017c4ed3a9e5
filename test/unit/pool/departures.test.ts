import { expect, test } from "bun:test";
import { estimateMemory } from "../../../src/pool/fit.ts";
import { ModelPool } from "../../../src/pool/model-pool.ts";
import { fakeSpawner } from "../../support/fake-channel.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import {
  failure,
  LOAD_DEFAULTS,
  never,
  POOL_DEFAULTS,
  scriptedModel,
} from "../../support/pool-fixture.ts";

const busy = scriptedModel({ name: "busy" });
const next = scriptedModel({ name: "next" });
const flush = () => new Promise((resolve) => setImmediate(resolve));

/** A pool with room for one model, which is in use while `next` waits for its memory. */
async function crowdedPool() {
  const { spawn } = fakeSpawner((engine) => {
    engine.onCommand = ({ type }) => {
      if (type === "load") engine.ready();
      if (type === "shutdown") engine.end(0);
    };
    queueMicrotask(() => engine.hello());
  });
  const clock = new ManualClock();
  const fit = { ...LOAD_DEFAULTS, threads: 1, contextLength: 1_024, purpose: "generate" } as const;
  const pool = new ModelPool({
    ...POOL_DEFAULTS,
    load: { ...LOAD_DEFAULTS, parallel: 2 },
    maxQueue: 1,
    memoryLimitBytes: estimateMemory(busy, fit).totalBytes * 1.5,
    clock,
    spawn,
    limits: { loadTimeoutMs: 60_000 },
  });
  const lease = await pool.acquire(busy, never());
  const waiting = pool.acquire(next, never());
  waiting.catch(() => {});
  await flush();
  const states = () =>
    Object.fromEntries(pool.instances().map(({ identifier, state }) => [identifier, state]));
  expect(states()).toEqual({ busy: "draining", next: "starting" });
  const pass = async (ms: number) => {
    clock.advance(ms);
    await flush();
  };
  return { pool, lease, waiting, states, pass };
}

test("a request for a model that is leaving waits no longer than for a load", async () => {
  const { pool, lease, pass } = await crowdedPool();
  let end = "waiting";
  const refused = failure(pool.acquire(busy, never())).then(({ code }) => (end = code));
  await pass(59_999);
  expect(end).toBe("waiting");
  await pass(1);
  expect(await refused).toBe("model_loading");
  lease.release();
  await pool.close(0);
});

test("a load on purpose of a model that is leaving waits no longer either", async () => {
  const { pool, lease, pass } = await crowdedPool();
  const refused = failure(pool.load(busy, {}, never()));
  await pass(60_000);
  expect(await refused).toMatchObject({
    code: "model_loading",
    message: 'Model "busy" is still being unloaded.',
  });
  lease.release();
  await pool.close(0);
});

test("the waits of a request have one limit together, whatever they are for", async () => {
  const { pool, lease, waiting, states, pass } = await crowdedPool();
  let end = "waiting";
  const refused = failure(pool.acquire(busy, never())).then(({ message }) => (end = message));
  await pass(40_000);
  lease.release();
  const other = await waiting;
  expect(states()).toEqual({ busy: "starting", next: "draining" });
  await pass(19_999);
  expect(end).toBe("waiting");
  await pass(1);
  expect(await refused).toBe('Model "busy" is still loading.');
  other.release();
  await pool.close(0);
});

test("for a model that is leaving as many requests wait as for one that loads", async () => {
  const { pool, lease, waiting } = await crowdedPool();
  const leaving = new AbortController();
  const left = pool.acquire(busy, leaving.signal).catch(() => "left");
  const others = [pool.acquire(busy, never()), pool.acquire(busy, never())];
  expect((await failure(pool.acquire(busy, never()))).code).toBe("queue_full");
  leaving.abort();
  expect(await left).toBe("left");
  const last = pool.acquire(busy, never());
  await flush();
  lease.release();
  (await waiting).release();
  for (const one of await Promise.all([...others, last])) one.release();
  await pool.close(0);
});

test("a model stays when all who were told to come back for its memory do not", async () => {
  const { pool, lease, waiting, states, pass } = await crowdedPool();
  await pass(60_000);
  expect((await failure(waiting)).code).toBe("model_loading");
  await pass(29_999);
  expect(states()).toEqual({ busy: "draining", next: "starting" });
  const anew = pool.acquire(busy, never());
  await pass(1);
  expect(states()).toEqual({ busy: "ready" });
  (await anew).release();
  lease.release();
  await pool.close(0);
});

test("who comes back in time finds the place in the queue", async () => {
  const { pool, lease, waiting, states, pass } = await crowdedPool();
  await pass(60_000);
  expect((await failure(waiting)).code).toBe("model_loading");
  await pass(10_000);
  const again = pool.acquire(next, never());
  await pass(40_000);
  expect(states()).toEqual({ busy: "draining", next: "starting" });
  lease.release();
  (await again).release();
  expect(states()).toEqual({ next: "ready" });
  await pool.close(0);
});
