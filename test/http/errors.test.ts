import { describe, expect, test } from "bun:test";
import { LmError } from "../../src/lib/errors.ts";
import {
  appWith,
  chatBody,
  errorOf,
  failWith,
  get,
  payloads,
  post,
  started,
  text,
  type ErrorBody,
} from "./fakes.ts";
import { chatCases } from "./error-cases.ts";

const user = { role: "user", content: "Hi" };

describe.each([false, true])("stream: %p", (stream) => {
  test.each(chatCases)("chat refuses $name with its own status", async (row) => {
    const sent = row.body ?? chatBody;
    const body = typeof sent === "object" && sent !== null ? { ...sent, stream } : sent;
    const response = await appWith(row.options).handle(
      post("/v1/chat/completions", body, row.headers),
    );
    const error = await errorOf(response);
    expect({ status: response.status, ...error }).toEqual({
      status: row.status,
      type: row.type ?? "invalid_request_error",
      code: row.code,
      param: row.param,
      message: row.message ? expect.stringMatching(row.message) : expect.any(String),
    });
    expect(Object.keys(error).sort()).toEqual(["code", "message", "param", "type"]);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/);
    for (const [name, value] of Object.entries(row.sends ?? {})) {
      expect(response.headers.get(name)).toBe(value);
    }
  });

  test("a request that takes too long is answered 504", async () => {
    const app = appWith({
      settings: { requestTimeoutMs: 1 },
      generate: async function* (_request, signal) {
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        yield* [];
      },
    });
    const response = await app.handle(post("/v1/chat/completions", { ...chatBody, stream }));
    expect(response.status).toBe(504);
    expect((await errorOf(response)).code).toBe("timeout");
  });
});

const midStream: { error: Error; code: string }[] = [
  { error: new LmError("engine_crashed", { model: "m", cause: "9" }, "x"), code: "internal_error" },
  { error: new LmError("model_unloaded", { model: "m" }, "x"), code: "model_unloaded" },
  { error: new LmError("server_shutdown", {}, "x"), code: "server_shutdown" },
  { error: new LmError("timeout", { limitMs: 1 }, "x"), code: "timeout" },
  { error: new TypeError("secret"), code: "internal_error" },
];

test.each(midStream)("a failure after the first text ends the stream with $code", async (row) => {
  for (const path of ["/v1/chat/completions", "/v1/completions"]) {
    const app = appWith({ generate: failWith(row.error, [started(), text("He")]) });
    const response = await app.handle(post(path, { ...chatBody, prompt: "x", stream: true }));
    expect(response.status).toBe(200);
    const transcript = await response.text();
    const frames = payloads(transcript);
    const last = frames.at(-1) as ErrorBody;
    expect(last.error.code).toBe(row.code);
    expect(last.error.type).toBe("server_error");
    expect(transcript).not.toContain("[DONE]");
    expect(transcript).not.toContain("secret");
    expect(transcript.endsWith("\n\n")).toBe(true);
  }
});

test("an unknown route is 404 with LM Studio's sentence, also the unprefixed aliases", async () => {
  for (const path of ["/v1/foo", "/models", "/chat/completions", "/V1/models"]) {
    const response = await appWith().handle(get(path));
    expect(response.status).toBe(404);
    expect(await errorOf(response)).toEqual({
      message: `Unexpected endpoint or method. (GET ${path})`,
      type: "invalid_request_error",
      param: null,
      code: "unknown_url",
    });
  }
});

test("messages of refusals hold no text of the prompt", async () => {
  const canary = "c4n4ry-in-the-prompt";
  const bodies: unknown[] = [
    `{"messages":[{"role":"user","content":"${canary}`,
    `{"messages": ${canary}}`,
    { messages: [{ role: "user", content: canary }], temperature: 9 },
    { messages: canary },
    { messages: [canary] },
    { messages: [{ role: "user", content: [{ type: "text", text: [canary] }] }] },
    { messages: [{ role: "user", content: [canary] }] },
    { messages: [{ role: "tool", content: canary }] },
    { messages: [user], stop: [{ canary }] },
    { messages: [user], tools: [{ type: "function", function: { name: `${canary} !` } }] },
    { messages: [user], grammar: `${canary}\u0000` },
  ];
  for (const body of bodies) {
    const response = await appWith().handle(post("/v1/chat/completions", body));
    expect(response.status).toBe(400);
    expect(await response.text()).not.toContain(canary);
  }
});
