import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { hasCode, type LmError } from "../../src/lib/errors.ts";
import type { ModelPool } from "../../src/pool/model-pool.ts";
import {
  answer,
  failure,
  BUILD_ID,
  isAlive,
  LOAD_DEFAULTS,
  never,
  scriptedCommand,
  scriptedModel,
  scriptedPool,
} from "../support/pool-fixture.ts";
import type { LoadScript } from "../support/scripted-engine.ts";
import { HandClock } from "../support/hand-clock.ts";
import { until } from "../support/until.ts";

let pool: ModelPool;
afterEach(async () => await pool.close(0));

const model = scriptedModel({ name: "m" });

const reasonOf = (error: LmError) =>
  hasCode(error, "model_load_failed") ? error.details.reason : error.code;

test("fifty first requests at once load the model once and are all answered", async () => {
  pool = scriptedPool();
  const slow = scriptedModel({ name: "m", delayMs: 20 });
  const answers = Array.from({ length: 50 }, (_, n) =>
    answer(pool, slow, { op: "count", tokens: n + 1 }),
  );
  const lengths = (await Promise.all(answers)).map((text) => text.trim().split(" ").length);
  expect(lengths).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
  expect(pool.statistics().engineStarts).toBe(1);
});

interface Failing {
  name: string;
  script: LoadScript["load"] & string;
  reason: RegExp;
}

const failing: Failing[] = [
  { name: "refuses", script: "refuse", reason: /^unknown architecture: 'wobble'$/ },
  { name: "exits", script: "exit", reason: /exited with code 7/ },
  { name: "aborts", script: "abort", reason: /killed by SIGABRT/ },
  { name: "stops in the middle of a message", script: "half", reason: /exited with code 0/ },
];

describe("a load that fails tells every waiter why", () => {
  test.each(failing)("the engine $name", async ({ script, reason }) => {
    pool = scriptedPool();
    const broken = scriptedModel({ name: "m", load: script });
    const errors = await Promise.all([1, 2, 3].map(() => failure(pool.acquire(broken, never()))));
    for (const error of errors) expect(reasonOf(error)).toMatch(reason);
    expect(pool.statistics()).toMatchObject({ engineStarts: 1, engineExits: { load_failed: 1 } });
    expect(pool.instances()).toEqual([]);
  });
});

test("a refused file is not tried again for 5, 10, 20, 40, 60 s; a good one afterwards works", async () => {
  const clock = new HandClock();
  pool = scriptedPool({ clock });
  const broken = scriptedModel({ name: "m", load: "refuse" });
  const attempt = async () => reasonOf(await failure(pool.acquire(broken, never())));
  for (const [tries, cooldownMs] of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000].entries()) {
    expect(await attempt()).toContain("wobble");
    expect(await attempt()).toContain("wobble");
    clock.skip(cooldownMs - 1);
    expect(await attempt()).toContain("wobble");
    expect(pool.statistics().engineStarts).toBe(tries + 1);
    clock.skip(1);
  }
  const repaired = scriptedModel({ name: "m" }, { modifiedMs: 2 });
  expect(await answer(pool, repaired, { op: "count", tokens: 1 })).toBe("t1 ");
});

test("a killed engine while loading is a failed load, and the next request loads again", async () => {
  pool = scriptedPool();
  const hanging = scriptedModel({ name: "m", load: "hang" });
  const waiting = failure(pool.acquire(hanging, never()));
  await until(() => pool.instances()[0]?.state === "loading");
  process.kill(pool.instances()[0]?.pid ?? 0, "SIGKILL");
  expect(reasonOf(await waiting)).toContain("SIGKILL");
  expect(await answer(pool, model, { op: "count", tokens: 1 })).toBe("t1 ");
});

test("a load without progress is ended with what was seen", async () => {
  pool = scriptedPool({ limits: { loadTimeoutMs: 400 } });
  const hanging = scriptedModel({ name: "m", load: "hang", says: "reading tensors\n" });
  const first = failure(pool.acquire(hanging, never()));
  const pid = await until(() => pool.instances()[0]?.state === "loading").then(
    () => pool.instances()[0]?.pid ?? 0,
  );
  expect((await first).code).toBe("model_loading");
  await until(() => !isAlive(pid));
  await until(() => pool.instances().length === 0);
  expect(pool.statistics()).toMatchObject({ watchdogKills: 1, engineExits: { watchdog: 1 } });
});

test("whoever leaves leaves alone: the load goes on for the others", async () => {
  pool = scriptedPool();
  const slow = scriptedModel({ name: "m", delayMs: 50 });
  const leaving = new AbortController();
  const left = pool.acquire(slow, leaving.signal).catch((error: unknown) => error);
  const stays = answer(pool, slow, { op: "count", tokens: 1 });
  await until(() => pool.instances()[0]?.state === "loading");
  leaving.abort(new Error("gone"));
  expect(String(await left)).toContain("gone");
  expect(await stays).toBe("t1 ");
});

test("a load ends with the last who waited for it, and who comes meanwhile has the next one", async () => {
  pool = scriptedPool();
  const slow = scriptedModel({ name: "m", delayMs: 50 });
  const leaving = [new AbortController(), new AbortController()];
  const left = leaving.map(({ signal }) => pool.acquire(slow, signal).catch(() => "left"));
  await until(() => pool.instances()[0]?.state === "loading");
  const pid = pool.instances()[0]?.pid ?? 0;
  for (const client of leaving) client.abort();
  expect(await Promise.all(left)).toEqual(["left", "left"]);
  expect(pool.instances()).toMatchObject([{ state: "stopping", pid }]);
  expect(await answer(pool, slow, { op: "count", tokens: 1 })).toBe("t1 ");
  expect([isAlive(pid), pool.statistics().engineStarts]).toEqual([false, 2]);
});

test("an executable of another build is refused with the one thing to do", async () => {
  pool = scriptedPool({ engine: { command: scriptedCommand("other"), buildId: BUILD_ID } });
  expect(reasonOf(await failure(pool.acquire(model, never())))).toContain("restart lmserver");
});

test("a command that does not exist is a failed load", async () => {
  pool = scriptedPool({ engine: { command: ["/nonexistent/engine"], buildId: BUILD_ID } });
  const reason = reasonOf(await failure(pool.acquire(model, never())));
  expect(reason).toContain("could not be started");
  expect(reason).not.toContain("/nonexistent");
});

test("an engine sees no keys, tokens or runtime switches of the server", async () => {
  const secrets = {
    LMSERVER_API_KEY: "canary-1",
    HF_TOKEN: "canary-2",
    BUN_OPTIONS: "--smol",
    OPENAI_API_KEY: "canary-3",
    GGML_SECRET_TOKEN: "canary-4",
    GGML_VISIBLE: "kept",
  };
  const before = { ...process.env };
  Object.entries(secrets).forEach(([name, value]) => (process.env[name] = value));
  try {
    pool = scriptedPool();
    await answer(pool, model, { op: "count", tokens: 1 });
    const environ = readFileSync(`/proc/${pool.instances()[0]?.pid}/environ`, "utf8");
    expect(environ).not.toContain("canary");
    expect(environ).not.toContain("BUN_OPTIONS");
    expect(environ).toContain("GGML_VISIBLE=kept");
  } finally {
    for (const name of Object.keys(secrets)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
});

test("the kernel is told to end an engine before the server when memory runs out", async () => {
  pool = scriptedPool();
  await answer(pool, model, { op: "count", tokens: 1 });
  const score = (pid: number | string) =>
    Number(readFileSync(`/proc/${pid}/oom_score_adj`, "utf8"));
  expect(score(pool.instances()[0]?.pid ?? 0)).toBeGreaterThan(score("self"));
});

test("an explicit load takes its own settings and a second instance its own name", async () => {
  pool = scriptedPool({ load: { ...LOAD_DEFAULTS, parallel: 2 } });
  const first = await pool.load(model, {}, never());
  const second = await pool.load(model, { parallel: 7 }, never());
  expect([first.identifier, second.identifier]).toEqual(["m", "m:2"]);
  expect([first.parallel, second.parallel]).toEqual([2, 7]);
  const named = await pool.load(model, { identifier: "mine", ttlMs: 5 }, never());
  expect(named).toMatchObject({ identifier: "mine", jit: false, ttlMs: 5, state: "ready" });
  const taken = await failure(pool.load(model, { identifier: "m" }, never()));
  expect(taken.code).toBe("invalid_request");
});
