import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import OpenAI, {
  APIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
} from "openai";
import type { Generate, GenerateEvent } from "../../src/chat/events.ts";
import { createApp } from "../../src/http/app.ts";
import { LmError } from "../../src/lib/errors.ts";
import { done, embedder, fakeDeps, fakeModel, finished, started, text } from "./fakes.ts";

let calls = 0;
const seen = { aborted: 0 };

const failures: Record<string, () => LmError> = {
  missing: () =>
    new LmError("model_not_found", { model: "missing", available: [], param: "model" }, "No."),
  broken: () => new LmError("model_load_failed", { model: "m", reason: "bad" }, "Bad file."),
  busy: () => new LmError("queue_full", { queued: 1, limit: 1, retryAfterMs: 1 }, "Busy."),
};

const toolEvents: GenerateEvent[] = [
  started(),
  { type: "toolCall", choice: 0, index: 0, id: "call_1", name: "f" },
  { type: "toolArguments", choice: 0, index: 0, text: '{"a":' },
  { type: "toolArguments", choice: 0, index: 0, text: "1}" },
  { type: "toolCall", choice: 0, index: 1, id: "call_2", name: "g" },
  { type: "toolArguments", choice: 0, index: 1, text: "{}" },
  finished({ reason: "tool_calls" }),
  done,
];

/** The model's name says how it behaves. */
const generate: Generate = async function* ({ model, input, choices }, signal) {
  calls++;
  const fail = failures[model ?? ""];
  if (fail) throw fail();
  if (input.kind === "chat" && input.options.tools.length > 0) {
    yield* toolEvents;
    return;
  }
  yield started();
  if (model === "endless") {
    signal.addEventListener("abort", () => seen.aborted++);
    while (!signal.aborted) {
      yield text("x");
      await Bun.sleep(1);
    }
    throw signal.reason;
  }
  for (let choice = 0; choice < choices; choice++) {
    if (model === "thinker") yield { type: "reasoning", choice, text: "Hm." };
    yield text("Hel", choice);
    if (model === "crash") {
      throw new LmError("engine_crashed", { model: "m", cause: "x" }, "Crashed.");
    }
    yield text("lo", choice);
    yield finished({ choice });
  }
  yield done;
};

let server: Bun.Server<undefined>;
let client: OpenAI;

beforeAll(() => {
  const models = [fakeModel({ key: "org/tiny" }), embedder];
  const app = createApp(
    fakeDeps({
      generate,
      models,
      embed: (inputs) => ({
        vectors: inputs.map(() => new Float32Array([0.5, -1, 2])),
        tokens: 3,
      }),
    }),
  );
  server = Bun.serve({ port: 0, fetch: (request, connection) => app.fetch(request, connection) });
  client = new OpenAI({ apiKey: "any", baseURL: `http://127.0.0.1:${server.port}/v1` });
});
afterAll(() => server.stop(true));

const messages = [{ role: "user" as const, content: "Hi" }];
const tools = ["f", "g"].map((name) => ({ type: "function" as const, function: { name } }));

describe("the official client", () => {
  test("creates a chat completion and knows its request id", async () => {
    const answer = await client.chat.completions.create({ model: "m", messages, n: 2 });
    expect(answer.choices.map(({ message }) => message.content)).toEqual(["Hello", "Hello"]);
    expect(answer._request_id).toMatch(/^req_[0-9a-f]{32}$/);
    expect(answer.usage?.total_tokens).toBe(7);
  });

  test("iterates a stream", async () => {
    const stream = await client.chat.completions.create({
      model: "m",
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let content = "";
    let usage = null;
    for await (const chunk of stream) {
      content += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    expect(content).toBe("Hello");
    expect(usage?.total_tokens).toBe(5);
  });

  test("accepts every stream in its own strict helper", async () => {
    for (const body of [
      { model: "m", messages },
      { model: "thinker", messages },
      { model: "m", messages, n: 3 },
      { model: "m", messages, stream_options: { include_usage: true } },
    ]) {
      const helper = client.chat.completions.stream(body);
      const final = await helper.finalChatCompletion();
      expect(final.choices.map(({ message }) => message.content)).toEqual(
        Array.from({ length: "n" in body ? (body.n ?? 1) : 1 }, () => "Hello"),
      );
    }
    const strict = tools.map((tool) => ({
      ...tool,
      function: { ...tool.function, strict: true, parameters: { type: "object" } },
    }));
    const helper = client.chat.completions.stream({ model: "m", messages, tools: strict });
    const final = await helper.finalChatCompletion();
    expect(final.choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: {
        content: null,
        tool_calls: [
          { id: "call_1", type: "function", function: { name: "f", arguments: '{"a":1}' } },
          { id: "call_2", type: "function", function: { name: "g", arguments: "{}" } },
        ],
      },
    });
  });

  test("continues several prompts, and one as a stream", async () => {
    const whole = await client.completions.create({ model: "m", prompt: ["a", "b"], echo: true });
    expect(whole.choices.map((choice) => choice.text)).toEqual(["aHello", "bHello"]);
    let streamed = "";
    for await (const chunk of await client.completions.create({
      model: "m",
      prompt: "a",
      stream: true,
    })) {
      streamed += chunk.choices[0]?.text ?? "";
    }
    expect(streamed).toBe("Hello");
  });

  test("embeds, in base64 by default and as numbers when asked", async () => {
    for (const format of [
      {},
      { encoding_format: "float" },
      { encoding_format: "base64" },
    ] as const) {
      const answer = await client.embeddings.create({ model: embedder.key, input: "a", ...format });
      const { embedding } = answer.data[0]!;
      const expected =
        "encoding_format" in format && format.encoding_format === "base64"
          ? "AAAAPwAAgL8AAABA"
          : [0.5, -1, 2];
      expect(embedding as unknown).toEqual(expected);
    }
  });

  test("lists models and retrieves one with a slash in its id", async () => {
    const ids: string[] = [];
    for await (const model of client.models.list()) ids.push(model.id);
    expect(ids).toEqual(["acme/embed", "org/tiny"]);
    expect((await client.models.retrieve("org/tiny")).id).toBe("org/tiny");
  });

  test("counts tokens and shows the prompt through the extras", async () => {
    const counted = await client.post("/chat/completions/input_tokens", {
      body: { model: "m", messages },
    });
    expect(counted).toMatchObject({ input_tokens: 7 });
  });

  type Failure = {
    name: string;
    ask: () => Promise<unknown>;
    class: new (...args: never[]) => Error;
    error: object;
    calls: number;
  };
  const chat = (body: object) => client.chat.completions.create({ model: "m", messages, ...body });
  const rows: Failure[] = [
    {
      name: "a refused field",
      ask: () => chat({ temperature: 3 }),
      class: BadRequestError,
      error: { status: 400, code: "decimal_above_max_value", param: "temperature" },
      calls: 0,
    },
    {
      name: "an unknown model",
      ask: () => chat({ model: "missing" }),
      class: NotFoundError,
      error: { status: 404, code: "model_not_found", param: "model" },
      calls: 1,
    },
    {
      name: "a model that cannot load is not asked again",
      ask: () => chat({ model: "broken" }),
      class: InternalServerError,
      error: { status: 500, code: "model_load_failed" },
      calls: 1,
    },
    {
      name: "a full queue is asked twice more",
      ask: () => chat({ model: "busy" }),
      class: InternalServerError,
      error: { status: 503, code: "server_overloaded", type: "server_error" },
      calls: 3,
    },
    {
      name: "an unknown route",
      ask: () => client.get("/nowhere"),
      class: NotFoundError,
      error: { status: 404, code: "unknown_url" },
      calls: 0,
    },
  ];
  test.each(rows)("$name", async (row) => {
    calls = 0;
    const error = await row.ask().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(row.class);
    expect(error).toMatchObject({ ...row.error, requestID: expect.stringMatching(/^req_/) });
    expect(calls).toBe(row.calls);
  });

  test("throws when a stream fails on the way, and does not repeat it", async () => {
    calls = 0;
    let content = "";
    const read = async (): Promise<void> => {
      const stream = await client.chat.completions.create({
        model: "crash",
        messages,
        stream: true,
      });
      for await (const chunk of stream) content += chunk.choices[0]?.delta.content ?? "";
    };
    const error = await read().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({ code: "internal_error", type: "server_error" });
    expect(content).toBe("Hel");
    expect(calls).toBe(1);
  });

  test("aborts a stream, which ends the generation", async () => {
    const stream = await client.chat.completions.create({
      model: "endless",
      messages,
      stream: true,
    });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content) break;
    }
    while (seen.aborted === 0) await Bun.sleep(1);
    expect(seen.aborted).toBe(1);
  });

  test("is refused with a wrong key in its own error class", async () => {
    const app = createApp(fakeDeps({ settings: { apiKeys: ["right"] } }));
    const locked = Bun.serve({ port: 0, fetch: (request, peer) => app.fetch(request, peer) });
    const baseURL = `http://127.0.0.1:${locked.port}/v1`;
    const wrong = new OpenAI({ apiKey: "wrong", baseURL });
    const error = await wrong.models.list().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error).toMatchObject({ code: "invalid_api_key" });
    const right = new OpenAI({ apiKey: "right", baseURL });
    expect((await right.models.list()).data.length).toBe(2);
    await locked.stop(true);
  });
});
