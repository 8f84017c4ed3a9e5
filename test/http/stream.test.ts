import { afterEach, describe, expect, test } from "bun:test";
import type { Generate } from "../../src/chat/events.ts";
import { createApp } from "../../src/http/app.ts";
import { sseResponse } from "../../src/http/sse.ts";
import { LmError } from "../../src/lib/errors.ts";
import { IDLE_TIMEOUT_SECONDS, MAX_IDLE_TIMEOUT_SECONDS } from "../../src/lib/limits.ts";
import type { LogFields } from "../../src/lib/log.ts";
import { silentLog } from "../../src/lib/log.ts";
import {
  appWith,
  chatBody,
  done,
  errorOf,
  fakeDeps,
  finished,
  payloads,
  play,
  post,
  started,
  text,
  type ErrorBody,
  type FakeOptions,
} from "./fakes.ts";
import { until } from "../support/until.ts";
import { ManualClock } from "../support/manual-clock.ts";

const CHAT = "/v1/chat/completions";
const streamBody = { ...chatBody, stream: true };

const servers: Bun.Server<undefined>[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop(true)));
});

/** The fakes behind a real socket on a free port. */
function listen(options: FakeOptions): string {
  const app = createApp(fakeDeps(options));
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: IDLE_TIMEOUT_SECONDS,
    fetch: (request, connection) => app.fetch(request, connection),
  });
  servers.push(server);
  return `http://127.0.0.1:${server.port}`;
}

const send = (base: string, body: object, init: RequestInit = {}): Promise<Response> =>
  fetch(base + CHAT, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...init,
  });

async function nextText(reader: { read(): Promise<{ value?: Uint8Array }> }): Promise<string> {
  return new TextDecoder().decode((await reader.read()).value);
}

/** A generation that lasts until it is aborted; tells what became of it. */
function endless(): { generate: Generate; seen: { running: number; aborted: number } } {
  const seen = { running: 0, aborted: 0 };
  return {
    seen,
    generate: async function* (_request, signal) {
      seen.running++;
      try {
        yield started();
        while (!signal.aborted) {
          yield text("word ");
          await Bun.sleep(1);
        }
        throw signal.reason;
      } finally {
        seen.running--;
        if (signal.aborted) seen.aborted++;
      }
    },
  };
}

/** A generation that says nothing until it is released or aborted. */
function silent(): {
  generate: Generate;
  release: (error?: Error) => void;
  isRunning: () => boolean;
} {
  const gate = Promise.withResolvers<void>();
  let running = false;
  return {
    release: (error) => (error ? gate.reject(error) : gate.resolve()),
    isRunning: () => running,
    generate: async function* (_request, signal) {
      running = true;
      signal.addEventListener("abort", () => gate.reject(signal.reason));
      try {
        await gate.promise;
        yield started();
        yield text("late");
        yield finished();
        yield done;
      } finally {
        running = false;
      }
    },
  };
}

describe("a client that leaves", () => {
  test("while it reads a stream ends the generation", async () => {
    const { generate, seen } = endless();
    const logged: string[] = [];
    const log = {
      ...silentLog,
      error: (m: string) => logged.push(m),
      warn: (m: string) => logged.push(m),
    };
    const base = listen({ generate, deps: { log } });
    const abort = new AbortController();
    const response = await send(base, streamBody, { signal: abort.signal });
    const reader = response.body!.getReader();
    expect(await nextText(reader)).toContain('"role":"assistant"');
    abort.abort();
    await until(() => seen.running === 0);
    expect(seen.aborted).toBe(1);
    expect(logged).toEqual([]);
  });

  test("while it waits for a whole answer ends the generation", async () => {
    const { generate, seen } = endless();
    const logged: string[] = [];
    const statuses: unknown[] = [];
    const info = (_: string, fields?: LogFields) => void statuses.push(fields?.["status"]);
    const log = {
      ...silentLog,
      info,
      error: (m: string) => logged.push(m),
      warn: (m: string) => logged.push(m),
    };
    const base = listen({ generate, deps: { log } });
    const abort = new AbortController();
    const sent = send(base, chatBody, { signal: abort.signal }).catch((error: Error) => error.name);
    await until(() => seen.running === 1);
    abort.abort();
    expect(await sent).toBe("AbortError");
    await until(() => seen.running === 0);
    expect(seen.aborted).toBe(1);
    await until(() => statuses.length === 1);
    expect(statuses).toEqual([499]);
    expect(logged).toEqual([]);
  });

  test("before the first text of a stream ends the generation", async () => {
    const { generate, isRunning } = silent();
    const base = listen({ generate });
    const abort = new AbortController();
    const sent = send(base, streamBody, { signal: abort.signal }).catch(
      (error: Error) => error.name,
    );
    await until(isRunning);
    abort.abort();
    expect(await sent).toBe("AbortError");
    await until(() => !isRunning());
  });
});

describe("silence", () => {
  test("of 15 s commits the status; comments follow every 15 s; a failure is then a frame", async () => {
    const clock = new ManualClock();
    const { generate, release, isRunning } = silent();
    const base = listen({ generate, deps: { clock } });
    const sent = send(base, streamBody);
    await until(isRunning);
    await clock.pass(14_999);
    expect(await Promise.race([sent, Bun.sleep(5).then(() => "waiting")])).toBe("waiting");
    await clock.pass(1);
    const response = await sent;
    expect(response.status).toBe(200);
    const reader = response.body!.getReader();
    expect(await nextText(reader)).toBe(": ping\n\n");
    for (let ping = 0; ping < 3; ping++) {
      await clock.pass(15_000);
      expect(await nextText(reader)).toBe(": ping\n\n");
    }
    release(new LmError("model_load_failed", { model: "m", reason: "bad" }, "bad magic"));
    const [last] = payloads(await nextText(reader)) as ErrorBody[];
    expect(last?.error).toMatchObject({ code: "model_load_failed", message: "bad magic" });
    expect((await reader.read()).done).toBe(true);
  });

  test("of less than 15 s leaves a failure its own status", async () => {
    const clock = new ManualClock();
    const { generate, release, isRunning } = silent();
    const base = listen({ generate, deps: { clock } });
    const sent = send(base, streamBody);
    await until(isRunning);
    await clock.pass(14_000);
    release(new LmError("model_load_failed", { model: "m", reason: "bad" }, "bad magic"));
    const response = await sent;
    expect(response.status).toBe(500);
    expect((await errorOf(response)).code).toBe("model_load_failed");
  });

  test("between texts is filled with comments only, and the stream still ends well", async () => {
    const clock = new ManualClock();
    const gate = Promise.withResolvers<void>();
    const base = listen({
      deps: { clock },
      generate: async function* () {
        yield started();
        yield text("a");
        await gate.promise;
        yield text("b");
        yield finished();
        yield done;
      },
    });
    const response = await send(base, streamBody);
    const reader = response.body!.getReader();
    let transcript = "";
    while (!transcript.includes('"content":"a"')) transcript += await nextText(reader);
    await clock.pass(15_000);
    expect(await nextText(reader)).toBe(": ping\n\n");
    gate.resolve();
    for (;;) {
      const { done: isDone, value } = await reader.read();
      if (isDone) break;
      transcript += new TextDecoder().decode(value);
    }
    expect(payloads(transcript)).toHaveLength(5);
    expect(transcript.endsWith("data: [DONE]\n\n")).toBe(true);
  });

  test("a computed answer may take its time, its connection afterwards and a stream never may", async () => {
    const held: string[] = [];
    for (const body of [chatBody, streamBody]) {
      const connection = {
        requestIP: () => null,
        timeout: (_request: Request, seconds: number) =>
          held.push(`${"stream" in body ? "stream" : "whole"} ${seconds}`),
      };
      const response = await appWith({}).fetch(post(CHAT, body), connection);
      await response.text();
    }
    expect(held).toEqual(["whole 0", `whole ${IDLE_TIMEOUT_SECONDS}`]);
  });

  test.each([
    [160_000, IDLE_TIMEOUT_SECONDS + 10],
    [8_000_000, MAX_IDLE_TIMEOUT_SECONDS],
  ])("an answer of %d characters may look idle for %d s while it is read", async (size, limit) => {
    const held: number[] = [];
    const connection = {
      requestIP: () => null,
      timeout: (_request: Request, seconds: number) => held.push(seconds),
    };
    const generate = play([started(), text("x".repeat(size)), finished(), done]);
    const response = await appWith({ generate }).fetch(post(CHAT, chatBody), connection);
    expect(await response.text()).toContain("xxx");
    expect(held).toEqual([0, limit]);
  });
});

test("no timer outlives its request", async () => {
  for (const body of [chatBody, streamBody, { messages: [] }]) {
    const clock = new ManualClock();
    const app = appWith({ deps: { clock }, settings: { requestTimeoutMs: 1_000 } });
    const response = await app.handle(post(CHAT, body));
    await response.text();
    expect(clock.pending).toBe(0);
  }
});

describe("a reader that takes nothing", () => {
  async function stalled(advanceMs: number) {
    const clock = new ManualClock();
    const abort = new AbortController();
    const ends: { stalled: boolean }[] = [];
    let isFinished = false;
    async function* frames(): AsyncGenerator<string, void, void> {
      try {
        for (;;) yield "data: x\n\n";
      } finally {
        isFinished = true;
      }
    }
    const response = await sseResponse(frames(), {
      clock,
      abort,
      encodeError: () => "",
      onEnd: (end) => ends.push(end),
    });
    const reader = response.body!.getReader();
    await reader.read();
    await clock.pass(advanceMs);
    return { abort, ends, reader, isFinished: () => isFinished };
  }

  test("for a minute is cut off, and the source ends", async () => {
    const { abort, ends, isFinished } = await stalled(76_000);
    expect(abort.signal.aborted).toBe(true);
    expect(ends).toMatchObject([{ stalled: true }]);
    await until(isFinished);
  });

  test("for less than a minute goes on", async () => {
    const { abort, ends, reader } = await stalled(59_000);
    expect(abort.signal.aborted).toBe(false);
    expect(ends).toEqual([]);
    expect((await reader.read()).done).toBe(false);
    await reader.cancel();
    expect(abort.signal.aborted).toBe(true);
    expect(ends).toMatchObject([{ stalled: false }]);
  });
});

describe("the access log", () => {
  async function logOf(body: object | null, options: FakeOptions = {}): Promise<LogFields[]> {
    const lines: LogFields[] = [];
    const log = {
      ...silentLog,
      info: (_: string, fields?: LogFields) => lines.push(fields ?? {}),
    };
    const app = appWith({ ...options, deps: { log } });
    const response = await app.handle(post(CHAT, body ?? "{"));
    await response.text();
    return lines;
  }

  test("has one line per request with fixed keys, when a stream ends too", async () => {
    for (const body of [chatBody, streamBody]) {
      const lines = await logOf(body);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toEqual({
        method: "POST",
        path: CHAT,
        status: 200,
        ms: expect.any(Number),
        bytes: expect.any(Number),
        requestId: expect.stringMatching(/^req_/),
        model: "acme/tiny",
        promptTokens: 3,
        completionTokens: 2,
        outcome: "done",
        client: "127.0.0.1",
      });
      expect(lines[0]?.["bytes"]).toBeGreaterThan(100);
    }
    expect(await logOf(null)).toMatchObject([{ status: 400, model: null, outcome: null }]);
  });

  test("holds nothing of prompts, answers, keys or queries", async () => {
    const canary = "c4n4ry";
    const all: unknown[] = [];
    const keep = (message: string, fields?: LogFields) => void all.push(message, fields);
    const app = appWith({
      settings: { apiKeys: [canary] },
      generate: async function* () {
        yield started();
        yield text(canary);
        throw new LmError("engine_crashed", { model: "m", cause: "x" }, "Crashed.");
      },
      deps: { log: { debug: keep, info: keep, warn: keep, error: keep } },
    });
    const body = { messages: [{ role: "user", content: canary }], stream: true };
    for (const key of [canary, `${canary}-wrong`]) {
      const request = post(`${CHAT}?secret=${canary}`, body, { authorization: `Bearer ${key}` });
      await (await app.handle(request)).text();
    }
    expect(JSON.stringify(all)).not.toContain(canary);
    expect(all.length).toBeGreaterThan(4);
  });
});
