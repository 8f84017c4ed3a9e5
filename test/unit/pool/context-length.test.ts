import { expect, test } from "bun:test";
import { hasCode } from "../../../src/lib/errors.ts";
import { ModelPool } from "../../../src/pool/model-pool.ts";
import { type FakeChannel, fakeSpawner } from "../../support/fake-channel.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { failure, never, POOL_DEFAULTS, scriptedModel } from "../../support/pool-fixture.ts";
import { until } from "../../support/until.ts";

const model = scriptedModel({ name: "m" }, { maxContextLength: 8_192 });

/** A pool whose engines get the context that they are asked for, at once or when told. */
function contextPool(loads: "at once" | "when told" = "at once") {
  const contexts = new Map<FakeChannel, number>();
  const finishLoad = (engine: FakeChannel) =>
    engine.ready({ contextLength: contexts.get(engine) ?? 0 });
  const { spawn, engines } = fakeSpawner((engine) => {
    engine.onCommand = (command) => {
      if (command.type === "shutdown") engine.end(0);
      if (command.type !== "load") return;
      contexts.set(engine, command.options.contextLength ?? 0);
      if (loads === "at once") finishLoad(engine);
    };
    queueMicrotask(() => engine.hello());
  });
  const clock = new ManualClock();
  const pool = new ModelPool({
    ...POOL_DEFAULTS,
    clock,
    spawn,
  });
  const of = async (contextLength: number, name = "m") => {
    const lease = await pool.acquire(model, never(), { name, contextLength });
    lease.release();
    return { identifier: lease.identifier, context: lease.info.contextLength };
  };
  const load = (contextLength: number, identifier?: string) =>
    pool.load(model, { contextLength, ...(identifier !== undefined && { identifier }) }, never());
  /** The context of each instance that is there. */
  const loaded = () => pool.instances().map(({ info }) => info?.contextLength);
  return { pool, clock, of, load, loaded, engines, contexts, finishLoad };
}

const isContextRefusal = (error: unknown): boolean =>
  hasCode(error, "invalid_request") && error.details.param === "contextLength";

test("of several instances the one whose context suffices answers, and no other", async () => {
  const { pool, of, load } = contextPool();
  await load(256);
  await load(2_048);
  expect(pool.preview(model, { name: "m", contextLength: 2_048 })).toEqual({
    identifier: "m:2",
    needsLoad: false,
  });
  expect(await of(2_048)).toEqual({ identifier: "m:2", context: 2_048 });
  const busy = await pool.acquire(model, never(), { name: "m:2" });
  expect(await of(2_048)).toMatchObject({ identifier: "m:2" });
  busy.release();
  await pool.close(0);
});

test("what a request loaded makes place for a larger context, which answers beside a smaller one", async () => {
  const { pool, of, load, loaded } = contextPool();
  expect(await of(512)).toEqual({ identifier: "m", context: 512 });
  await load(256, "mine");
  expect(pool.preview(model, { name: "m", contextLength: 2_048 }).needsLoad).toBe(true);
  expect(await of(2_048)).toEqual({ identifier: "m", context: 2_048 });
  expect(loaded()).toEqual([256, 2_048]);
  expect(await of(1_024)).toEqual({ identifier: "m", context: 2_048 });
  await pool.close(0);
});

test("what is in use, loaded on purpose or named refuses a larger context", async () => {
  const { pool, of, load, loaded } = contextPool();
  const lease = await pool.acquire(model, never(), { contextLength: 512 });
  expect(isContextRefusal(await failure(of(2_048)))).toBe(true);
  lease.release();
  await pool.unload("m", { force: true });
  await load(256);
  await load(2_048, "Large");
  expect(() => pool.preview(model, { name: "m", contextLength: 4_096 })).toThrow("2048 tokens");
  expect(isContextRefusal(await failure(of(4_096)))).toBe(true);
  await pool.unload("Large", { force: false });
  await load(1_024, "Other");
  expect(isContextRefusal(await failure(of(2_048, "other")))).toBe(true);
  expect(loaded()).toEqual([256, 1_024]);
  await pool.close(0);
});

test("a load with a smaller context that is under way is not joined for a larger one", async () => {
  const { pool, of, loaded, engines, finishLoad } = contextPool("when told");
  const engineAt = async (index: number) => {
    await until(() => pool.instances()[0]?.state === "loading" && engines.length > index);
    const engine = engines[index];
    if (engine === undefined) throw new Error("it was started");
    return engine;
  };
  const leaving = new AbortController();
  const left = pool.acquire(model, leaving.signal, { contextLength: 256 }).catch(() => null);
  const small = await engineAt(0);
  const large = [of(2_048), of(2_048), of(1_024)];
  leaving.abort();
  await left;
  finishLoad(small);
  finishLoad(await engineAt(1));
  for (const answer of await Promise.all(large)) expect(answer.context).toBe(2_048);
  expect([loaded(), engines.length]).toEqual([[2_048], 2]);
  await pool.close(0);
});

test("a load that is under way and in use afterwards refuses a larger context", async () => {
  const { pool, of, engines, finishLoad } = contextPool("when told");
  const holding = pool.acquire(model, never(), { contextLength: 256 });
  await until(() => pool.instances()[0]?.state === "loading");
  const refused = failure(of(2_048));
  for (const engine of engines) finishLoad(engine);
  expect(isContextRefusal(await refused)).toBe(true);
  (await holding).release();
  await pool.close(0);
});

test("who waits for a larger context waits no longer than for a load", async () => {
  const { pool, clock, of, engines } = contextPool();
  await of(1_024);
  const [leaving] = engines;
  if (leaving === undefined) throw new Error("an engine was started");
  leaving.onCommand = () => {};
  leaving.isUnkillable = true;
  const refused = failure(of(2_048));
  clock.advance(600_000);
  expect((await refused).code).toBe("model_loading");
  leaving.end(null, "SIGKILL");
  expect(await of(2_048)).toEqual({ identifier: "m", context: 2_048 });
  await pool.close(0);
});
