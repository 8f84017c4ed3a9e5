import { describe, expect, test } from "bun:test";
import type { Generate } from "../../src/chat/events.ts";
import { isBug } from "../../src/http/bug.ts";
import { sseResponse } from "../../src/http/sse.ts";
import { LmError } from "../../src/lib/errors.ts";
import { type LogFields, silentLog } from "../../src/lib/log.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { appWith, chatBody, post, started, text } from "./fakes.ts";

/** A bug is logged, also when nobody is left to be told of it; the end of an answer is none. */

const CHAT = "/v1/chat/completions";

/** A generation that ends, when it is told to, with what `end` makes of the reason. */
const ending = (end: (reason: unknown) => unknown, begun = (): void => undefined): Generate =>
  async function* (_request, signal) {
    yield started();
    yield text("word ");
    const left = new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    begun();
    await left;
    throw end(signal.reason);
  };

function loggingApp(generate: Generate) {
  const errors: (LogFields | undefined)[] = [];
  const error = (_message: string, fields?: LogFields): void => void errors.push(fields);
  return { errors, app: appWith({ generate, deps: { log: { ...silentLog, error } } }) };
}

const bug = () => new TypeError("x is undefined");
const logged = [expect.objectContaining({ code: "bug", error: "x is undefined" })];
const ends = [
  { name: "a bug", end: bug, told: logged },
  { name: "the reason", end: (reason: unknown) => reason, told: [] },
  { name: "an abort", end: () => new DOMException("Closed.", "AbortError"), told: [] },
  { name: "a refusal", end: () => new LmError("model_unloaded", { model: "m" }, "x"), told: [] },
];

describe("what a generation ends with", () => {
  test.each(ends)("when its client leaves a whole answer: $name", async ({ end, told }) => {
    const begun = Promise.withResolvers<void>();
    const { app, errors } = loggingApp(ending(end, () => begun.resolve()));
    const leaving = new AbortController();
    const answer = app.handle(new Request(post(CHAT, chatBody), { signal: leaving.signal }));
    await begun.promise;
    leaving.abort();
    expect((await answer).status).toBe(499);
    expect(errors).toEqual(told);
  });

  test.each(ends)("when its stream's reader leaves: $name", async ({ end, told }) => {
    const { app, errors } = loggingApp(ending(end));
    const response = await app.handle(post(CHAT, { ...chatBody, stream: true }));
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
    expect(errors).toEqual(told);
  });

  test.each(ends)("when another prompt of its request fails: $name", async ({ end, told }) => {
    const begun = Promise.withResolvers<void>();
    const waits = ending(end, () => begun.resolve());
    const { app, errors } = loggingApp(async function* (request, signal) {
      const { input } = request;
      const isBad = input.kind === "prompt" && JSON.stringify(input.prompt).includes("bad");
      if (!isBad) yield* waits(request, signal);
      await begun.promise;
      throw new LmError("unsupported_model", { model: "m" }, "No.");
    });
    const answer = await app.handle(post("/v1/completions", { prompt: ["good", "bad"] }));
    expect(answer.status).toBe(400);
    expect(errors).toEqual(told);
  });
});

test("a request that fails by a bug before it begins is logged when its client has left", async () => {
  const leaving = new AbortController();
  const { app, errors } = loggingApp(() => {
    leaving.abort();
    throw bug();
  });
  const request = new Request(post(CHAT, chatBody), { signal: leaving.signal });
  expect((await app.handle(request)).status).toBe(499);
  expect(errors).toEqual(logged);
});

const fail = (): never => {
  throw bug();
};

async function* endsInABug(): AsyncGenerator<string, void, void> {
  try {
    yield* ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n", "data: 4\n\n"];
  } finally {
    fail();
  }
}

async function* failsBehind(
  signal: AbortSignal,
  asked: () => void,
): AsyncGenerator<string, void, void> {
  yield "data: 1\n\n";
  asked();
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  throw bug();
}

test.each(["at its end", "in the frame that was asked for"])(
  "what writes a stream tells a bug %s when its reader has left",
  async (place) => {
    const abort = new AbortController();
    const asked = Promise.withResolvers<void>();
    const isEnd = place === "at its end";
    if (isEnd) asked.resolve();
    const frames = isEnd ? endsInABug() : failsBehind(abort.signal, () => asked.resolve());
    const told: unknown[] = [];
    const options = { clock: new ManualClock(), abort, encodeError: String };
    const onEnd = ({ error }: { error: unknown }): void => void told.push(error);
    const reader = (await sseResponse(frames, { ...options, onEnd })).body!.getReader();
    await reader.read();
    await asked.promise;
    await reader.cancel();
    expect(told).toEqual([bug()]);
  },
);

test("an abort of work that nothing told to end is a bug", () => {
  const running = new AbortController().signal;
  expect(isBug(new DOMException("Closed.", "AbortError"), running)).toBe(true);
  expect(isBug(new DOMException("Closed.", "AbortError"), AbortSignal.abort())).toBe(false);
});
