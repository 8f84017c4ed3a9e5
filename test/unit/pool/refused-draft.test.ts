import { expect, test } from "bun:test";
import { ModelPool } from "../../../src/pool/model-pool.ts";
import { DRAFT_LIMITS } from "../../../src/pool/pool.ts";
import { fakeSpawner } from "../../support/fake-channel.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { failure, never, POOL_DEFAULTS, scriptedModel } from "../../support/pool-fixture.ts";

const model = scriptedModel({ name: "m" });
const settings = { draft: { model: scriptedModel({ name: "stranger" }), ...DRAFT_LIMITS } };
const flush = () => new Promise((resolve) => setImmediate(resolve));

/** A pool whose engines refuse the draft model, which only they can, and load without one. */
function strictPool() {
  const { spawn, engines } = fakeSpawner((engine) => {
    engine.onCommand = (command) => {
      if (command.type === "shutdown") engine.end(0);
      if (command.type !== "load") return;
      if (command.options.draft === undefined) engine.ready();
      else engine.refuse("its tokens are others", "draftModel");
    };
  });
  const pool = new ModelPool({ ...POOL_DEFAULTS, clock: new ManualClock(), spawn });
  /** Those that have started say so now. */
  const greet = async () => {
    await flush();
    for (const engine of engines.slice(greeted)) engine.hello();
    greeted = engines.length;
    await flush();
  };
  let greeted = 0;
  return { pool, engines, greet };
}

test("a refused draft model is told to those who asked for it, and the others load without", async () => {
  const { pool, engines, greet } = strictPool();
  const asking = [1, 2].map(() => failure(pool.acquire(model, never(), { settings })));
  const others = [{}, { contextLength: 512 }].map((own) => pool.acquire(model, never(), own));
  await greet();
  for (const refused of await Promise.all(asking)) {
    expect(refused.details).toEqual({ param: "draftModel", reason: "invalid_value" });
  }
  await greet();
  for (const lease of await Promise.all(others)) lease.release();
  expect(engines).toHaveLength(2);
  expect(pool.cooldown(model)).toBeNull();
  await pool.close(0);
});

test("a load on purpose that shares a request's load begins its own when the draft model is refused", async () => {
  const { pool, engines, greet } = strictPool();
  const asking = failure(pool.acquire(model, never(), { settings }));
  const loading = pool.load(model, {}, never());
  await greet();
  expect((await asking).code).toBe("invalid_request");
  await greet();
  expect(await loading).toMatchObject({ identifier: "m", state: "ready", jit: false });
  expect(engines).toHaveLength(2);
  await pool.close(0);
});

test("an instance that stays and is refused its draft model anew has failed for those who did not ask for it", async () => {
  const { pool, engines, greet } = strictPool();
  const loading = pool.load(model, settings, never());
  await flush();
  const [first] = engines;
  if (first === undefined) throw new Error("an engine was started");
  first.onCommand = () => first.ready();
  await greet();
  await loading;
  first.end(1);
  await flush();
  const asking = failure(pool.acquire(model, never()));
  await greet();
  expect(await asking).toMatchObject({ code: "model_load_failed" });
  expect((await failure(pool.acquire(model, never()))).code).toBe("model_load_failed");
  await pool.close(0);
});
