import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import type { ModelPool } from "../../src/pool/model-pool.ts";
import type { GenerateJob } from "../../src/protocol/commands.ts";
import { DEFAULT_SAMPLING } from "../../src/protocol/sampling.ts";
import {
  BUILD_ID,
  failure,
  isAlive,
  never,
  scriptedJob,
  scriptedModel,
  scriptedPool,
  textOf,
} from "../support/pool-fixture.ts";
import { until } from "../support/until.ts";

/** The engine's own loop over the fake backend, in a real process. */
function enginePool(decodeMs: number): ModelPool {
  const script = join(import.meta.dir, "../support/fake-engine.ts");
  const flags = ["--build-id", BUILD_ID, "--decode-ms", String(decodeMs)];
  return scriptedPool({
    engine: { command: [process.execPath, script, ...flags], buildId: BUILD_ID },
    maxQueue: 1_000,
  });
}

let pool: ModelPool;
afterEach(async () => await pool.close(0));

const model = scriptedModel({ name: "m" }, { path: "/fake.gguf" });

const jobOf = (text: string, maxTokens: number | null): GenerateJob => ({
  ...scriptedJob({ op: "forever" }),
  prompt: { kind: "text", text, addSpecial: true, parseSpecial: true },
  sampling: { ...DEFAULT_SAMPLING, temperature: 0, ignoreEos: true },
  maxTokens,
});

test("answers of the engine's loop do not depend on what runs beside them", async () => {
  pool = enginePool(0);
  const lease = await pool.acquire(model, never());
  const prompts = Array.from({ length: 12 }, (_, n) => `tell me about ${n * 7919}`);
  const alone: string[] = [];
  for (const prompt of prompts) {
    alone.push(await textOf(lease.generate(jobOf(prompt, 20), never())));
  }
  const together = await Promise.all(
    prompts.map((prompt) => textOf(lease.generate(jobOf(prompt, 20), never()))),
  );
  expect(together).toEqual(alone);
  expect(new Set(alone).size).toBe(12);
  lease.release();
});

test("five hundred cancels at random moments leave the engine idle with its slots free", async () => {
  pool = enginePool(0);
  const lease = await pool.acquire(model, never());
  let state = 7;
  const random = (limit: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const outcomes = Array.from({ length: 500 }, async (_, n) => {
    const abort = new AbortController();
    let left = random(12);
    const job = jobOf(`prompt ${n % 40} ${"word ".repeat(random(40))}`, 1 + random(8));
    try {
      if (left === 0) setImmediate(() => abort.abort());
      for await (const event of lease.generate(job, abort.signal)) {
        left -= 1;
        if (left === 0 && event.type !== "jobDone") abort.abort();
      }
      return "done";
    } catch (error) {
      if (abort.signal.aborted) return "cancelled";
      throw error;
    }
  });
  const ends = await Promise.all(outcomes);
  expect(ends.filter((end) => end === "done").length).toBeGreaterThan(50);
  expect(ends.filter((end) => end === "cancelled").length).toBeGreaterThan(50);
  await until(() => pool.instances()[0]?.running === 0 && pool.instances()[0]?.queued === 0);
  await textOf(lease.generate(jobOf("after", 1), never()));
  expect(pool.instances()[0]).toMatchObject({ starts: 1, load: { running: 0, queued: 0 } });
  expect(pool.statistics().staleEvents).toBe(0);
  lease.release();
});

test("kill -9 of the engine in the middle of its streams fails each of them", async () => {
  pool = enginePool(2);
  const lease = await pool.acquire(model, never());
  const streams = Array.from({ length: 8 }, (_, n) =>
    lease.generate(jobOf(`stream ${n}`, null), never()),
  );
  await Promise.all(streams.slice(0, 4).map((stream) => stream.next()));
  const pid = pool.instances()[0]?.pid ?? 0;
  process.kill(pid, "SIGKILL");
  const errors = await Promise.all(streams.map((stream) => failure(textOf(stream))));
  expect(new Set(errors.map((error) => error.code))).toEqual(new Set(["engine_crashed"]));
  expect(isAlive(pid)).toBe(false);
  lease.release();
});

test("a prompt that does not fit is refused with both numbers", async () => {
  pool = enginePool(0);
  const lease = await pool.acquire(model, never());
  const job = jobOf("word ".repeat(5_000), 1);
  const error = await failure(textOf(lease.generate(job, never())));
  expect(error.code).toBe("context_length_exceeded");
  expect(error.details).toMatchObject({ contextLength: 1_024 });
  lease.release();
});
