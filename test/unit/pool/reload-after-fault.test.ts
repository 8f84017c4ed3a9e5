import { expect, test } from "bun:test";
import { estimateMemory } from "../../../src/pool/fit.ts";
import { ModelPool } from "../../../src/pool/model-pool.ts";
import { fakeSpawner } from "../../support/fake-channel.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { LOAD_DEFAULTS, never, POOL_DEFAULTS, scriptedModel } from "../../support/pool-fixture.ts";

const first = scriptedModel({ name: "first" });
const second = scriptedModel({ name: "second" });
const flush = () => new Promise((resolve) => setImmediate(resolve));

/** A pool with room for one model, whose first engine was killed after a fault and is still there. */
async function faultedPool(how: "by request" | "on purpose") {
  const { spawn, engines } = fakeSpawner((engine) => {
    engine.onCommand = ({ type }) => {
      if (type === "load") engine.ready();
      if (type === "shutdown") engine.end(0);
    };
    queueMicrotask(() => engine.hello());
  });
  const fit = { ...LOAD_DEFAULTS, threads: 1, contextLength: 1_024, purpose: "generate" } as const;
  const pool = new ModelPool({
    ...POOL_DEFAULTS,
    memoryLimitBytes: estimateMemory(first, fit).totalBytes * 1.5,
    clock: new ManualClock(),
    spawn,
  });
  if (how === "on purpose") await pool.load(first, {}, never());
  else (await pool.acquire(first, never())).release();
  const [dying] = engines;
  if (dying === undefined) throw new Error("an engine was started");
  dying.isUnkillable = true;
  dying.say({ type: "wobble" });
  expect(dying.signals).toEqual(["SIGKILL"]);
  const states = () =>
    Object.fromEntries(pool.instances().map(({ identifier, state }) => [identifier, state]));
  const die = async () => {
    dying.end(null, "SIGKILL");
    await flush();
  };
  return { pool, states, die };
}

test("the memory of a dying engine goes to who waits for it, and who loads that model anew waits in turn", async () => {
  const { pool, states, die } = await faultedPool("by request");
  const again = pool.acquire(first, never());
  await flush();
  const other = pool.acquire(second, never());
  await flush();
  expect(states()).toEqual({ first: "crashed", second: "starting" });
  const later = pool.acquire(first, never());
  await die();
  expect(states()).toEqual({ first: "crashed", second: "draining" });
  (await other).release();
  const leases = await Promise.all([again, later]);
  expect(states()).toEqual({ first: "ready" });
  for (const lease of leases) lease.release();
  expect(pool.statistics().engineStarts).toBe(3);
  await pool.close(0);
});

test("unloading a model that loads anew after a fault waits for its requests, also when another wants its memory", async () => {
  const { pool, states, die } = await faultedPool("on purpose");
  const again = pool.acquire(first, never());
  await flush();
  const unloading = pool.unload("first", { force: false });
  const other = pool.acquire(second, never());
  await flush();
  await die();
  (await other).release();
  (await again).release();
  await unloading;
  expect(states()).toEqual({});
  await pool.close(0);
});
