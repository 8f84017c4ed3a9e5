import { describe, expect, test } from "bun:test";
import type { Generate, GenerateEvent, GenerateRequest } from "../../src/chat/events.ts";
import { invalidRequest, LmError } from "../../src/lib/errors.ts";
import type { AcquireOptions } from "../../src/pool/pool.ts";
import {
  appWith,
  done,
  fakeDeps,
  fakeInstance,
  fakeModel,
  type FakeOptions,
  failWith,
  finished,
  play,
  post,
  started,
  text,
  timings,
} from "./fakes.ts";
import {
  chatEvents,
  effort,
  memoryResponses,
  orderProblem,
  problemsOf,
  thinker,
} from "./lmstudio-cases.ts";
import { ManualClock } from "../support/manual-clock.ts";

const PATH = "/api/v1/chat";
const model = fakeModel();
const loaded = fakeInstance(model);
const body = { model: model.key, input: "Hi" };
const reasoning = (value: string): GenerateEvent => ({ type: "reasoning", choice: 0, text: value });
const progress = (processed: number): GenerateEvent => ({ type: "progress", processed, total: 10 });
const answer = [started(), text("Hello"), finished(), done];

interface Answer {
  output: { type: string; content?: string }[];
  stats: Record<string, number>;
  response_id?: string;
  model_instance_id: string;
}
interface Failure {
  error: { type: string; message: string; code?: string; param?: string };
}

async function ask(over: object, options: FakeOptions = {}): Promise<Response> {
  return appWith({ instances: [loaded], models: [model, thinker, effort], ...options }).handle(
    post(PATH, { ...body, ...over }),
  );
}
async function answerOf(response: Response): Promise<Answer> {
  const json = await response.json();
  expect(problemsOf("ChatResponse", json)).toEqual([]);
  return json as Answer;
}
async function failureOf(response: Response): Promise<Failure["error"]> {
  const json = await response.json();
  expect(problemsOf("ErrorBody", json)).toEqual([]);
  return (json as Failure).error;
}
async function eventsOf(response: Response) {
  expect(response.status).toBe(200);
  const events = chatEvents(await response.text());
  expect(events.flatMap((event) => problemsOf("StreamEvent", event))).toEqual([]);
  expect(orderProblem(events)).toBeNull();
  return events;
}
const names = (events: readonly { type: string }[]): string[] => events.map(({ type }) => type);

describe("input", () => {
  const user = async (input: unknown): Promise<unknown> => {
    let seen: GenerateRequest | null = null;
    const generate = play(answer, (request) => (seen = request));
    const response = await ask({ input }, { generate });
    expect(response.status).toBe(200);
    return (seen as GenerateRequest | null)?.input;
  };
  test.each([
    { name: "a string", input: "AB" },
    {
      name: "text items",
      input: [
        { type: "text", content: "A" },
        { type: "text", content: "B" },
      ],
    },
    { name: "a message item", input: [{ type: "message", content: "AB" }] },
  ])("$name is one user message", async ({ input }) => {
    expect(await user(input)).toMatchObject({
      messages: [{ role: "user", content: [{ type: "text", text: "AB" }] }],
    });
  });

  const image = (url: string) => [{ type: "image", data_url: url }];
  const rows: { name: string; over: object; code: string; param: string | undefined }[] = [
    {
      name: "no model",
      over: { model: undefined },
      code: "missing_required_parameter",
      param: "model",
    },
    {
      name: "null for the model",
      over: { model: null },
      code: "missing_required_parameter",
      param: "model",
    },
    {
      name: "null for the input",
      over: { input: null },
      code: "missing_required_parameter",
      param: "input",
    },
    {
      name: "no input",
      over: { input: undefined },
      code: "missing_required_parameter",
      param: "input",
    },
    { name: "a number", over: { input: 5 }, code: "invalid_union", param: "input" },
    { name: "nothing", over: { input: "" }, code: "invalid_union", param: "input" },
    { name: "no items", over: { input: [] }, code: "invalid_union", param: "input" },
    {
      name: "an unknown item",
      over: { input: [{ type: "x" }] },
      code: "invalid_union",
      param: "input",
    },
    {
      name: "an unknown key of an item",
      over: { input: [{ type: "text", content: "x", y: 1 }] },
      code: "unrecognized_keys",
      param: "input[0]",
    },
    {
      name: "an image for a text model",
      over: { input: image("data:image/png;base64,AA==") },
      code: "unsupported_input_modality",
      param: "input",
    },
    {
      name: "an image elsewhere",
      over: { input: image("http://169.254.169.254/x.png") },
      code: "invalid_value",
      param: "input[0].data_url",
    },
    { name: "an unknown key", over: { stop: ["x"] }, code: "unrecognized_keys", param: undefined },
    { name: "tools", over: { tools: [] }, code: "unrecognized_keys", param: undefined },
    { name: "too warm", over: { temperature: 1.1 }, code: "invalid_value", param: "temperature" },
    { name: "top_k", over: { top_k: -1 }, code: "invalid_value", param: "top_k" },
    {
      name: "repeat_penalty",
      over: { repeat_penalty: 0 },
      code: "invalid_value",
      param: "repeat_penalty",
    },
    {
      name: "no tokens",
      over: { max_output_tokens: 0 },
      code: "invalid_value",
      param: "max_output_tokens",
    },
    {
      name: "a word for a boolean",
      over: { stream: "yes" },
      code: "invalid_type",
      param: "stream",
    },
    {
      name: "another setting",
      over: { reasoning: "much" },
      code: "invalid_value",
      param: "reasoning",
    },
    {
      name: "thinking that is not there",
      over: { reasoning: "on" },
      code: "unsupported_reasoning_setting",
      param: "reasoning",
    },
    {
      name: "a level",
      over: { model: thinker.key, reasoning: "high" },
      code: "unsupported_reasoning_setting",
      param: "reasoning",
    },
    {
      name: "no thinking",
      over: { model: effort.key, reasoning: "off" },
      code: "unsupported_reasoning_setting",
      param: "reasoning",
    },
    {
      name: "more context",
      over: { context_length: 4097 },
      code: "invalid_value",
      param: "context_length",
    },
    {
      name: "a wrong id",
      over: { previous_response_id: "x" },
      code: "invalid_value",
      param: "previous_response_id",
    },
    {
      name: "an unknown id",
      over: { previous_response_id: "resp_x" },
      code: "previous_response_not_found",
      param: "previous_response_id",
    },
  ];
  test.each(rows)("refused: $name", async ({ over, code, param }) => {
    const response = await ask(over);
    expect(response.status).toBe(400);
    const error = await failureOf(response);
    expect(error).toMatchObject({ type: "invalid_request", code });
    expect(error.param).toBe(param as string);
  });

  test("the message of an unknown key names it, and a missing one is named in quotes", async () => {
    expect((await failureOf(await ask({ stop: "x" }))).message).toBe(
      "Unrecognized key(s) in object: 'stop'",
    );
    expect((await failureOf(await ask({ model: undefined }))).message).toBe('"model" is required');
  });

  test("a key named like the prototype is unknown too", async () => {
    const response = await appWith({ models: [model] }).handle(
      post(PATH, '{"model":"acme/tiny","input":"x","__proto__":{"store":false}}'),
    );
    expect(await failureOf(response)).toMatchObject({ code: "unrecognized_keys" });
  });

  test("null means absent, and no integrations are fine", async () => {
    const over = { temperature: null, store: null, previous_response_id: null, integrations: [] };
    expect((await ask({ ...over, system_prompt: null })).status).toBe(200);
  });

  test.each([["mcp/playwright"], [{ type: "ephemeral_mcp", server_label: "x", server_url: "y" }]])(
    "integrations are not implemented, and say so: %p",
    async (integration) => {
      const response = await ask({ integrations: [integration] });
      expect(response.status).toBe(501);
      expect(await failureOf(response)).toMatchObject({ type: "not_implemented" });
    },
  );

  test.each(["nothing/here", "default"])("an unknown model is 404: %s", async (name) => {
    const response = await ask({ model: name });
    expect(response.status).toBe(404);
    expect(await failureOf(response)).toMatchObject({ type: "model_not_found" });
  });

  test("extensions are accepted only when they are switched on", async () => {
    const lora = [{ id: "pirate", scale: 0.5 }, { id: 1 }];
    const over = { seed: 1, stop: ["x"], ttl: 5, lora };
    expect((await ask(over)).status).toBe(400);
    let seen: GenerateRequest | null = null;
    const generate = play(answer, (request) => (seen = request));
    expect((await ask(over, { generate, settings: { restExtensions: true } })).status).toBe(200);
    expect(seen as GenerateRequest | null).toMatchObject({
      stops: ["x"],
      ttlSeconds: 5,
      sampling: { seed: 1 },
      adapters: [
        { adapter: "pirate", scale: 0.5 },
        { adapter: 1, scale: 1 },
      ],
    });
  });
});

describe("reasoning settings", () => {
  const rows = [
    {
      name: thinker.key,
      setting: "off",
      options: { enableThinking: false, reasoningEffort: null },
    },
    { name: thinker.key, setting: "on", options: { enableThinking: true, reasoningEffort: null } },
    { name: effort.key, setting: "low", options: { enableThinking: true, reasoningEffort: "low" } },
  ];
  test.each(rows)("$name $setting", async ({ name, setting, options }) => {
    let seen: GenerateRequest | null = null;
    const generate = play(answer, (request) => (seen = request));
    expect((await ask({ model: name, reasoning: setting }, { generate })).status).toBe(200);
    expect(seen as GenerateRequest | null).toMatchObject({ input: { options } });
  });
});

describe("answers", () => {
  test("reasoning, then the message, with statistics", async () => {
    const generate = play([
      started({ promptTokens: 7 }),
      reasoning("Hm"),
      reasoning("."),
      text("Hel"),
      text("lo"),
      finished({ completionTokens: 6, reasoningTokens: 2 }),
      { type: "done", timings: { ...done.timings, ttftMs: 300, queuedMs: 100, decodeMs: 2000 } },
    ]);
    const { output, stats, response_id } = await answerOf(await ask({}, { generate }));
    expect(output).toEqual([
      { type: "reasoning", content: "Hm." },
      { type: "message", content: "Hello" },
    ]);
    expect(stats).toEqual({
      input_tokens: 7,
      total_output_tokens: 6,
      reasoning_output_tokens: 2,
      tokens_per_second: 3,
      time_to_first_token_seconds: 0.2,
    });
    expect(response_id).toBeUndefined();
  });

  test("an answer that is cut while thinking has an empty message", async () => {
    const generate = play([started(), reasoning("Hm"), finished({ reason: "length" }), done]);
    const { output } = await answerOf(await ask({}, { generate }));
    expect(output.map(({ type }) => type)).toEqual(["reasoning", "message"]);
  });

  test("a call of the model is told as one that does not exist", async () => {
    const generate = play([
      started(),
      text("Let me see."),
      { type: "toolCall", choice: 0, index: 0, id: "call_1", name: "open" },
      { type: "toolArguments", choice: 0, index: 0, text: "{}" },
      finished({ reason: "tool_calls" }),
      done,
    ]);
    const events = await eventsOf(await ask({ stream: true }, { generate }));
    expect(names(events)).toContain("tool_call.failure");
    const { output } = await answerOf(await ask({}, { generate }));
    expect(output.map(({ type }) => type)).toEqual(["message", "invalid_tool_call"]);
  });

  test("a context that is too small is 400, streamed or not", async () => {
    const generate = failWith(
      new LmError(
        "context_length_exceeded",
        { promptTokens: 9, contextLength: 4, param: "prompt" },
        "long",
      ),
    );
    for (const stream of [true, false]) {
      const response = await ask({ stream }, { generate });
      expect(response.status).toBe(400);
      expect(await failureOf(response)).toMatchObject({
        type: "invalid_request",
        code: "context_length_exceeded",
        param: "input",
      });
    }
  });
});

describe("events", () => {
  test("of a good run, in order", async () => {
    const generate = play([
      started(),
      progress(5),
      progress(3),
      progress(10),
      reasoning("Hm"),
      text("Hel"),
      text(""),
      text("lo"),
      finished(),
      done,
    ]);
    const events = await eventsOf(await ask({ stream: true }, { generate }));
    expect(names(events)).toEqual([
      "chat.start",
      "prompt_processing.start",
      "prompt_processing.progress",
      "prompt_processing.progress",
      "prompt_processing.progress",
      "prompt_processing.end",
      "reasoning.start",
      "reasoning.delta",
      "reasoning.end",
      "message.start",
      "message.delta",
      "message.delta",
      "message.end",
      "chat.end",
    ]);
    const whole = await answerOf(await ask({}, { generate }));
    expect(events.at(-1)?.["result"]).toEqual(whole);
  });

  test("T: whatever a model does and wherever it fails, the order holds", async () => {
    let state = 42;
    const random = (limit: number): number => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((state / 2_147_483_648) * limit);
    };
    const kinds: (() => GenerateEvent)[] = [
      () => text("a"),
      () => text(""),
      () => reasoning("r"),
      () => progress(random(12)),
      () => ({ type: "toolCall", choice: 0, index: 0, id: "c", name: "f" }),
      () => ({ type: "toolArguments", choice: 0, index: 0, text: "{" }),
    ];
    for (let round = 0; round < 300; round++) {
      const middle = Array.from({ length: random(12) }, () => kinds[random(kinds.length)]!());
      const complete = [started(), ...middle, finished(), done];
      const fails = random(2) === 0;
      const failure = new LmError("engine_crashed", { model: "m", cause: "c" }, "crashed");
      const cut = complete.slice(0, 1 + random(complete.length - 1));
      const generate = fails ? failWith(failure, cut) : play(complete);
      const instances = random(2) === 0 ? [loaded] : [];
      const events = await eventsOf(await ask({ stream: true }, { generate, instances }));
      expect(names(events).includes("error")).toBe(fails);
      expect(names(events).includes("model_load.start")).toBe(instances.length === 0);
    }
  });

  test("a refusal that comes after the status was sent is an event of a whole stream", async () => {
    const clock = new ManualClock();
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const generate: Generate = async function* () {
      yield* [];
      begun.resolve();
      await gate.promise;
      throw new LmError("queue_full", { queued: 1, limit: 1, retryAfterMs: 1 }, "Too many.");
    };
    const pending = ask({ stream: true }, { generate, deps: { clock } });
    await begun.promise;
    await clock.pass(15_000);
    const response = await pending;
    gate.resolve();
    expect(names(await eventsOf(response))).toEqual(["chat.start", "error", "chat.end"]);
  });

  test("a failure after the start is an event, and nothing is stored", async () => {
    const responses = memoryResponses();
    const failure = new LmError("model_unloaded", { model: "m" }, "The model was unloaded.");
    const interrupted: GenerateEvent = {
      type: "interrupted",
      completionTokens: 4,
      reasoningTokens: 1,
      timings: { ...timings, queuedMs: 100, ttftMs: 600, decodeMs: 2_000 },
    };
    const generate = failWith(failure, [started(), text("He"), interrupted]);
    const response = await ask({ stream: true }, { generate, deps: { responses } });
    const events = await eventsOf(response);
    expect(names(events).slice(-3)).toEqual(["message.end", "error", "chat.end"]);
    const end = events.at(-1)?.["result"] as Answer;
    expect(end.output).toEqual([{ type: "message", content: "He" }]);
    expect(end.stats).toEqual({
      input_tokens: 3,
      total_output_tokens: 4,
      reasoning_output_tokens: 1,
      tokens_per_second: 2,
      time_to_first_token_seconds: 0.5,
    });
    expect(end.response_id).toBeUndefined();
    expect(responses.saved).toEqual([]);
  });
});

describe("loading", () => {
  const acquiring = (seen: (AcquireOptions | undefined)[]) => {
    const { pool } = fakeDeps({ models: [model] });
    return {
      pool: {
        ...pool,
        acquire: async (...[asked, signal, options]: Parameters<typeof pool.acquire>) => {
          seen.push(options);
          return pool.acquire(asked, signal, options);
        },
      },
    };
  };

  test("the events of a load come between start and prompt, and its time is told", async () => {
    const seen: (AcquireOptions | undefined)[] = [];
    const { pool } = acquiring(seen);
    const response = await ask({ stream: true, context_length: 1024 }, { deps: { pool } });
    const events = await eventsOf(response);
    expect(names(events).slice(0, 4)).toEqual([
      "chat.start",
      "model_load.start",
      "model_load.end",
      "prompt_processing.start",
    ]);
    expect(seen).toEqual([{ name: model.key, contextLength: 1024, ttlMs: null }]);
    const end = events.at(-1)?.["result"] as Answer;
    expect(end.stats["model_load_time_seconds"]).toBeNumber();
  });

  test("progress of a load is told ten times a second, and only when it grew", async () => {
    const isLoaded = Promise.withResolvers<void>();
    const { pool } = acquiring([]);
    const fractions = [0.1, 0.1, 0.05, 0.7];
    const loading = () =>
      fakeInstance(model, { state: "loading", info: null, loadedFraction: fractions.shift() ?? 1 });
    const slow = {
      ...pool,
      // The first look is for an instance that could answer.
      instances: () => (isAsked ? [loading()] : []),
      acquire: async (...args: Parameters<typeof pool.acquire>) => {
        isAsked = true;
        await isLoaded.promise;
        return pool.acquire(...args);
      },
    };
    let isAsked = false;
    const clock = new ManualClock();
    const response = await ask({ stream: true }, { deps: { pool: slow, clock } });
    const reading = response.text();
    while (fractions.length > 0) {
      await clock.pass(100);
      await Bun.sleep(0);
    }
    isLoaded.resolve();
    const events = chatEvents(await reading);
    expect(orderProblem(events)).toBeNull();
    for (const event of events) expect(problemsOf("StreamEvent", event)).toEqual([]);
    const told = events.filter(({ type }) => type === "model_load.progress");
    expect(told.map((event) => event["progress"])).toEqual([0.1, 0.7]);
    expect(clock.pending).toBe(0);
  });

  test("a load that fails is an event of a stream, and a status of a whole answer", async () => {
    const failure = new LmError("model_load_failed", { model: "m", reason: "r" }, "broken file");
    const { pool } = acquiring([]);
    const broken = { ...pool, acquire: () => Promise.reject(failure) };
    const events = await eventsOf(await ask({ stream: true }, { deps: { pool: broken } }));
    expect(names(events)).toEqual([
      "chat.start",
      "model_load.start",
      "model_load.end",
      "error",
      "chat.end",
    ]);
    const whole = await ask({}, { deps: { pool: broken } });
    expect(whole.status).toBe(500);
    expect(await failureOf(whole)).toMatchObject({
      type: "internal_error",
      message: "broken file",
    });
  });

  test("whoever leaves while the model loads lets it go", async () => {
    let released = 0;
    const response = await ask({ stream: true }, { instances: [], released: () => released++ });
    const reader = response.body!.getReader();
    const decoder = new TextDecoder();
    for (let seen = ""; !seen.includes("model_load.end");) {
      seen += decoder.decode((await reader.read()).value);
    }
    await reader.cancel();
    expect(released).toBe(1);
  });

  test("a context that cannot be had is refused before anything is told", async () => {
    const { pool } = acquiring([]);
    const refusing: typeof pool = {
      ...pool,
      preview: () => {
        throw invalidRequest("contextLength", "invalid_value", "The model is in use.");
      },
    };
    const response = await ask(
      { stream: true, context_length: 1024 },
      { deps: { pool: refusing } },
    );
    expect(response.status).toBe(400);
    expect(await failureOf(response)).toMatchObject({
      code: "invalid_value",
      param: "context_length",
    });
  });

  test.each([true, false])("who answers has the wanted context; needs a load: %p", async (load) => {
    const asked: unknown[] = [];
    const generate = play(answer, ({ contextLength }) => asked.push(contextLength));
    const instances = load ? [] : [loaded];
    const response = await ask({ context_length: 1024 }, { generate, instances });
    expect([response.status, asked]).toEqual([200, [1024]]);
  });
});

describe("chats that go on", () => {
  const conversation = () => {
    const responses = memoryResponses();
    const seen: GenerateRequest[] = [];
    const generate = play([started(), reasoning("Hm"), text("A"), finished(), done], (request) => {
      seen.push(request);
    });
    const app = appWith({ generate, instances: [loaded], models: [model], deps: { responses } });
    const say = async (over: object) =>
      answerOf(await app.handle(post(PATH, { ...body, ...over })));
    const lastTexts = (): string[] => {
      const input = seen.at(-1)?.input;
      if (input?.kind !== "chat") return [];
      return input.messages.map(({ role, content }) => `${role}:${content?.[0]?.text}`);
    };
    return { say, lastTexts, responses };
  };

  test("three turns, a branch, and the system prompt", async () => {
    const { say, lastTexts } = conversation();
    const first = await say({ input: "1", system_prompt: "S" });
    expect(first.response_id).toMatch(/^resp_[0-9a-f]{48}$/);
    const second = await say({ input: "2", previous_response_id: first.response_id });
    await say({ input: "3", previous_response_id: second.response_id });
    expect(lastTexts()).toEqual([
      "system:S",
      "user:1",
      "assistant:A",
      "user:2",
      "assistant:A",
      "user:3",
    ]);
    await say({ input: "2b", previous_response_id: first.response_id, system_prompt: "T" });
    expect(lastTexts()).toEqual(["system:T", "user:1", "assistant:A", "user:2b"]);
  });

  test("store: false is not kept and has no id", async () => {
    const { say, responses } = conversation();
    expect((await say({ store: false })).response_id).toBeUndefined();
    expect(responses.saved).toEqual([]);
  });

  test("a store that fails costs the id, not the answer", async () => {
    const responses = { ...memoryResponses(), save: () => false };
    const { output, response_id } = await answerOf(await ask({}, { deps: { responses } }));
    expect(output).toEqual([{ type: "message", content: "Hello" }]);
    expect(response_id).toBeUndefined();
  });

  test("a chat that cannot be read for now is to be asked for again", async () => {
    const chain = (): never => {
      throw new LmError("overloaded", { retryAfterMs: 1_000 }, "Please try again.");
    };
    const deps = { responses: { ...memoryResponses(), chain } };
    const response = await ask({ previous_response_id: "resp_00", store: false }, { deps });
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("1");
    expect((await failureOf(response)).message).toBe("Please try again.");
  });

  test("T-B5: with keys, nobody continues the chat of another", async () => {
    const responses = memoryResponses();
    const options = {
      instances: [loaded],
      deps: { responses },
      settings: { apiKeys: ["one", "two"] },
    };
    const app = appWith(options);
    const as = (key: string, over: object) =>
      app.handle(post(PATH, { ...body, ...over }, { authorization: `Bearer ${key}` }));
    const { response_id } = await answerOf(await as("one", {}));
    const stolen = await as("two", { previous_response_id: response_id });
    const unknown = await as("two", { previous_response_id: "resp_00" });
    expect([stolen.status, unknown.status]).toEqual([400, 400]);
    expect((await failureOf(stolen)).code).toBe((await failureOf(unknown)).code as string);
    expect((await as("one", { previous_response_id: response_id })).status).toBe(200);
    expect(responses.saved.every(({ owner }) => !owner.includes("one"))).toBe(true);
  });
});
