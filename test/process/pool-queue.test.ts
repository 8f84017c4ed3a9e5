import { afterEach, expect, test } from "bun:test";
import { hasCode } from "../../src/lib/errors.ts";
import type { ModelPool } from "../../src/pool/model-pool.ts";
import type { JobEvent } from "../../src/protocol/events.ts";
import {
  answer,
  LOAD_DEFAULTS,
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

test("jobs beyond slots and queue are refused with the numbers, and taken again later", async () => {
  pool = scriptedPool({ load: { ...LOAD_DEFAULTS, parallel: 1 }, maxQueue: 2 });
  const lease = await pool.acquire(model, never());
  const abort = new AbortController();
  const streams = await Promise.all([1, 2, 3].map(() => startedStream(lease, abort.signal)));
  const refused = await textOf(
    lease.generate(scriptedJob({ op: "count", tokens: 1 }), never()),
  ).catch((error: unknown) => error);
  expect(hasCode(refused, "queue_full") && refused.details).toEqual({
    queued: 2,
    limit: 2,
    retryAfterMs: expect.any(Number) as number,
  });
  const retryAfterMs = hasCode(refused, "queue_full") ? refused.details.retryAfterMs : 0;
  expect(retryAfterMs).toBeGreaterThanOrEqual(1_000);
  expect(retryAfterMs).toBeLessThanOrEqual(30_000);
  const tokens = lease.tokenize({ kind: "tokens", tokens: [] }, never());
  expect(await tokens).toEqual([1, 2, 3]);

  abort.abort(new Error("enough"));
  await Promise.allSettled(streams.map((stream) => textOf(stream)));
  await until(() => pool.instances()[0]?.running === 0);
  expect(await answer(pool, model, { op: "count", tokens: 1 })).toBe("t1 ");
  lease.release();
});

test("requests beyond slots and queue that wait for a load are refused at once", async () => {
  pool = scriptedPool({ load: { ...LOAD_DEFAULTS, parallel: 1 }, maxQueue: 2 });
  const loading = scriptedModel({ name: "m", load: "hang" });
  const waiting = [1, 2, 3].map(() => pool.acquire(loading, never()).catch(() => "closed"));
  const refused = await pool.acquire(loading, never()).catch((error: unknown) => error);
  expect(hasCode(refused, "queue_full") && refused.details.queued).toBe(3);
  await pool.close(0);
  expect(await Promise.all(waiting)).toEqual(["closed", "closed", "closed"]);
});

test("an abort ends the job in the engine and the reader gets the signal's reason", async () => {
  pool = scriptedPool();
  const lease = await pool.acquire(model, never());
  const abort = new AbortController();
  const stream = await startedStream(lease, abort.signal);
  abort.abort(new Error("client left"));
  expect(await textOf(stream).catch((error: unknown) => String(error))).toContain("client left");
  await until(() => pool.instances()[0]?.running === 0);
  expect(pool.statistics()).toMatchObject({ cancelled: { decode: 1 } });
  lease.release();
});

test("leaving the loop cancels the job", async () => {
  pool = scriptedPool();
  const lease = await pool.acquire(model, never());
  const types: JobEvent["type"][] = [];
  for await (const event of lease.generate(scriptedJob({ op: "forever" }), never())) {
    types.push(event.type);
    if (types.length === 3) break;
  }
  expect(types).toEqual(["accepted", "text", "text"]);
  await until(() => pool.instances()[0]?.running === 0);
  expect(pool.statistics().cancelled.decode).toBe(1);
  lease.release();
});

test("a job that waits for the window is cancelled without being sent", async () => {
  pool = scriptedPool({ limits: { windowBytes: 1 } });
  const lease = await pool.acquire(model, never());
  process.kill(pool.instances()[0]?.pid ?? 0, "SIGSTOP");
  const first = textOf(lease.generate(scriptedJob({ op: "count", tokens: 1 }), never()));
  const abort = new AbortController();
  const second = textOf(lease.generate(scriptedJob({ op: "exit", code: 1 }), abort.signal));
  abort.abort(new Error("client left"));
  expect(await second.catch((error: unknown) => String(error))).toContain("client left");
  expect(pool.statistics().cancelled.queue).toBe(1);
  process.kill(pool.instances()[0]?.pid ?? 0, "SIGCONT");
  expect(await first).toBe("t1 ");
  lease.release();
});

test("five hundred cancels at random moments leave no job behind", async () => {
  pool = scriptedPool({ maxQueue: 1_000 });
  const lease = await pool.acquire(model, never());
  let seed = 20_261_123;
  const random = (limit: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * limit);
  };
  const one = async () => {
    const abort = new AbortController();
    let left = random(6);
    const script = { op: "count", tokens: random(6) } as const;
    try {
      if (left === 0) abort.abort();
      for await (const event of lease.generate(scriptedJob(script), abort.signal)) {
        left -= 1;
        if (left === 0 && event.type !== "jobDone") abort.abort();
      }
    } catch (error) {
      if (!abort.signal.aborted) throw error;
    }
  };
  for (let round = 0; round < 10; round += 1) await Promise.all(Array.from({ length: 50 }, one));
  await until(() => pool.instances()[0]?.running === 0);
  expect(pool.instances()[0]).toMatchObject({ running: 0, queued: 0, starts: 1 });
  expect(await answer(pool, model, { op: "count", tokens: 1 })).toBe("t1 ");
  lease.release();
});

test("a refusal of the engine keeps its code and facts", async () => {
  pool = scriptedPool();
  const error = await answer(pool, model, { op: "refuse" }).catch((reason: unknown) => reason);
  expect(hasCode(error, "context_length_exceeded") && error.details).toEqual({
    promptTokens: 2_000,
    contextLength: 1_024,
    param: null,
  });
});

test("embeddings and tokens are answered", async () => {
  pool = scriptedPool();
  const lease = await pool.acquire(model, never());
  const { vectors, tokens } = await lease.embed(["a", [1, 2]], never());
  expect([tokens, vectors.length]).toEqual([2, 2]);
  expect([...(vectors[0] ?? [])].map((value) => value.toFixed(2))).toEqual(["0.60", "0.80"]);
  const text = { kind: "text", text: "a", addSpecial: true, parseSpecial: true } as const;
  expect(await lease.tokenize(text, never())).toEqual([1, 2, 3]);
  lease.release();
});

test("an engine tells what it is doing, and one that is not there says nothing", async () => {
  pool = scriptedPool();
  expect(await pool.inspect("model-a", never())).toBeNull();
  const lease = await pool.acquire(model, never());
  const status = await pool.inspect(lease.identifier, never());
  expect(status).toMatchObject({ slots: [], parallel: 1, kvCells: 1_024 });
  lease.release();
});

test("what an engine does not say again about its prefix cache stays known", async () => {
  pool = scriptedPool();
  const lease = await pool.acquire(model, never());
  await pool.inspect(lease.identifier, never());
  await lease.embed(["a"], never());
  expect(pool.instances()[0]?.load).toMatchObject({ step: 2, cache: { storedSequences: 7 } });
  lease.release();
});

test("a reader that never reads is ended when too much waits for it", async () => {
  pool = scriptedPool({ limits: { maxBufferedTokens: 20 } });
  const lease = await pool.acquire(model, never());
  const stream = await startedStream(lease);
  await until(() => pool.instances()[0]?.running === 0);
  const error = await textOf(stream).catch((reason: unknown) => reason);
  expect(hasCode(error, "overloaded")).toBe(true);
  lease.release();
});
