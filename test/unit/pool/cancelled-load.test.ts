import { expect, test } from "bun:test";
import { ModelPool } from "../../../src/pool/model-pool.ts";
import type { LoadRequest } from "../../../src/pool/pool.ts";
import { fakeSpawner } from "../../support/fake-channel.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { never, POOL_DEFAULTS, scriptedModel } from "../../support/pool-fixture.ts";

const model = scriptedModel({ name: "m" });
const flush = () => new Promise((resolve) => setImmediate(resolve));

/** A pool whose engines have loaded when the test says so. */
function slowPool() {
  const { spawn, engines } = fakeSpawner((engine) => {
    engine.onCommand = ({ type }) => type === "shutdown" && engine.end(0);
    queueMicrotask(() => engine.hello());
  });
  const pool = new ModelPool({
    ...POOL_DEFAULTS,
    ttlMs: 60_000,
    clock: new ManualClock(),
    spawn,
  });
  /** A load on purpose whose caller has left when `cancel` has resolved. */
  const load = (request: LoadRequest = {}) => {
    const caller = new AbortController();
    const outcome = pool.load(model, request, caller.signal).then(
      () => "loaded",
      () => "cancelled",
    );
    const cancel = async () => {
      caller.abort(new Error("left"));
      const end = await outcome;
      await flush();
      return end;
    };
    return { cancel };
  };
  return { pool, engines, load };
}

test("a load whose caller leaves is ended when nobody else waits for the model", async () => {
  const { pool, engines, load } = slowPool();
  const { cancel } = load();
  await flush();
  expect(pool.instances()[0]).toMatchObject({ state: "loading", jit: false });
  expect(await cancel()).toBe("cancelled");
  expect([pool.instances(), engines.map(({ isGone }) => isGone)]).toEqual([[], [true]]);
  await pool.close(0);
});

test("a load whose caller leaves goes on for the requests that wait, as one of theirs", async () => {
  const { pool, engines, load } = slowPool();
  const { cancel } = load({ ttlMs: null });
  await flush();
  const request = pool.acquire(model, never());
  expect(await cancel()).toBe("cancelled");
  engines[0]?.ready();
  (await request).release();
  expect(pool.instances()).toMatchObject([{ state: "ready", jit: true, ttlMs: 60_000 }]);
  await pool.close(0);
});

test("a load that joined one of a request leaves it as it was when its caller leaves", async () => {
  const { pool, engines, load } = slowPool();
  const request = pool.acquire(model, never(), { ttlMs: 5_000 });
  await flush();
  const { cancel } = load();
  await flush();
  expect(pool.instances()).toMatchObject([{ state: "loading", jit: false, ttlMs: null }]);
  expect(await cancel()).toBe("cancelled");
  engines[0]?.ready();
  (await request).release();
  expect(pool.instances()).toMatchObject([{ state: "ready", jit: true, ttlMs: 5_000 }]);
  await pool.close(0);
});
