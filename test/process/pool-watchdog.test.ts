import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { hasCode } from "../../src/lib/errors.ts";
import type { ModelPool } from "../../src/pool/model-pool.ts";
import {
  answer,
  failure,
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
const enginePid = () => pool.instances()[0]?.pid ?? 0;
const isStopped = (pid: number) => / T /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));

test("an engine that is stopped and continued only delays its jobs", async () => {
  pool = scriptedPool();
  const lease = await pool.acquire(model, never());
  const job = lease.generate(scriptedJob({ op: "count", tokens: 100 }), never());
  await job.next();
  process.kill(enginePid(), "SIGSTOP");
  await until(() => isStopped(enginePid()));
  const rest = textOf(job);
  const second = textOf(lease.generate(scriptedJob({ op: "count", tokens: 2 }), never()));
  process.kill(enginePid(), "SIGCONT");
  expect((await rest).endsWith("t100 ")).toBe(true);
  expect(await second).toBe("t1 t2 ");
  expect(pool.statistics()).toMatchObject({ engineStarts: 1 });
  lease.release();
});

test("an engine that stays stopped is ended, and the next request is served", async () => {
  pool = scriptedPool({ limits: { watchdogMs: 200 } });
  const lease = await pool.acquire(model, never());
  const stream = await startedStream(lease);
  const pid = enginePid();
  process.kill(pid, "SIGSTOP");
  const error = await failure(textOf(stream));
  expect(hasCode(error, "engine_crashed") && error.details.cause).toContain("made no progress");
  await until(() => !isAlive(pid));
  expect(await answer(pool, model, { op: "count", tokens: 1 })).toBe("t1 ");
  expect(pool.statistics()).toMatchObject({ watchdogKills: 1, engineExits: { watchdog: 1 } });
  lease.release();
});

test("a step that never returns is ended", async () => {
  pool = scriptedPool({ limits: { watchdogMs: 200 } });
  const error = await failure(answer(pool, model, { op: "busy" }));
  expect(error.code).toBe("engine_crashed");
});

test("an engine that never answers a job is ended", async () => {
  pool = scriptedPool({ limits: { watchdogMs: 200 } });
  expect((await failure(answer(pool, model, { op: "silent" }))).code).toBe("engine_crashed");
});

test("a job the engine forgets fails alone while the others go on", async () => {
  pool = scriptedPool({ limits: { muteSteps: 64 } });
  const lease = await pool.acquire(model, never());
  const abort = new AbortController();
  const other = await startedStream(lease, abort.signal);
  const read = (async () => {
    for await (const event of other) if (abort.signal.aborted) return event;
    return null;
  })().catch((error: unknown) => String(error));
  const error = await failure(answer(pool, model, { op: "mute" }));
  expect([error.code, error.message]).toEqual([
    "internal",
    "The engine stopped reporting this job.",
  ]);
  expect(pool.instances()[0]).toMatchObject({ state: "ready", starts: 1 });
  abort.abort(new Error("enough"));
  expect(await read).toContain("enough");
  await until(() => pool.instances()[0]?.running === 0);
  expect(pool.statistics()).toMatchObject({ mutedJobs: 1, watchdogKills: 0 });
  lease.release();
});

test("an idle engine is left alone however long it is silent", async () => {
  pool = scriptedPool({ limits: { watchdogMs: 50 } });
  await answer(pool, model, { op: "count", tokens: 3 });
  process.kill(enginePid(), "SIGSTOP");
  await Bun.sleep(200);
  process.kill(enginePid(), "SIGCONT");
  expect(await answer(pool, model, { op: "count", tokens: 1 })).toBe("t1 ");
  expect(pool.statistics().watchdogKills).toBe(0);
});

test("what is sent to a stopped engine stays within the window", async () => {
  pool = scriptedPool({ limits: { windowBytes: 1 << 20 } });
  const lease = await pool.acquire(model, never());
  process.kill(enginePid(), "SIGSTOP");
  await until(() => isStopped(enginePid()));
  const prompt = "x".repeat(300_000);
  const jobs = Array.from({ length: 20 }, () =>
    lease.tokenize({ kind: "text", text: prompt, addSpecial: true, parseSpecial: true }, never()),
  );
  await until(() => pool.instances()[0]?.running === 20);
  expect(pool.statistics().ipcInflightBytes).toBeLessThanOrEqual(1 << 20);
  process.kill(enginePid(), "SIGCONT");
  for (const tokens of await Promise.all(jobs)) expect(tokens).toEqual([1, 2, 3]);
  expect(pool.statistics().ipcInflightBytes).toBe(0);
  lease.release();
});
