import { afterEach, expect, test } from "bun:test";
import { hasCode } from "../../src/lib/errors.ts";
import type { ModelPool } from "../../src/pool/model-pool.ts";
import {
  answer,
  isAlive,
  never,
  scriptedJob,
  scriptedModel,
  scriptedPool,
  startedStream,
  textOf,
} from "../support/pool-fixture.ts";
import { until } from "../support/until.ts";

let pool: ModelPool;
afterEach(async () => await pool.close(0));

const model = scriptedModel({ name: "m" });
const pids = () => pool.instances().map((instance) => instance.pid ?? 0);
const codeOf = (error: unknown) => (error instanceof Error && "code" in error ? error.code : error);

test("unload waits for running jobs, new requests wait for it and load anew", async () => {
  pool = scriptedPool();
  const lease = await pool.acquire(model, never());
  const job = lease.generate(scriptedJob({ op: "count", tokens: 50 }), never());
  await job.next();
  const unloading = pool.unload("m", { force: false });
  expect(pool.instances()[0]?.state).toBe("draining");
  const later = answer(pool, model, { op: "count", tokens: 1 });
  expect((await textOf(job)).endsWith("t50 ")).toBe(true);
  lease.release();
  await unloading;
  expect(await later).toBe("t1 ");
  expect(pool.statistics()).toMatchObject({ engineStarts: 2, engineExits: { unloaded: 1 } });
});

test("an explicit load during an unload gets the name that becomes free", async () => {
  pool = scriptedPool();
  await pool.load(model, {}, never());
  const lease = await pool.acquire(model, never());
  const unloading = pool.unload("m", { force: false });
  const loading = pool.load(model, { parallel: 2 }, never());
  lease.release();
  await unloading;
  expect((await loading).identifier).toBe("m");
});

test("a forced unload ends jobs with model_unloaded and the process", async () => {
  pool = scriptedPool();
  const lease = await pool.acquire(model, never());
  const stream = await startedStream(lease);
  const [pid = 0] = pids();
  const outcome = textOf(stream).catch(codeOf);
  await pool.unload("m", { force: true });
  expect(await outcome).toBe("model_unloaded");
  expect(isAlive(pid)).toBe(false);
  expect(pool.instances()).toEqual([]);
  lease.release();
  const again = await pool.unload("m", { force: true }).catch(codeOf);
  expect(again).toBe("model_not_loaded");
});

test("a forced unload during a load ends the load for everyone who waits", async () => {
  pool = scriptedPool();
  const hanging = scriptedModel({ name: "m", load: "hang" });
  const waiting = pool.acquire(hanging, never()).catch(codeOf);
  await until(() => pool.instances()[0]?.state === "loading");
  await pool.unload("m", { force: true });
  expect(await waiting).toBe("model_unloaded");
  expect(pool.instances()).toEqual([]);
});

test("an explicit load keeps what a request loaded and takes its TTL away", async () => {
  pool = scriptedPool({ ttlMs: 60_000 });
  await answer(pool, model, { op: "count", tokens: 1 });
  const pinned = await pool.load(model, {}, never());
  expect(pinned).toMatchObject({ identifier: "m", jit: false, ttlMs: null, starts: 1 });
});

test("a pinned model that crashed stays known and is started again with its settings", async () => {
  pool = scriptedPool();
  await pool.load(model, { identifier: "mine", parallel: 3 }, never());
  await answer(pool, model, { op: "exit", code: 1 }).catch(codeOf);
  expect(pool.instances()[0]).toMatchObject({ identifier: "mine", state: "crashed", pid: null });
  expect(await answer(pool, model, { op: "count", tokens: 1 })).toBe("t1 ");
  expect(pool.instances()).toHaveLength(1);
  expect(pool.instances()[0]).toMatchObject({ identifier: "mine", parallel: 3, crashes: 1 });
  await pool.unload("mine", { force: false });
  expect(pool.instances()).toEqual([]);
});

test("a pinned model that crashed can be unloaded", async () => {
  pool = scriptedPool();
  await pool.load(model, {}, never());
  await answer(pool, model, { op: "exit", code: 1 }).catch(codeOf);
  await until(() => pool.instances()[0]?.state === "crashed");
  await pool.unload("m", { force: false });
  expect(pool.instances()).toEqual([]);
});

test("the last model loaded by a request replaces the one before, but no pinned one", async () => {
  pool = scriptedPool({ keepLastJit: true });
  const [a, b, pinned] = ["a", "b", "pinned"].map((name) => scriptedModel({ name }));
  const embedding = scriptedModel({ name: "e" }, { kind: "embedding" });
  if (a === undefined || b === undefined || pinned === undefined) throw new Error("three models");
  await pool.load(pinned, {}, never());
  await answer(pool, embedding, { op: "count", tokens: 1 });
  await answer(pool, a, { op: "count", tokens: 1 });
  await answer(pool, b, { op: "count", tokens: 1 });
  expect(pool.instances().map((instance) => instance.identifier)).toEqual(["pinned", "e", "b"]);
});

test("a busy model is replaced only after its job, and nobody starves", async () => {
  pool = scriptedPool({ keepLastJit: true });
  const [a, b] = [scriptedModel({ name: "a" }), scriptedModel({ name: "b" })];
  const lease = await pool.acquire(a, never());
  const job = lease.generate(scriptedJob({ op: "count", tokens: 40 }), never());
  await job.next();
  const other = answer(pool, b, { op: "count", tokens: 2 });
  const more = answer(pool, a, { op: "count", tokens: 3 });
  expect((await textOf(job)).endsWith("t40 ")).toBe(true);
  lease.release();
  expect(await Promise.all([other, more])).toEqual(["t1 t2 ", "t1 t2 t3 "]);
});

test("two models that take turns serve all who wait for them before they give way", async () => {
  pool = scriptedPool({ keepLastJit: true });
  const [a, b] = [scriptedModel({ name: "a" }), scriptedModel({ name: "b" })];
  const answers = Array.from({ length: 40 }, (_, n) =>
    answer(pool, n % 2 === 0 ? a : b, { op: "count", tokens: 1 + (n % 5) }),
  );
  const lengths = (await Promise.all(answers)).map((text) => text.trim().split(" ").length);
  expect(lengths).toEqual(Array.from({ length: 40 }, (_, n) => 1 + (n % 5)));
  expect(pool.statistics().engineStarts).toBe(2);
  expect(pool.instances().map((instance) => instance.identifier)).toEqual(["b"]);
});

test("fifty first requests for three models where two fit are all answered", async () => {
  pool = scriptedPool({ memoryLimitBytes: 140 << 20 });
  const models = ["a", "b", "c"].map((name) => scriptedModel({ name }, { sizeBytes: 20 << 20 }));
  const answers = Array.from({ length: 50 }, (_, n) =>
    answer(pool, models[n % 3] ?? model, { op: "count", tokens: 2 }),
  );
  expect(await Promise.all(answers)).toEqual(Array(50).fill("t1 t2 "));
  expect(pool.instances().length).toBeLessThanOrEqual(2);
});

test("a model that cannot fit is refused with numbers and nothing is started or evicted", async () => {
  pool = scriptedPool({ memoryLimitBytes: 400 << 20 });
  await answer(pool, model, { op: "count", tokens: 1 });
  const huge = scriptedModel({ name: "huge" }, { sizeBytes: 2 ** 40 });
  const error = await pool.acquire(huge, never()).catch((reason: unknown) => reason);
  const details = hasCode(error, "insufficient_memory") ? error.details : null;
  expect(details).toMatchObject({ model: "huge", availableBytes: 400 << 20 });
  expect(details?.neededBytes).toBeGreaterThan(2 ** 40);
  expect(pool.instances().map((instance) => instance.identifier)).toEqual(["m"]);
  expect(pool.statistics().engineStarts).toBe(1);
});

test("close refuses new work, lets running jobs end and leaves no process", async () => {
  pool = scriptedPool();
  const lease = await pool.acquire(model, never());
  const job = lease.generate(scriptedJob({ op: "count", tokens: 60 }), never());
  await job.next();
  const [pid = 0] = pids();
  const closing = pool.close(60_000);
  expect(await pool.acquire(model, never()).catch(codeOf)).toBe("server_shutdown");
  const late = async () => await textOf(lease.generate(scriptedJob({ op: "forever" }), never()));
  expect(await late().catch(codeOf)).toBe("server_shutdown");
  expect((await textOf(job)).endsWith("t60 ")).toBe(true);
  lease.release();
  await closing;
  expect(isAlive(pid)).toBe(false);
  expect(pool.statistics().engineExits.shutdown).toBe(1);
});

test("close ends what does not finish in its grace, and loads at once", async () => {
  pool = scriptedPool();
  const lease = await pool.acquire(model, never());
  const stream = await startedStream(lease);
  const hanging = scriptedModel({ name: "other", load: "hang" });
  const waiting = pool.acquire(hanging, never()).catch(codeOf);
  await until(() => pool.instances()[1]?.state === "loading");
  const outcome = textOf(stream).catch(codeOf);
  const all = pids();
  await pool.close(20);
  expect([await outcome, await waiting]).toEqual(["server_shutdown", "server_shutdown"]);
  expect(all.map(isAlive)).toEqual([false, false]);
  lease.release();
});

test("close ends an engine that is stopped", async () => {
  pool = scriptedPool({ limits: { politeMs: 20, terminateMs: 20 } });
  await answer(pool, model, { op: "count", tokens: 1 });
  const [pid = 0] = pids();
  process.kill(pid, "SIGSTOP");
  await pool.close(0);
  expect(isAlive(pid)).toBe(false);
});
