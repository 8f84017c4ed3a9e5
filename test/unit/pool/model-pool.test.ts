import { expect, test } from "bun:test";
import { silentLog } from "../../../src/lib/log.ts";
import { ModelPool } from "../../../src/pool/model-pool.ts";
import { fakeSpawner } from "../../support/fake-channel.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import {
  BUILD_ID,
  failure,
  LOAD_DEFAULTS,
  never,
  scriptedJob,
  scriptedModel,
  textOf,
} from "../../support/pool-fixture.ts";

const model = scriptedModel({ name: "m" });
const flush = () => new Promise((resolve) => setImmediate(resolve));

function fakePool(memoryLimitBytes: number | null = null) {
  const clock = new ManualClock();
  const { spawn, engines } = fakeSpawner();
  const spawning = { fails: false };
  const pool = new ModelPool({
    engine: { command: [], buildId: BUILD_ID },
    load: LOAD_DEFAULTS,
    maxQueue: 8,
    ttlMs: 60_000,
    keepLastJit: false,
    memoryLimitBytes,
    clock,
    log: silentLog,
    spawn: (listener) => {
      if (spawning.fails) throw new Error("EAGAIN");
      return spawn(listener);
    },
    availableBytes: () => null,
  });
  const engineAt = async (index: number) => {
    await flush();
    const engine = engines[index];
    if (engine === undefined) throw new Error(`engine ${index} was not started`);
    return engine;
  };
  const readyAt = async (index: number) => {
    const engine = await engineAt(index);
    engine.onCommand = ({ type }) => type === "shutdown" && engine.end(0);
    engine.hello();
    engine.ready();
    return engine;
  };
  return { pool, clock, engines, engineAt, readyAt, spawning };
}

test("an idle model is unloaded after its TTL, a used one is not", async () => {
  const { pool, clock, readyAt } = fakePool();
  const first = pool.acquire(model, never());
  await readyAt(0);
  const lease = await first;
  clock.advance(120_000);
  expect(pool.instances()[0]?.state).toBe("ready");
  lease.release();
  clock.advance(59_999);
  expect(pool.instances()[0]?.state).toBe("ready");
  clock.advance(1);
  await flush();
  expect(pool.instances()).toEqual([]);
  expect(pool.statistics().engineExits.unloaded).toBe(1);
  await pool.close(0);
});

test("a request may say how long what it loads stays", async () => {
  const { pool, clock, readyAt } = fakePool();
  const own = pool.acquire(model, never(), { ttlMs: 5_000 });
  await readyAt(0);
  (await own).release();
  clock.advance(4_999);
  expect(pool.instances()[0]).toMatchObject({ state: "ready", ttlMs: 5_000 });
  clock.advance(1);
  await flush();
  expect(pool.instances()).toEqual([]);
  await pool.close(0);
});

test("a load that worked forgets earlier failures", async () => {
  const { pool, clock, engineAt, readyAt, engines } = fakePool();
  const refuse = async (index: number) => {
    const outcome = failure(pool.acquire(model, never()));
    const engine = await engineAt(index);
    engine.hello();
    engine.refuse("wobble");
    expect((await outcome).code).toBe("model_load_failed");
  };
  await refuse(0);
  clock.advance(5_000);
  await refuse(1);
  clock.advance(10_000);
  const lease = pool.acquire(model, never());
  await readyAt(2);
  (await lease).release();
  await pool.unload("m", { force: true });
  await refuse(3);
  clock.advance(4_999);
  expect((await failure(pool.acquire(model, never()))).code).toBe("model_load_failed");
  expect(engines).toHaveLength(4);
  clock.advance(1);
  await refuse(4);
  await pool.close(0);
});

test("a pinned model that cannot be started again holds no memory", async () => {
  const { pool, readyAt, engines, spawning } = fakePool(60 << 20);
  const loading = pool.load(model, {}, never());
  const engine = await readyAt(0);
  await loading;
  engine.end(1);
  await flush();
  spawning.fails = true;
  expect((await failure(pool.acquire(model, never()))).code).toBe("model_load_failed");
  spawning.fails = false;
  const lease = pool.acquire(scriptedModel({ name: "other" }), never());
  await readyAt(1);
  (await lease).release();
  expect(engines).toHaveLength(2);
  await pool.close(0);
});

test("closing ends jobs that have not begun at once and lets the others go on", async () => {
  const { pool, readyAt } = fakePool();
  const acquiring = pool.acquire(model, never());
  const engine = await readyAt(0);
  const lease = await acquiring;
  const job = scriptedJob({ op: "forever" });
  const running = textOf(lease.generate(job, never()));
  const waiting = failure(textOf(lease.generate(job, never())));
  await flush();
  engine.step([{ type: "accepted", jobId: 1, promptTokens: 1, cachedTokens: 0 }]);
  const closing = pool.close(60_000);
  expect((await waiting).code).toBe("server_shutdown");
  expect(pool.instances()[0]).toMatchObject({ state: "draining", running: 1 });
  engine.step([
    { type: "text", jobId: 1, choice: 0, text: "whole", tokens: 1 },
    {
      type: "jobDone",
      jobId: 1,
      timings: { queuedMs: 0, prefillMs: 0, decodeMs: 0, ttftMs: 0, computedPromptTokens: 1 },
    },
  ]);
  expect(await running).toBe("whole");
  lease.release();
  await closing;
});

test("an idle pool has one timer per model that may expire, a closed one has none", async () => {
  const { pool, clock, readyAt, engines } = fakePool();
  for (const [index, name] of ["a", "b"].entries()) {
    const lease = pool.acquire(scriptedModel({ name }), never());
    await readyAt(index);
    (await lease).release();
  }
  expect(clock.pending).toBe(2);
  clock.advance(59_999);
  expect(pool.instances()).toHaveLength(2);
  clock.advance(1);
  await flush();
  expect([pool.instances(), engines.map(({ isGone }) => isGone)]).toEqual([[], [true, true]]);
  await pool.close(0);
  expect(clock.pending).toBe(0);
});
