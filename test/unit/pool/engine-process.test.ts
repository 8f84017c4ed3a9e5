import { beforeEach, expect, test } from "bun:test";
import { LmError } from "../../../src/lib/errors.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { PoolCounters } from "../../../src/pool/counters.ts";
import type { SpawnEngine } from "../../../src/pool/engine-channel.ts";
import { ENGINE_LIMITS } from "../../../src/pool/engine-limits.ts";
import type { NewJob } from "../../../src/pool/engine-jobs.ts";
import { nextStage, type EngineInput, type EngineStage } from "../../../src/pool/engine-machine.ts";
import { EngineProcess } from "../../../src/pool/engine-process.ts";
import { doneEvents, fakeSpawner, type FakeChannel } from "../../support/fake-channel.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import {
  BUILD_ID,
  failure,
  LOAD_DEFAULTS,
  never,
  scriptedJob,
  textOf,
} from "../../support/pool-fixture.ts";

let clock: ManualClock;
let counters: PoolCounters;
let channel: FakeChannel;
let engine: EngineProcess;
let warnings: unknown[];

const generate = { type: "generate", job: scriptedJob({ op: "forever" }) } as const;
const unloaded = new LmError("model_unloaded", { model: "m" }, "unloaded");
const flush = () => new Promise((resolve) => setImmediate(resolve));
const types = () => channel.received.map(({ type }) => type);

beforeEach(() => start());

function start(load: Partial<typeof LOAD_DEFAULTS> = {}, failing?: SpawnEngine): void {
  clock = new ManualClock();
  counters = new PoolCounters();
  warnings = [];
  const { spawn, engines } = fakeSpawner();
  engine = new EngineProcess({
    model: "m",
    spawn: failing ?? spawn,
    buildId: BUILD_ID,
    load: { ...LOAD_DEFAULTS, ...load, modelPath: "/m.gguf", purpose: "generate" },
    modelBytes: 1_000,
    maxQueue: 2,
    limits: ENGINE_LIMITS,
    clock,
    log: { ...silentLog, warn: (_message, fields) => void warnings.push(fields) },
    counters,
    closing: never(),
  });
  [channel] = engines as [FakeChannel];
}

async function makeReady(): Promise<void> {
  channel.hello();
  channel.ready();
  await engine.ready;
}

test("hello is answered with the load, ready opens it for jobs", async () => {
  expect(engine.stage).toBe("starting");
  channel.hello();
  expect([engine.stage, types()]).toEqual(["loading", ["load"]]);
  channel.ready();
  expect([engine.stage, (await engine.ready).contextLength]).toEqual(["ready", 1_024]);
  expect(clock.pending).toBe(0);
});

test("a job before ready is refused", async () => {
  expect((await failure(textOf(engine.run(generate, never())))).code).toBe("model_unloaded");
});

test("what a request asked wrongly for is refused by its field", async () => {
  channel.hello();
  channel.say({ type: "loadFailed", seq: 2, reason: "not this one", param: "draftModel" });
  const refused = await failure(engine.ready);
  expect([refused.code, refused.message]).toEqual(["invalid_request", "not this one"]);
  expect(refused.details).toEqual({ param: "draftModel", reason: "invalid_value" });
});

test("trouble with the disk is counted each time and logged once per cause", async () => {
  channel.hello();
  channel.trouble("EACCES");
  channel.ready();
  for (const cause of ["ENOSPC", "EACCES", "ENOSPC"]) channel.trouble(cause);
  expect(warnings).toEqual([
    { model: "m", cause: "EACCES", reason: "EACCES: it failed" },
    { model: "m", cause: "ENOSPC", reason: "ENOSPC: it failed" },
  ]);
  expect([counters.prefixFailures, engine.stage]).toEqual([4, "ready"]);
});

test("fewer threads than were asked for are told once", async () => {
  start({ threads: 9 });
  await makeReady();
  expect(warnings).toEqual([{ model: "m", askedThreads: 9, threads: 1 }]);
});

test("an engine that invents causes does not fill the log", async () => {
  await makeReady();
  for (let number = 0; number < 100; number++) channel.trouble(`E${number}`);
  expect([warnings.length, counters.prefixFailures]).toEqual([16, 100]);
});

test("every 64 messages are acknowledged at once", async () => {
  await makeReady();
  const stream = engine.run(generate, never());
  void stream.next();
  await flush();
  for (let n = 0; n < 62; n += 1) channel.step([]);
  expect(channel.received.filter(({ type }) => type === "ack")).toEqual([
    { type: "ack", upTo: 64 },
  ]);
});

test("steps without progress do not hold off the watchdog", async () => {
  await makeReady();
  const outcome = failure(textOf(engine.run(generate, never())));
  await flush();
  const idle = { step: 0, running: 0, queued: 0 };
  for (let n = 0; n < 100; n += 1) {
    clock.advance(500);
    channel.say({ type: "step", seq: 100 + n, load: idle, events: [] });
  }
  expect((await outcome).code).toBe("engine_crashed");
  expect(counters.watchdogKills).toBe(1);
});

test("progress holds off the watchdog, and the limit is twenty median steps", async () => {
  await makeReady();
  const outcome = textOf(engine.run(generate, never()));
  await flush();
  for (let n = 0; n < 10; n += 1) {
    clock.advance(5_000);
    channel.step([{ type: "text", jobId: 1, choice: 0, text: "x", tokens: 1 }]);
  }
  clock.advance(99_000);
  expect(engine.stage).toBe("ready");
  channel.step(doneEvents(1));
  expect(await outcome).toBe("x".repeat(10));
  expect(clock.pending).toBe(0);
});

test("a large model has minutes for a prompt, and seconds for a token", async () => {
  channel.hello();
  channel.ready({ memory: { modelBytes: 4e9, kvBytes: 0, computeBytes: 0 } });
  await engine.ready;
  const outcome = failure(textOf(engine.run(generate, never())));
  await flush();
  clock.advance(199_000);
  channel.step([{ type: "accepted", jobId: 1, promptTokens: 100, cachedTokens: 0 }]);
  clock.advance(199_000);
  channel.step([{ type: "text", jobId: 1, choice: 0, text: "x", tokens: 1 }]);
  for (let n = 0; n < 8; n += 1) {
    clock.advance(100);
    channel.step([{ type: "text", jobId: 1, choice: 0, text: "x", tokens: 1 }]);
  }
  expect(engine.stage).toBe("ready");
  clock.advance(31_000);
  expect((await outcome).code).toBe("engine_crashed");
  expect(counters.watchdogKills).toBe(1);
});

test("a request that comes to an engine that hangs at a token gives it no minutes", async () => {
  channel.hello();
  channel.ready({ memory: { modelBytes: 4e9, kvBytes: 0, computeBytes: 0 } });
  await engine.ready;
  const outcome = failure(textOf(engine.run(generate, never())));
  await flush();
  channel.step([
    { type: "accepted", jobId: 1, promptTokens: 1, cachedTokens: 0 },
    { type: "text", jobId: 1, choice: 0, text: "x", tokens: 1 },
  ]);
  clock.advance(10_000);
  const late = failure(textOf(engine.run(generate, never())));
  await flush();
  clock.advance(21_000);
  expect([(await outcome).code, (await late).code]).toEqual(["engine_crashed", "engine_crashed"]);
});

test("a suspended server accuses no engine when it wakes up", async () => {
  await makeReady();
  const outcome = textOf(engine.run(generate, never()));
  await flush();
  clock.advance(20_000);
  clock.jump(3_600_000);
  clock.advance(2_000);
  channel.step(doneEvents(1));
  expect(await outcome).toBe("");
  expect(counters.watchdogKills).toBe(0);
});

test("a closed channel is forgiven for as long as the exit may take, then it is a crash", async () => {
  await makeReady();
  const outcome = failure(textOf(engine.run(generate, never())));
  await flush();
  channel.disconnect();
  expect(engine.stage).toBe("ready");
  clock.advance(200);
  expect([engine.stage, channel.signals]).toEqual(["crashed", ["SIGKILL"]]);
  expect((await outcome).code).toBe("engine_crashed");
  expect(await engine.ended).toMatchObject({ stage: "crashed", refused: false });
});

test("a step before it is ready is a breach", async () => {
  channel.hello();
  channel.step([]);
  expect(engine.stage).toBe("failed");
  expect((await failure(engine.ready)).message).toContain("before it was ready");
});

test("a job that nobody cancelled but the engine did fails", async () => {
  await makeReady();
  const outcome = failure(textOf(engine.run(generate, never())));
  await flush();
  channel.step([{ type: "cancelled", jobId: 1, stage: "queue", step: 0 }]);
  expect((await outcome).code).toBe("internal");
});

test("a refused job may come back after what the measured jobs take", async () => {
  await makeReady();
  for (let id = 1; id <= 6; id += 1) {
    const outcome = textOf(engine.run(generate, never()));
    await flush();
    channel.step([{ type: "accepted", jobId: id, promptTokens: 1, cachedTokens: 0 }]);
    clock.advance(4_000);
    channel.step(doneEvents(id));
    await outcome;
  }
  const waiting = Array.from({ length: 6 }, () => failure(textOf(engine.run(generate, never()))));
  const refused = await failure(textOf(engine.run(generate, never())));
  expect(refused.details).toEqual({ queued: 2, limit: 2, retryAfterMs: 6_000 });
  void engine.stop("unloaded", unloaded);
  await Promise.all(waiting);
});

test("texts to tokenise hold no place in the queue, and have a bound of their own", async () => {
  await makeReady();
  const tokenize: NewJob = {
    type: "tokenize",
    prompt: { kind: "text", text: "a", addSpecial: false, parseSpecial: true },
  };
  const light = Array.from({ length: 1_024 }, () => failure(textOf(engine.run(tokenize, never()))));
  const waiting = failure(textOf(engine.run(generate, never())));
  const refused = await failure(textOf(engine.run(tokenize, never())));
  expect(refused.code).toBe("queue_full");
  void engine.stop("unloaded", unloaded);
  for (const error of await Promise.all([...light, waiting])) expect(error).toBe(unloaded);
});

test("a stop is polite, then SIGTERM after 2 s, then SIGKILL after one more", async () => {
  await makeReady();
  channel.isUnkillable = true;
  const stopped = engine.stop("unloaded", unloaded);
  expect([engine.stage, types().at(-1), channel.signals]).toEqual(["stopping", "shutdown", []]);
  clock.advance(2_000);
  expect(channel.signals).toEqual(["SIGTERM"]);
  clock.advance(1_000);
  expect(channel.signals).toEqual(["SIGTERM", "SIGKILL"]);
  channel.end(null, "SIGKILL");
  await stopped;
  expect([engine.stage, engine.pid, clock.pending]).toEqual(["stopped", null, 0]);
  expect(counters.engineExits.unloaded).toBe(1);
});

test("a polite engine gets no signal", async () => {
  await makeReady();
  const stopped = engine.stop("shutdown", unloaded);
  channel.end(0);
  await stopped;
  expect([channel.signals, clock.pending]).toEqual([[], 0]);
});

test("a process the kernel cannot end is given up after a while", async () => {
  channel.hello();
  channel.isUnkillable = true;
  const stopped = engine.stop("unloaded", unloaded);
  clock.advance(5_000);
  await stopped;
  expect((await failure(engine.ready)).code).toBe("model_unloaded");
});

test("jobs of a stopped engine fail with what the stop says, also those not yet read", async () => {
  await makeReady();
  const outcomes = [1, 2, 3].map(() => failure(textOf(engine.run(generate, never()))));
  await flush();
  void engine.stop("unloaded", unloaded);
  for (const error of await Promise.all(outcomes)) expect(error).toBe(unloaded);
});

test("messages after the end are not heard", async () => {
  await makeReady();
  channel.say({ type: "wobble" });
  expect(engine.stage).toBe("crashed");
  channel.ready();
  channel.step([]);
  expect(engine.stage).toBe("crashed");
});

test.each([
  { code: "EMFILE", failed: "overloaded" },
  { code: "ENOENT", failed: "model_load_failed" },
])("a process that cannot be started for $code is $failed", ({ code, failed }) => {
  const error = Object.assign(new Error(`${code}: cannot`), { code });
  const spawn = (): never => {
    throw error;
  };
  expect(() => start({}, spawn)).toThrow(expect.objectContaining({ code: failed, cause: error }));
});

interface Transition {
  from: EngineStage;
  input: EngineInput;
  to: EngineStage | null;
}

const transitions: Transition[] = [
  { from: "starting", input: "ready", to: null },
  { from: "loading", input: "hello", to: null },
  { from: "loading", input: "exit", to: "failed" },
  { from: "ready", input: "loadFailed", to: null },
  { from: "ready", input: "exit", to: "crashed" },
  { from: "stopping", input: "stop", to: null },
  { from: "stopping", input: "exit", to: "stopped" },
  { from: "crashed", input: "stop", to: null },
  { from: "failed", input: "exit", to: null },
];

test.each(transitions)("$input in $from gives $to", ({ from, input, to }) => {
  expect(nextStage(from, input)).toBe(to);
});
