import { afterEach, describe, expect, test } from "bun:test";
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
import type { JobScript } from "../support/scripted-engine.ts";
import { HandClock } from "../support/hand-clock.ts";
import { until } from "../support/until.ts";

let pool: ModelPool;
afterEach(async () => await pool.close(0));

const model = scriptedModel({ name: "m" });
const pidOf = (name: string) =>
  pool.instances().find((instance) => instance.identifier === name)?.pid ?? 0;

interface Crash {
  name: string;
  script: JobScript;
  cause: RegExp;
}

const crashes: Crash[] = [
  { name: "exit 0", script: { op: "exit", code: 0 }, cause: /exited with code 0/ },
  { name: "exit 7", script: { op: "exit", code: 7 }, cause: /exited with code 7/ },
  { name: "SIGSEGV", script: { op: "signal", signal: "SIGSEGV" }, cause: /killed by SIGSEGV/ },
  { name: "SIGABRT", script: { op: "signal", signal: "SIGABRT" }, cause: /killed by SIGABRT/ },
  { name: "SIGBUS", script: { op: "signal", signal: "SIGBUS" }, cause: /SIGBUS.*file changed/ },
  { name: "SIGKILL", script: { op: "signal", signal: "SIGKILL" }, cause: /SIGKILL.*memory/ },
  {
    name: "a broken line on its channel",
    script: { op: "raw", text: "}{ no json\n" },
    cause: /exited|closed its channel/,
  },
  {
    name: "a message of unknown type",
    script: { op: "send", message: { type: "wobble", seq: 1_000 } },
    cause: /malformed message/,
  },
  {
    name: "a message that is no object",
    script: { op: "send", message: 7 },
    cause: /malformed message/,
  },
  {
    name: "a message with an old number",
    script: { op: "send", message: { type: "loading", seq: 1, fraction: 0 } },
    cause: /malformed message/,
  },
  {
    name: "a message out of turn",
    script: { op: "send", message: { type: "hello", seq: 1_000, buildId: "build-of-the-test" } },
    cause: /out of turn/,
  },
  {
    name: "an event without its fields",
    script: { op: "event", event: { type: "text", jobId: 1 } },
    cause: /malformed message/,
  },
  { name: "its channel closed", script: { op: "disconnect" }, cause: /closed its channel|exited/ },
];

describe("an engine that dies fails its jobs, says why, and the next request is served", () => {
  test.each(crashes)("$name", async ({ script, cause }) => {
    pool = scriptedPool();
    const error = await failure(answer(pool, model, script));
    expect(error.code).toBe("engine_crashed");
    expect(hasCode(error, "engine_crashed") && error.details.cause).toMatch(cause);
    expect(await answer(pool, model, { op: "count", tokens: 3 })).toBe("t1 t2 t3 ");
    expect(pool.statistics()).toMatchObject({ engineStarts: 2, engineRestarts: 1 });
    expect(pool.statistics().engineExits.crashed).toBe(1);
  });
});

test("kill -9 with eight streams: each gets its text, then the error; the other model goes on", async () => {
  pool = scriptedPool();
  const other = scriptedModel({ name: "other" });
  const leases = await Promise.all(Array.from({ length: 8 }, () => pool.acquire(model, never())));
  const streams = await Promise.all(leases.map((lease) => startedStream(lease)));
  const otherLease = await pool.acquire(other, never());
  const otherAbort = new AbortController();
  const otherStream = await startedStream(otherLease, otherAbort.signal);

  process.kill(pidOf("m"), "SIGKILL");
  const errors = await Promise.all(streams.map((stream) => failure(textOf(stream))));
  expect(errors.map((error) => error.code)).toEqual(Array(8).fill("engine_crashed"));
  for (let n = 0; n < 5; n += 1) expect((await otherStream.next()).value?.type).toBe("text");
  expect(pool.instances().map((instance) => instance.identifier)).toEqual(["other"]);
  expect(await answer(pool, model, { op: "count", tokens: 1 })).toBe("t1 ");
  for (const lease of [...leases, otherLease]) lease.release();
  otherAbort.abort();
});

test("kill -9 of an idle engine costs nobody anything", async () => {
  pool = scriptedPool();
  await answer(pool, model, { op: "count", tokens: 1 });
  process.kill(pidOf("m"), "SIGKILL");
  await until(() => pool.instances().length === 0);
  expect(await answer(pool, model, { op: "count", tokens: 2 })).toBe("t1 t2 ");
});

test("a job on a lease whose engine died is refused, not sent to the next engine", async () => {
  pool = scriptedPool();
  const lease = await pool.acquire(model, never());
  process.kill(pidOf("m"), "SIGKILL");
  await until(() => pool.instances().length === 0);
  await answer(pool, model, { op: "count", tokens: 1 });
  const job = scriptedJob({ op: "count", tokens: 1 });
  expect((await failure(textOf(lease.generate(job, never())))).code).toBe("engine_crashed");
  lease.release();
});

test("two crashes within a minute refuse the model for 30 s with the cause, then it works again", async () => {
  const clock = new HandClock();
  pool = scriptedPool({ clock });
  const crash = () => failure(answer(pool, model, { op: "exit", code: 9 }));
  expect((await crash()).code).toBe("engine_crashed");
  expect((await crash()).code).toBe("engine_crashed");

  const refused = await crash();
  expect(refused.code).toBe("engine_unstable");
  const details = hasCode(refused, "engine_unstable") ? refused.details : null;
  expect(details?.cause).toContain("code 9");
  expect(details?.retryAfterMs).toBe(30_000);
  expect(pool.statistics().engineStarts).toBe(2);
  const other = scriptedModel({ name: "other" });
  expect(await answer(pool, other, { op: "count", tokens: 1 })).toBe("t1 ");

  clock.skip(30_000);
  expect(await answer(pool, model, { op: "count", tokens: 1 })).toBe("t1 ");
});

test("a replaced model file is tried at once after crashes", async () => {
  pool = scriptedPool();
  await failure(answer(pool, model, { op: "exit", code: 9 }));
  await failure(answer(pool, model, { op: "exit", code: 9 }));
  const replaced = scriptedModel({ name: "m" }, { modifiedMs: 2 });
  expect(await answer(pool, replaced, { op: "count", tokens: 1 })).toBe("t1 ");
});

test("events of unknown jobs are counted and harm nobody", async () => {
  pool = scriptedPool();
  const stale = { type: "text", jobId: 4_000, choice: 0, text: "foreign", tokens: 1 };
  expect(await answer(pool, model, { op: "event", event: stale })).toBe("t1 ");
  expect(pool.statistics()).toMatchObject({ staleEvents: 1, engineStarts: 1 });
});

test("500 MB without a newline on stderr neither blocks the engine nor fills this process", async () => {
  pool = scriptedPool();
  const before = process.memoryUsage.rss();
  expect(await answer(pool, model, { op: "stderr", bytes: 500 << 20 })).toBe("t1 ");
  // Much less than was written; how much garbage lies about is the collector's business.
  expect(process.memoryUsage.rss() - before).toBeLessThan(200 << 20);
  expect(await answer(pool, model, { op: "closeStderr" })).toBe("t1 ");
});

test("a message of 50 MB arrives whole", async () => {
  pool = scriptedPool();
  const text = await answer(pool, model, { op: "large", characters: 50_000_000 });
  expect(text.length).toBe(50_000_000);
});

test("the cause holds what the engine said last, without folders of this machine", async () => {
  pool = scriptedPool();
  const says = "/home/me/src/ggml.c:42: GGML_ASSERT(n > 0) failed\n";
  const broken = scriptedModel({ name: "m", load: "abort", says });
  const error = await failure(pool.acquire(broken, never()));
  const reason = hasCode(error, "model_load_failed") ? error.details.reason : "";
  expect(reason).toContain("killed by SIGABRT");
  expect(reason).toContain("ggml.c:42: GGML_ASSERT(n > 0) failed");
  expect(reason).not.toContain("/home");
  expect(reason).not.toContain("Bun v");
});

test("no engine is left when the pool has closed", async () => {
  pool = scriptedPool();
  await answer(pool, model, { op: "count", tokens: 1 });
  const pid = pidOf("m");
  expect(isAlive(pid)).toBe(true);
  await pool.close(0);
  expect(isAlive(pid)).toBe(false);
});
