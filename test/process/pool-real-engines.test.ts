import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import type { CatalogModel } from "../../src/catalog/model.ts";
import { defined } from "../../src/lib/assert.ts";
import { estimateMemory } from "../../src/pool/fit.ts";
import type { ModelPool, PoolOptions } from "../../src/pool/model-pool.ts";
import type { GenerateJob } from "../../src/protocol/commands.ts";
import { DEFAULT_SAMPLING } from "../../src/protocol/sampling.ts";
import { catalogOf } from "../support/catalog-fixture.ts";
import { llamaLibraries } from "../support/llama-libraries.ts";
import { ManualClock } from "../support/manual-clock.ts";
import {
  BUILD_ID,
  failure,
  isAlive,
  LOAD_DEFAULTS,
  never,
  scriptedJob,
  scriptedPool,
  textOf,
} from "../support/pool-fixture.ts";
import { until } from "../support/until.ts";

const libraryDir = llamaLibraries();
const MAIN = resolve(import.meta.dir, "../../src/main.ts");
const LOAD = { ...LOAD_DEFAULTS, contextLength: 512, threads: 1 };

describe.if(libraryDir !== null)("the pool over real engines", () => {
  let folder: string;
  let models: readonly CatalogModel[];
  let pool: ModelPool;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "lmserver-test-"));
    for (const [index, name] of ["a", "b", "c"].entries()) {
      const path = join(folder, `${name}.gguf`);
      makeModel({ path, architecture: "llama", type: "F32", seed: index + 1 });
    }
    models = await catalogOf(folder).catalog.list();
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  afterEach(async () => await pool.close(0));

  function realPool(options: Partial<PoolOptions> = {}): ModelPool {
    const flags = ["--libraries", libraryDir ?? "", "--build-id", BUILD_ID];
    const command = [process.execPath, MAIN, "engine", ...flags];
    return scriptedPool({ engine: { command, buildId: BUILD_ID }, load: LOAD, ...options });
  }

  const jobOf = (maxTokens: number): GenerateJob => ({
    ...scriptedJob({ op: "forever" }),
    prompt: { kind: "text", text: "once upon", addSpecial: true, parseSpecial: true },
    sampling: { ...DEFAULT_SAMPLING, temperature: 0, ignoreEos: true },
    maxTokens,
  });

  async function answerOf(model: CatalogModel): Promise<string> {
    const lease = await pool.acquire(model, never());
    try {
      return await textOf(lease.generate(jobOf(12), never()));
    } finally {
      lease.release();
    }
  }

  test("fifty first requests for three models where two fit: each is answered by its own model", async () => {
    const needed = models.map(
      (model) => estimateMemory(model, { ...LOAD, purpose: "generate" }).totalBytes,
    );
    pool = realPool({ memoryLimitBytes: Math.floor(2.5 * Math.max(...needed)) });
    const pids = new Set<number>();
    let most = 0;
    const watching = setInterval(() => {
      for (const { pid } of pool.instances()) if (pid !== null) pids.add(pid);
      most = Math.max(most, [...pids].filter((pid) => isAlive(pid)).length);
    }, 20);
    const asked = Array.from({ length: 50 }, (_, n) => defined(models[n % 3], "three models"));
    const answers = await Promise.all(asked.map((model) => answerOf(model)));
    clearInterval(watching);
    const byModel = Map.groupBy(answers.entries(), ([index]) => index % 3);
    const texts = [...byModel.values()].map((all) => new Set(all.map(([, text]) => text)));
    expect(texts.map((set) => set.size)).toEqual([1, 1, 1]);
    expect(new Set(texts.flatMap((set) => [...set])).size).toBe(3);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(2);
    // Each model is loaded once: what waits for the third does not send the first two in circles.
    expect(pool.statistics().engineStarts).toBe(3);
  }, 60_000);

  test("an idle model leaves when its time has come, to the millisecond, process and all", async () => {
    const clock = new ManualClock();
    pool = realPool({ clock, ttlMs: 60_000 });
    const [model] = models;
    await answerOf(defined(model, "three models"));
    const pid = pool.instances()[0]?.pid ?? 0;
    clock.advance(59_999);
    expect([pool.instances().length, isAlive(pid)]).toEqual([1, true]);
    clock.advance(1);
    await until(() => pool.instances().length === 0);
    expect(isAlive(pid)).toBe(false);
    expect(pool.statistics().engineExits.unloaded).toBe(1);
  }, 60_000);

  test("unload during a stream waits for its end; forced, the stream ends with model_unloaded", async () => {
    pool = realPool();
    const model = defined(models[0], "three models");
    const lease = await pool.acquire(model, never());
    const stream = lease.generate(jobOf(100), never());
    await stream.next();
    const unloading = pool.unload(model.key, { force: false });
    expect(pool.instances()[0]?.state).toBe("draining");
    expect((await textOf(stream)).length).toBeGreaterThan(90);
    lease.release();
    await unloading;
    expect(pool.instances()).toEqual([]);

    const again = await pool.acquire(model, never());
    const endless = again.generate(jobOf(400), never());
    await endless.next();
    const outcome = failure(textOf(endless));
    await pool.unload(model.key, { force: true });
    expect((await outcome).code).toBe("model_unloaded");
    again.release();
  }, 60_000);
});
