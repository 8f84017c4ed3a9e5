import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineSession } from "../../../src/engine/engine-session.ts";
import type { EngineMessage } from "../../../src/protocol/events.ts";
import { ENDLESS, FAKE_LOAD, job, stillClock } from "../../support/engine-harness.ts";
import { FakeBackend, type FakeOptions } from "../../support/fake-backend.ts";
import { tempFolder } from "../../support/temp-folder.ts";

function start(options: FakeOptions = {}) {
  const sent: EngineMessage[] = [];
  let onSend: () => void = () => undefined;
  const session = new EngineSession({
    createBackend: () => new FakeBackend(options),
    defaultThreads: () => 3,
    mostThreads: () => 4,
    buildId: "build",
    clock: stillClock,
    send: (message) => {
      sent.push(message);
      onSend();
    },
  });
  return {
    session,
    sent,
    /** Resolves when a message makes `condition` true. */
    until: (condition: () => boolean): Promise<void> =>
      new Promise((resolve) => {
        onSend = () => (condition() ? resolve() : undefined);
        onSend();
      }),
    ends: (jobId: number): boolean =>
      sent.some(
        (message) =>
          message.type === "step" &&
          message.events.some((event) => event.type === "jobDone" && event.jobId === jobId),
      ),
  };
}

test("hello, loading, ready, steps: numbered from 1 without a gap", async () => {
  const { session, sent, until, ends } = start();
  session.receive({ type: "load", options: FAKE_LOAD });
  session.receive({ type: "generate", jobId: 5, job: job("abc") });
  await until(() => ends(5));
  session.receive({ type: "shutdown" });
  expect(await session.over).toBe("shutdown");
  expect(sent.map((message) => message.seq)).toEqual(sent.map((_, index) => index + 1));
  expect(sent.slice(0, 4).map((message) => message.type)).toEqual([
    "hello",
    "loading",
    "loading",
    "ready",
  ]);
  expect(sent[0]).toMatchObject({ buildId: "build", pid: process.pid });
  expect(sent[3]).toMatchObject({
    model: { contextLength: 4096, bosText: "<s>" },
  });
  expect(sent.at(-1)).toMatchObject({ type: "step", receivedJobId: 5 });
});

test.each([
  { name: "one thread for a tiny model", sizeBytes: 1_000_000, threads: null, expected: 1 },
  { name: "the machine's threads for others", sizeBytes: 1e9, threads: null, expected: 3 },
  { name: "no more than it may use", sizeBytes: 1e9, threads: 9, expected: 4 },
  { name: "what was asked for in any case", sizeBytes: 1_000_000, threads: 2, expected: 2 },
  { name: "all of them where a tiny model embeds", purpose: "embed", threads: null, expected: 3 },
] as const)("it computes with $name", ({ threads, expected, ...given }) => {
  const { sizeBytes, purpose } = { sizeBytes: 1_000_000, purpose: "generate" as const, ...given };
  const { session, sent } = start({ facts: { sizeBytes } });
  session.receive({ type: "load", options: { ...FAKE_LOAD, threads, purpose } });
  expect(sent.find(({ type }) => type === "ready")).toMatchObject({ model: { threads: expected } });
  session.receive({ type: "shutdown" });
});

test("a file that is no model is told with the library's words", async () => {
  const { session, sent } = start();
  session.receive({ type: "load", options: { ...FAKE_LOAD, modelPath: "corrupt" } });
  expect(await session.over).toBe("loadFailed");
  expect(sent.at(-1)).toEqual({
    type: "loadFailed",
    seq: 2,
    reason: "fake: the file is not a model",
  });
});

test("a folder that prefixes cannot be kept in is told, and the model loads", () => {
  using home = tempFolder();
  const modelPath = join(home.path, "model.gguf");
  writeFileSync(modelPath, "weights");
  // The file is where the folder should be.
  const prefixCache = { folder: modelPath, diskBytes: 1_000, memoryBytes: 1_000 };
  const { session, sent } = start();
  session.receive({ type: "load", options: { ...FAKE_LOAD, modelPath, prefixCache } });
  const reason = `EEXIST: file already exists, mkdir '${modelPath}'`;
  expect(sent.slice(3, 5)).toMatchObject([
    { type: "trouble", seq: 4, cause: "EEXIST", reason },
    { type: "ready", seq: 5 },
  ]);
  session.receive({ type: "shutdown" });
});

test("a draft model that is none for the model is told by the request's field", async () => {
  const { session, sent } = start({ facts: { isRecurrent: true } });
  const limits = { maxTokens: 4, minTokens: 0, minProbability: 0 };
  const draft = { name: "small", modelPath: "/models/small.gguf", ...limits };
  session.receive({ type: "load", options: { ...FAKE_LOAD, draft } });
  expect(await session.over).toBe("loadFailed");
  expect(sent.at(-1)).toMatchObject({ type: "loadFailed", param: "draftModel" });
});

test("an encoder cannot be loaded to generate, but to embed", async () => {
  const facts = { hasEncoder: true, hasDecoder: false };
  const generating = start({ facts });
  generating.session.receive({ type: "load", options: FAKE_LOAD });
  expect(generating.sent.at(-1)?.type).toBe("loadFailed");
  const { session, sent, until } = start({ facts });
  session.receive({ type: "load", options: { ...FAKE_LOAD, purpose: "embed" } });
  session.receive({ type: "generate", jobId: 1, job: job("abc") });
  session.receive({ type: "embed", jobId: 2, inputs: ["abc"] });
  const types = (): string[] =>
    sent.flatMap((message) =>
      message.type === "step" ? message.events.map((event) => event.type) : [],
    );
  await until(() => types().length === 2);
  expect(types()).toEqual(["jobFailed", "embedded"]);
  session.receive({ type: "shutdown" });
});

test("the engine stops when 512 messages are unread, and goes on when they are", async () => {
  const { session, sent, until, ends } = start();
  session.receive({ type: "load", options: FAKE_LOAD });
  session.receive({ type: "generate", jobId: 1, job: job("abc", ENDLESS) });
  await until(() => sent.length > 512);
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(sent).toHaveLength(513);
  session.receive({ type: "ack", upTo: 300 });
  await until(() => sent.length > 812);
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(sent).toHaveLength(813);
  session.receive({ type: "cancel", jobId: 1 });
  session.receive({ type: "generate", jobId: 2, job: job("abc") });
  session.receive({ type: "ack", upTo: 813 });
  await until(() => ends(2));
  session.receive({ type: "shutdown" });
});

test("what idle times did to the prefix cache is told without a request", async () => {
  const { session, sent, until, ends } = start();
  const prefixCache = { folder: null, diskBytes: 0, memoryBytes: 1_000_000 };
  session.receive({ type: "load", options: { ...FAKE_LOAD, prefixCache } });
  session.receive({ type: "generate", jobId: 1, job: job("a".repeat(300)) });
  await until(() => ends(1));
  const blocks = (): number =>
    sent.reduce((last, message) => {
      return message.type === "step" ? (message.load.cache?.archivedBlocks ?? last) : last;
    }, 0);
  await until(() => blocks() >= 9);
  const told = sent.length;
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(sent).toHaveLength(told);
  session.receive({ type: "shutdown" });
});

test("an idle engine does not step", async () => {
  const { session, sent, until, ends } = start();
  session.receive({ type: "load", options: FAKE_LOAD });
  session.receive({ type: "generate", jobId: 1, job: job("abc") });
  await until(() => ends(1));
  const count = sent.length;
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(sent).toHaveLength(count);
  session.receive({ type: "shutdown" });
});

test("a fault in the loop ends the session as a crash", async () => {
  const { session } = start({
    gate: (point) => {
      if (point === "decode.step") throw new Error("planted");
    },
  });
  session.receive({ type: "load", options: FAKE_LOAD });
  session.receive({ type: "generate", jobId: 1, job: job("abc") });
  const outcome = await session.over.catch((error: unknown) => error);
  expect(String(outcome)).toContain("planted");
});
