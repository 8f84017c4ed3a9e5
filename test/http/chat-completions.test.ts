import { describe, expect, test } from "bun:test";
import type { GenerateEvent } from "../../src/chat/events.ts";
import type { TokenLogprob } from "../../src/protocol/events.ts";
import {
  answer,
  appWith,
  chatBody,
  done,
  errorOf,
  finished,
  payloads,
  play,
  post,
  started,
  text,
} from "./fakes.ts";

const CHAT = "/v1/chat/completions";

interface Message {
  role: string;
  content: string | null;
  reasoning_content?: string;
  reasoning?: string;
  tool_calls?: { id: string; type: string; function: { name: string; arguments: string } }[];
  function_call?: { name: string; arguments: string };
}
interface Wire {
  id: string;
  object: string;
  created: number;
  model: string;
  system_fingerprint: string;
  choices: {
    index: number;
    message: Message;
    delta: Partial<Message> & { tool_calls?: { index: number; id?: string }[] };
    logprobs: { content: { token: string }[]; refusal: null } | null;
    finish_reason: string | null;
  }[];
  usage?: { prompt_tokens: number; completion_tokens: number; total_tokens: number } | null;
}

async function chat(body: object, events: readonly GenerateEvent[], settings = {}): Promise<Wire> {
  const app = appWith({ generate: play(events), settings });
  const response = await app.handle(post(CHAT, { ...chatBody, ...body }));
  expect(response.status).toBe(200);
  return (await response.json()) as Wire;
}

async function stream(body: object, events: readonly GenerateEvent[], settings = {}) {
  const app = appWith({ generate: play(events), settings });
  const response = await app.handle(post(CHAT, { ...chatBody, ...body, stream: true }));
  expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  expect(response.headers.get("cache-control")).toBe("no-cache, no-transform");
  expect(response.headers.get("x-accel-buffering")).toBe("no");
  expect(response.headers.has("content-length")).toBe(false);
  return response.text();
}

const logprob = (token: string, over: Partial<TokenLogprob> = {}): TokenLogprob => ({
  id: 1,
  text: token,
  bytes: [...new TextEncoder().encode(token)],
  logprob: -0.5,
  top: [],
  ...over,
});

describe("golden transcripts", () => {
  const head =
    '{"id":"chatcmpl-xxxxxxxxxxxxxxxxxxxxxxxxxx","object":"chat.completion.chunk","created":CREATED,' +
    '"model":"acme/tiny","system_fingerprint":"lmserver-0.1.0-llamacpp-v0.5.0","choices":';
  const frame = (rest: string): string => `data: ${head}${rest}}\n\n`;
  const choice = (delta: string, finish = "null"): string =>
    `[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${finish}}]`;
  const normal = (transcript: string): string =>
    transcript.replace(/"created":\d+/g, '"created":CREATED');

  test("of reasoning and text: one chunk each, what is empty left out, the usage last", async () => {
    const transcript = await stream({ stream_options: { include_usage: true } }, [
      started(),
      { type: "progress", processed: 1, total: 3 },
      { type: "reasoning", choice: 0, text: "Greet back." },
      text("Hel"),
      text(""),
      text('lo\n"\u2028'),
      finished({ reasoningTokens: 1 }),
      done,
    ]);
    const usage =
      '"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":' +
      '{"cached_tokens":1,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":1,' +
      '"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}';
    expect(normal(transcript)).toBe(
      frame(`${choice('{"role":"assistant","content":""}')},"usage":null`) +
        frame(`${choice('{"reasoning_content":"Greet back."}')},"usage":null`) +
        frame(`${choice('{"content":"Hel"}')},"usage":null`) +
        frame(`${choice(`{"content":${JSON.stringify('lo\n"\u2028')}}`)},"usage":null`) +
        frame(`${choice("{}", '"stop"')},"usage":null`) +
        frame(`[],${usage}`) +
        "data: [DONE]\n\n",
    );
  });

  test("two tool calls, the second without arguments", async () => {
    const transcript = await stream({}, [
      started(),
      { type: "toolCall", choice: 0, index: 0, id: "call_1", name: "f" },
      { type: "toolArguments", choice: 0, index: 0, text: '{"a"' },
      { type: "toolArguments", choice: 0, index: 0, text: "" },
      { type: "toolArguments", choice: 0, index: 0, text: ":1}" },
      { type: "toolCall", choice: 0, index: 1, id: "call_2", name: "g" },
      finished({ reason: "tool_calls" }),
      done,
    ]);
    const call = (value: string): string => choice(`{"tool_calls":[${value}]}`);
    expect(normal(transcript)).toBe(
      frame(choice('{"role":"assistant","content":null}')) +
        frame(
          call(
            '{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}',
          ),
        ) +
        frame(call('{"index":0,"function":{"arguments":"{\\"a\\""}}')) +
        frame(call('{"index":0,"function":{"arguments":":1}"}}')) +
        frame(
          call(
            '{"index":1,"id":"call_2","type":"function","function":{"name":"g","arguments":""}}',
          ),
        ) +
        frame(call('{"index":1,"function":{"arguments":"{}"}}')) +
        frame(choice("{}", '"tool_calls"')) +
        "data: [DONE]\n\n",
    );
  });

  test("an answer of nothing still has a role and a finish", async () => {
    const transcript = await stream({}, [started(), finished({ completionTokens: 1 }), done]);
    expect(normal(transcript)).toBe(
      frame(choice('{"role":"assistant","content":""}')) +
        frame(choice("{}", '"stop"')) +
        "data: [DONE]\n\n",
    );
  });
});

describe("the answer in one piece", () => {
  test("carries id, fingerprint, usage and required nulls", async () => {
    const body = await chat({}, [started(), text("Hel"), text("lo"), finished(), done]);
    expect(body).toEqual({
      id: `chatcmpl-${"x".repeat(26)}`,
      object: "chat.completion",
      created: expect.any(Number),
      model: "acme/tiny",
      system_fingerprint: "lmserver-0.1.0-llamacpp-v0.5.0",
      service_tier: "default",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "Hello", refusal: null, annotations: [] },
          logprobs: null,
          finish_reason: "stop",
        },
      ],
      usage: {
        prompt_tokens: 3,
        completion_tokens: 2,
        total_tokens: 5,
        prompt_tokens_details: { cached_tokens: 1, audio_tokens: 0 },
        completion_tokens_details: {
          reasoning_tokens: 0,
          audio_tokens: 0,
          accepted_prediction_tokens: 0,
          rejected_prediction_tokens: 0,
        },
      },
      stats: {},
    } as unknown as Wire);
  });

  test("has content null only when there are calls and no text", async () => {
    const call = { type: "toolCall", choice: 0, index: 0, id: "call_1", name: "f" } as const;
    const end = finished({ reason: "tool_calls" });
    const bare = await chat({}, [started(), call, end, done]);
    expect(bare.choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: {
        content: null,
        tool_calls: [{ id: "call_1", type: "function", function: { name: "f", arguments: "{}" } }],
      },
    });
    const spoken = await chat({}, [started(), text("Let me see."), call, end, done]);
    expect(spoken.choices[0]?.message.content).toBe("Let me see.");
    const none = await chat({}, [started(), finished(), done]);
    expect(none.choices[0]?.message.content).toBe("");
    expect(none.choices[0]?.message).not.toHaveProperty("tool_calls");
  });

  test("has no content from behind a call, in a stream neither", async () => {
    const events: GenerateEvent[] = [
      started(),
      text("Let me see."),
      { type: "toolCall", choice: 0, index: 0, id: "call_1", name: "f" },
      text("Done.", 0, [logprob("Done.")]),
      { type: "toolCall", choice: 0, index: 1, id: "call_2", name: "g" },
      finished({ reason: "tool_calls" }),
      done,
    ];
    const whole = (await chat({ logprobs: true }, events)).choices[0]!;
    expect(whole.message.content).toBe("Let me see.");
    expect(whole.message.tool_calls).toHaveLength(2);
    expect(whole.logprobs?.content).toEqual([]);
    const chunks = payloads(await stream({ logprobs: true }, events)).slice(0, -1) as Wire[];
    const choices = chunks.map((chunk) => chunk.choices[0]!);
    expect(choices.map(({ delta }) => delta.content ?? "").join("")).toBe("Let me see.");
    expect(choices.every(({ logprobs }) => logprobs === null)).toBe(true);
  });

  test("a call cut by the length limit is returned as it is", async () => {
    const events: GenerateEvent[] = [
      started(),
      { type: "toolCall", choice: 0, index: 0, id: "call_1", name: "f" },
      { type: "toolArguments", choice: 0, index: 0, text: '{"a' },
      finished({ reason: "length" }),
      done,
    ];
    const body = await chat({}, events);
    expect(body.choices[0]?.finish_reason).toBe("length");
    expect(body.choices[0]?.message.tool_calls?.[0]?.function.arguments).toBe('{"a');
  });

  test("reasoning has the field that is configured", async () => {
    const events = [
      started(),
      { type: "reasoning", choice: 0, text: "Hm." },
      text("A"),
      finished(),
      done,
    ];
    for (const [reasoningField, keys] of [
      ["reasoning_content", ["reasoning_content"]],
      ["reasoning", ["reasoning"]],
      ["both", ["reasoning", "reasoning_content"]],
    ] as const) {
      const settings = { reasoningField };
      const message = (await chat({}, events as GenerateEvent[], settings)).choices[0]!.message;
      const found = Object.keys(message).filter((key) => key.startsWith("reasoning"));
      expect(found.sort()).toEqual([...keys]);
      const transcript = await stream({}, events as GenerateEvent[], settings);
      const deltas = (payloads(transcript).slice(0, -1) as Wire[]).map(
        ({ choices }) => choices[0]!.delta,
      );
      const streamed = deltas
        .flatMap((delta) => Object.keys(delta))
        .filter((key) => key.startsWith("reasoning"));
      expect(streamed.sort()).toEqual([...keys]);
    }
  });
});

test("requests that used functions get their call in the older form", async () => {
  const body = { functions: [{ name: "f", parameters: {} }], function_call: { name: "f" } };
  const events: GenerateEvent[] = [
    started(),
    { type: "toolCall", choice: 0, index: 0, id: "call_1", name: "f" },
    { type: "toolArguments", choice: 0, index: 0, text: "{}" },
    finished({ reason: "tool_calls" }),
    done,
  ];
  const answered = await chat(body, events);
  expect(answered.choices[0]).toMatchObject({
    finish_reason: "function_call",
    message: { content: null, function_call: { name: "f", arguments: "{}" } },
  });
  expect(answered.choices[0]?.message).not.toHaveProperty("tool_calls");
  const transcript = await stream(body, events);
  const deltas = (payloads(transcript).slice(0, -1) as Wire[]).map(({ choices }) => choices[0]!);
  expect(deltas.map(({ delta }) => delta.function_call).filter(Boolean)).toEqual([
    { name: "f", arguments: "" },
    { arguments: "{}" } as Message["function_call"],
  ]);
  expect(deltas.at(-1)?.finish_reason).toBe("function_call");
});

describe("several choices", () => {
  const events = [
    started(),
    text("a", 0),
    text("x", 1),
    text("b", 0),
    finished({ choice: 0, completionTokens: 3 }),
    text("y", 1),
    finished({ choice: 1, completionTokens: 4, reason: "length" }),
    done,
  ];

  test("are sorted by index and share one prompt", async () => {
    const body = await chat({ n: 2 }, events);
    const rows = body.choices.map(({ index, message, finish_reason }) => [
      index,
      message.content,
      finish_reason,
    ]);
    expect(rows).toEqual([
      [0, "ab", "stop"],
      [1, "xy", "length"],
    ]);
    expect(body.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 7, total_tokens: 10 });
  });

  test("stream interleaved, each with one role and one finish, then one usage", async () => {
    const transcript = await stream({ n: 2, stream_options: { include_usage: true } }, events);
    const chunks = payloads(transcript).slice(0, -1) as Wire[];
    for (const index of [0, 1]) {
      const own = chunks.flatMap(({ choices }) =>
        choices.filter((choice) => choice.index === index),
      );
      expect(own[0]?.delta).toEqual({ role: "assistant", content: "" });
      expect(own.filter(({ finish_reason }) => finish_reason !== null)).toHaveLength(1);
      expect(own.at(-1)?.delta).toEqual({});
    }
    expect(chunks.filter(({ choices }) => choices.length === 0)).toHaveLength(1);
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    expect(new Set(chunks.map(({ id, created, model }) => `${id} ${created} ${model}`)).size).toBe(
      1,
    );
  });
});

describe("log probabilities", () => {
  const events = [
    started(),
    // A code point over two tokens: the first has no text of its own yet.
    text("", 0, [logprob("\uFFFD", { bytes: [0xf0, 0x9f] })]),
    text("\u{1F600}", 0, [logprob("\uFFFD", { bytes: [0x98, 0x80], logprob: -Infinity })]),
    text("ok", 0, [
      logprob("ok", {
        top: [
          { id: 1, text: "ok", bytes: [111, 107], logprob: -0.5 },
          { id: 2, text: "no", bytes: [110, 111], logprob: -Infinity },
        ],
      }),
    ]),
    finished(),
    done,
  ];

  test("are finite, exact in bytes, and carry both required keys", async () => {
    const body = await chat({ logprobs: true, top_logprobs: 2 }, events);
    expect(body.choices[0]?.logprobs).toEqual({
      content: [
        { token: "\uFFFD", logprob: -0.5, bytes: [0xf0, 0x9f], top_logprobs: [] },
        { token: "\uFFFD", logprob: -9999, bytes: [0x98, 0x80], top_logprobs: [] },
        {
          token: "ok",
          logprob: -0.5,
          bytes: [111, 107],
          top_logprobs: [
            { token: "ok", logprob: -0.5, bytes: [111, 107] },
            { token: "no", logprob: -9999, bytes: [110, 111] },
          ],
        },
      ],
      refusal: null,
    } as unknown as Wire["choices"][number]["logprobs"]);
  });

  test("of a stream join to those of the whole answer, none without text", async () => {
    const whole = await chat({ logprobs: true }, events);
    const chunks = payloads(await stream({ logprobs: true }, events)).slice(0, -1) as Wire[];
    const choices = chunks.map((chunk) => chunk.choices[0]!);
    expect(choices.flatMap(({ logprobs }) => logprobs?.content ?? [])).toEqual(
      whole.choices[0]!.logprobs!.content,
    );
    for (const { delta, logprobs } of choices) {
      expect(logprobs !== null).toBe((delta.content ?? "") !== "");
    }
  });

  test("are null when nobody asked", async () => {
    expect(
      (await chat({}, [started(), text("a"), finished(), done])).choices[0]?.logprobs,
    ).toBeNull();
  });
});

test("the stream without usage has no usage key at all", async () => {
  const transcript = await stream({}, [started(), text("a"), finished(), done]);
  expect(transcript).not.toContain("usage");
});

test("input_tokens counts and render shows the prompt of the same body", async () => {
  const app = appWith({ generate: answer("no") });
  const count = await app.handle(post(`${CHAT}/input_tokens`, chatBody));
  expect(await count.json()).toEqual({ object: "response.input_tokens", input_tokens: 7 });
  const shown = await app.handle(post(`${CHAT}/render`, chatBody));
  expect(await shown.json()).toMatchObject({ prompt: "<prompt>", prompt_tokens: 7 });
  const refused = await app.handle(post(`${CHAT}/render`, { messages: [] }));
  expect((await errorOf(refused)).code).toBe("empty_array");
});

test("what was honoured in part only is said in a header that is safe to send", async () => {
  const warnings = ["The keyword 'uniqueItems' is not enforced.", "x\r\nSet-Cookie: \u{1F600}"];
  for (const isStream of [false, true]) {
    const app = appWith({ generate: play([started({ warnings }), text("a"), finished(), done]) });
    const response = await app.handle(post(CHAT, { ...chatBody, stream: isStream }));
    expect(response.headers.get("x-lmserver-warning")).toBe(
      "The keyword 'uniqueItems' is not enforced.; x%0D%0ASet-Cookie: %F0%9F%98%80",
    );
    expect(response.headers.has("set-cookie")).toBe(false);
    await response.text();
  }
});

test("a warning names properties of any script, percent-encoded and never cut in one character", async () => {
  const warnings = ["format: if at /properties/年龄 100% is not enforced", "年".repeat(500)];
  const app = appWith({ generate: play([started({ warnings }), finished(), done]) });
  const response = await app.handle(post(CHAT, chatBody));
  const header = response.headers.get("x-lmserver-warning") ?? "";
  expect(header).toMatch(/^[ -~]{1000,1024}$/);
  expect(decodeURIComponent(header)).toStartWith(`response_format: ${warnings[0]?.slice(8)}; 年`);
});
