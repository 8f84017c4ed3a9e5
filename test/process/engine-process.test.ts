import { afterEach, expect, test } from "bun:test";
import { resolve } from "node:path";
import type { Command } from "../../src/protocol/commands.ts";
import type { EngineMessage } from "../../src/protocol/events.ts";
import { ENDLESS, FAKE_LOAD, job } from "../support/engine-harness.ts";

const children: { kill(signal: "SIGKILL"): void }[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

function start(...flags: string[]) {
  const messages: EngineMessage[] = [];
  const waiting: (() => void)[] = [];
  const script = resolve(import.meta.dir, "../support/fake-engine.ts");
  const child = Bun.spawn([process.execPath, script, "--build-id", "test", ...flags], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    serialization: "json",
    ipc: (message: EngineMessage) => {
      messages.push(message);
      for (const check of waiting) check();
    },
  });
  children.push(child);
  return {
    child,
    messages,
    send: (command: Command) => child.send(command),
    until: (condition: () => boolean): Promise<void> =>
      new Promise((done) => {
        const check = (): void => (condition() ? done() : undefined);
        waiting.push(check);
        check();
      }),
    has: (type: EngineMessage["type"]) => messages.some((message) => message.type === type),
    told: (type: string): number =>
      messages.filter(
        (message) => message.type === "step" && message.events.some((event) => event.type === type),
      ).length,
  };
}

async function loaded(...flags: string[]) {
  const engine = start(...flags);
  await engine.until(() => engine.has("hello"));
  engine.send({ type: "load", options: FAKE_LOAD });
  await engine.until(() => engine.has("ready"));
  return engine;
}

test("an engine obeys its channel and leaves with 0 when told to", async () => {
  const { child, send, until, told } = await loaded();
  send({ type: "generate", jobId: 1, job: job("abc") });
  await until(() => told("jobDone") === 1);
  send({ type: "shutdown" });
  expect(await child.exited).toBe(0);
});

test("a cancel gets through while a stream runs", async () => {
  const { child, send, until, told } = await loaded("--decode-ms", "2");
  send({ type: "generate", jobId: 1, job: job("abc", ENDLESS) });
  await until(() => told("text") > 3);
  send({ type: "cancel", jobId: 1 });
  await until(() => told("cancelled") === 1);
  send({ type: "shutdown" });
  expect(await child.exited).toBe(0);
});

test("a model that cannot be loaded is told before the process ends", async () => {
  const { child, send, until, has, messages } = start();
  await until(() => has("hello"));
  send({ type: "load", options: { ...FAKE_LOAD, modelPath: "corrupt" } });
  expect(await child.exited).toBe(1);
  expect(messages.at(-1)).toMatchObject({ type: "loadFailed" });
});

test("a last message that the server is slow to read arrives whole", async () => {
  const bytes = 5_000_000;
  const { child, send, until, has, messages } = start("--reason-bytes", String(bytes));
  await until(() => has("hello"));
  send({ type: "load", options: { ...FAKE_LOAD, modelPath: "corrupt" } });
  // A server that computes something else meanwhile.
  Bun.sleepSync(500);
  expect(await child.exited).toBe(1);
  const last = messages.at(-1);
  expect(last?.type === "loadFailed" && last.reason.length).toBeGreaterThanOrEqual(bytes);
});

test("signals of the terminal and the shell do not end it", async () => {
  const { child, send, until, told } = await loaded();
  for (const signal of ["SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const) child.kill(signal);
  send({ type: "generate", jobId: 1, job: job("abc") });
  await until(() => told("jobDone") === 1);
  send({ type: "shutdown" });
  expect(await child.exited).toBe(0);
});

test("a closed channel ends it, in the middle of a stream too", async () => {
  const { child, send, until, told } = await loaded("--decode-ms", "1");
  send({ type: "generate", jobId: 1, job: job("abc", ENDLESS) });
  await until(() => told("text") > 3);
  child.disconnect();
  expect(await child.exited).toBe(0);
});

test("a bug ends it loudly", async () => {
  const { child, send } = await loaded();
  send({ type: "load", options: FAKE_LOAD });
  expect(await child.exited).not.toBe(0);
  expect(await new Response(child.stderr).text()).toContain("a process loads one model");
});

test("a server that does not read stops it, and reading sets it going", async () => {
  const { child, send, until, messages } = await loaded();
  send({ type: "generate", jobId: 1, job: job("abc", { ...ENDLESS, maxTokens: 2000 }) });
  await until(() => messages.at(-1)?.seq === 513);
  send({ type: "ack", upTo: 513 });
  await until(() => messages.at(-1)?.seq === 1026);
  send({ type: "shutdown" });
  expect(await child.exited).toBe(0);
  expect(messages.at(-1)?.seq).toBe(1026);
});
