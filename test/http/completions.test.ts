import { describe, expect, test } from "bun:test";
import type {
  CheckPrompts,
  Generate,
  GenerateEvent,
  GenerateRequest,
} from "../../src/chat/events.ts";
import { defined } from "../../src/lib/assert.ts";
import { LmError } from "../../src/lib/errors.ts";
import type { TokenLogprob } from "../../src/protocol/events.ts";
import {
  appWith,
  assigned,
  done,
  errorOf,
  finished,
  payloads,
  play,
  post,
  started,
  text,
  timings,
} from "./fakes.ts";

const PATH = "/v1/completions";

interface LegacyLogprobs {
  tokens: string[];
  token_logprobs: (number | null)[];
  top_logprobs: (Record<string, number> | null)[];
  text_offset: number[];
}
interface Wire {
  choices: {
    index: number;
    text: string;
    logprobs: LegacyLogprobs | null;
    finish_reason: string | null;
  }[];
  usage?: { prompt_tokens: number; completion_tokens: number };
}

const token = (value: string, top: [string, number][] = [], logprob = -1): TokenLogprob => ({
  id: 1,
  text: value,
  bytes: [...new TextEncoder().encode(value)],
  logprob,
  top: top.map(([word, score]) => ({ id: 2, text: word, bytes: [], logprob: score })),
});

async function requestsOf(body: object): Promise<GenerateRequest[]> {
  const seen: GenerateRequest[] = [];
  const generate = play([started(), finished(), done], (request) => seen.push(request));
  const response = await appWith({ generate }).handle(post(PATH, { prompt: "P", ...body }));
  expect(response.status).toBe(200);
  return seen;
}

async function complete(body: object, generate: Generate): Promise<Wire> {
  const response = await appWith({ generate }).handle(post(PATH, { prompt: "P", ...body }));
  expect(response.status).toBe(200);
  return (await response.json()) as Wire;
}

async function stream(body: object, generate: Generate): Promise<Wire[]> {
  const response = await appWith({ generate }).handle(
    post(PATH, { prompt: "P", ...body, stream: true }),
  );
  expect(response.status).toBe(200);
  const frames = payloads(await response.text());
  expect(frames.at(-1)).toBe("[DONE]");
  return frames.slice(0, -1) as Wire[];
}

/** Answers each prompt with its own text, in as many choices as asked. */
const echoing: Generate = async function* ({ input, choices }) {
  const name =
    input.kind === "prompt" && input.prompt.kind === "text" ? input.prompt.text : "tokens";
  yield started();
  for (let choice = 0; choice < choices; choice++) yield text(`<${name}${choice}>`, choice);
  for (let choice = 0; choice < choices; choice++) yield finished({ choice });
  yield done;
};

describe("prompts", () => {
  const rows: { prompt: unknown; inputs: object[] }[] = [
    { prompt: "a", inputs: [{ kind: "text", text: "a" }] },
    { prompt: null, inputs: [{ kind: "text", text: "" }] },
    {
      prompt: ["a", "b"],
      inputs: [
        { kind: "text", text: "a" },
        { kind: "text", text: "b" },
      ],
    },
    { prompt: [1, 2], inputs: [{ kind: "tokens", tokens: [1, 2] }] },
    {
      prompt: [[1], [2, 3]],
      inputs: [
        { kind: "tokens", tokens: [1] },
        { kind: "tokens", tokens: [2, 3] },
      ],
    },
  ];
  test.each(rows)("$prompt", async ({ prompt, inputs }) => {
    const requests = await requestsOf({ prompt });
    expect(requests.map(({ input }) => input.kind === "prompt" && input.prompt)).toEqual(
      inputs as never,
    );
    expect(requests[0]).toMatchObject({ maxTokens: 16, logprobs: null, choices: 1 });
  });

  const refusals: { body: object; code: string; param: string }[] = [
    { body: { prompt: undefined }, code: "missing_required_parameter", param: "prompt" },
    { body: { prompt: [] }, code: "empty_array", param: "prompt" },
    { body: { prompt: ["a", 1] }, code: "invalid_value", param: "prompt" },
    { body: { prompt: [1, [2]] }, code: "invalid_value", param: "prompt" },
    { body: { prompt: [[1], []] }, code: "invalid_value", param: "prompt[1]" },
    { body: { prompt: [1, -1] }, code: "invalid_value", param: "prompt" },
    { body: { prompt: [1.5] }, code: "invalid_value", param: "prompt" },
    { body: { prompt: [2 ** 53] }, code: "invalid_value", param: "prompt" },
    { body: { prompt: 5 }, code: "invalid_type", param: "prompt" },
    { body: { prompt: [true] }, code: "invalid_type", param: "prompt[0]" },
    {
      body: { prompt: Array.from({ length: 129 }, () => "a") },
      code: "array_above_max_length",
      param: "prompt",
    },
    { body: { logprobs: true }, code: "invalid_type", param: "logprobs" },
    { body: { logprobs: 6 }, code: "integer_above_max_value", param: "logprobs" },
    { body: { max_tokens: -2 }, code: "integer_below_min_value", param: "max_tokens" },
    { body: { best_of: 1, n: 2 }, code: "invalid_value", param: "best_of" },
    { body: { best_of: 21 }, code: "integer_above_max_value", param: "best_of" },
    { body: { best_of: 2, stream: true }, code: "invalid_value", param: "best_of" },
    { body: { suffix: "s", echo: true }, code: "unsupported_parameter", param: "suffix" },
    { body: { suffix: "s", prompt: [1] }, code: "unsupported_parameter", param: "suffix" },
    { body: { grammar: "g", json_schema: {} }, code: "invalid_value", param: "grammar" },
    { body: { echo: 1 }, code: "invalid_type", param: "echo" },
  ];
  test.each(refusals)("refuses $body", async ({ body, code, param }) => {
    const response = await appWith().handle(post(PATH, { prompt: "P", ...body }));
    expect(response.status).toBe(400);
    expect(await errorOf(response)).toMatchObject({ code, param });
  });

  test("of several prompts the one that does not fit is named", async () => {
    const details = { promptTokens: 9, contextLength: 8, param: "prompt" };
    const generate: Generate = async function* ({ input }, signal) {
      const prompt = input.kind === "prompt" && input.prompt.kind === "text" && input.prompt.text;
      if (prompt === "long") throw new LmError("context_length_exceeded", details, "No.");
      yield* play([started(), finished(), done])({ input } as never, signal);
    };
    const ask = async (prompt: unknown) =>
      await errorOf(await appWith({ generate }).handle(post(PATH, { prompt })));
    const { message, param } = await ask(["a", "long"]);
    expect(param).toBe("prompt[1]");
    expect(message).toContain("However, your prompt[1] resulted in 9 tokens. Please reduce");
    expect((await ask(["long"])).param).toBe("prompt");
    expect((await ask([[1], []])).param).toBe("prompt[1]");
  });

  const meanings: { body: object; request: object }[] = [
    { body: { max_tokens: 0 }, request: { maxTokens: 0 } },
    { body: { max_completion_tokens: 3, max_tokens: 5 }, request: { maxTokens: 3 } },
    { body: { max_tokens: -1 }, request: { maxTokens: null } },
    { body: { n_predict: 3 }, request: { maxTokens: 3 } },
    { body: { logprobs: 3 }, request: { logprobs: 3, promptLogprobs: false } },
    { body: { logprobs: 0, echo: true }, request: { logprobs: 0, promptLogprobs: true } },
    { body: { echo: true }, request: { logprobs: null, promptLogprobs: false } },
    { body: { echo: true, prompt: [1] }, request: { logprobs: 0, promptLogprobs: true } },
    { body: { best_of: 4, n: 2 }, request: { choices: 4, logprobs: 0 } },
    { body: { best_of: 1 }, request: { choices: 1, logprobs: null } },
    { body: { suffix: "" }, request: { input: { prompt: { kind: "text" } } } },
    {
      body: { suffix: "S" },
      request: { input: { prompt: { kind: "infill", prefix: "P", suffix: "S" } } },
    },
    {
      body: { grammar: "root ::= [a]" },
      request: { input: { format: { kind: "grammar", gbnf: "root ::= [a]" } } },
    },
    {
      body: { json_schema: { type: "boolean" } },
      request: { input: { format: { kind: "json", schema: { type: "boolean" }, strict: false } } },
    },
    { body: { messages: "x", tools: 5 }, request: { maxTokens: 16 } },
  ];
  test.each(meanings)("$body means the same in our words", async ({ body, request }) => {
    expect((await requestsOf(body))[0]).toMatchObject(request);
  });

  test("a prompt beyond the context names the field", async () => {
    const generate: Generate = async function* () {
      yield* [];
      throw new LmError(
        "context_length_exceeded",
        { promptTokens: 20, contextLength: 10, param: null },
        "x",
      );
    };
    const response = await appWith({ generate }).handle(post(PATH, { prompt: "P" }));
    expect(await errorOf(response)).toMatchObject({
      param: "prompt",
      code: "context_length_exceeded",
      message: expect.stringContaining("your prompt resulted in 20 tokens"),
    });
  });
});

test("a response format is a field of chats and no more than unknown here", async () => {
  const formats: unknown[] = [];
  const generate: Generate = async function* (request, signal) {
    formats.push(request.input.kind === "prompt" ? request.input.format : null);
    yield* echoing(request, signal);
  };
  for (const response_format of [5, "json", { type: "json_object" }, { type: "nope" }]) {
    await complete({ prompt: "a", response_format }, generate);
  }
  expect(formats).toEqual(formats.map(() => ({ kind: "text" })));
});

describe("several prompts", () => {
  const prompt = Array.from({ length: 20 }, (_, index) => `p${index}`);

  test("index is promptIndex * n + i, and usage adds up", async () => {
    const body = await complete({ prompt, n: 2 }, echoing);
    expect(body.choices.map((choice) => `${choice.index}${choice.text}`)).toEqual(
      prompt.flatMap((name, at) => [`${2 * at}<${name}0>`, `${2 * at + 1}<${name}1>`]),
    );
    expect(body.usage).toMatchObject({ prompt_tokens: 60, completion_tokens: 80 });
  });

  test("the stream holds the same texts by index", async () => {
    const whole = await complete({ prompt, n: 2 }, echoing);
    const chunks = await stream({ prompt, n: 2 }, echoing);
    const texts = new Map<number, string>();
    for (const choice of chunks.flatMap(({ choices }) => choices)) {
      texts.set(choice.index, (texts.get(choice.index) ?? "") + choice.text);
    }
    expect(whole.choices.map(({ index }) => texts.get(index))).toEqual(
      whole.choices.map((choice) => choice.text),
    );
    const ends = chunks.flatMap(({ choices }) => choices).filter((c) => c.finish_reason !== null);
    expect(ends.map(({ index }) => index).sort((a, b) => a - b)).toEqual([...Array(40).keys()]);
    expect(ends.every((choice) => choice.text === "")).toBe(true);
  });

  test("prompts that the queue has no room for wait for others of their request", async () => {
    let running = 0;
    const names: string[] = [];
    const generate: Generate = async function* ({ input }) {
      if (running === 2) {
        const details = { queued: 0, limit: 0, retryAfterMs: 1 };
        throw new LmError("queue_full", details, "The model's queue is full.");
      }
      running += 1;
      try {
        await Bun.sleep(1);
        yield started();
        yield text("x");
        yield finished();
        yield done;
        if (input.kind === "prompt" && input.prompt.kind === "text") names.push(input.prompt.text);
      } finally {
        running -= 1;
      }
    };
    const body = await complete({ prompt }, generate);
    expect(body.choices).toHaveLength(prompt.length);
    expect(names.toSorted()).toEqual(prompt.toSorted());
    running = 2;
    const refused = await appWith({ generate }).handle(post(PATH, { prompt }));
    expect(refused.status).toBe(503);
  });

  test("a prompt that has to wait its turn is checked before anything begins", async () => {
    const checked: unknown[] = [];
    let begun = 0;
    const generate: Generate = async function* (request, signal) {
      begun += 1;
      yield* echoing(request, signal);
    };
    const refusal = new LmError(
      "invalid_request",
      { param: "prompt[3]", reason: "invalid_value" },
      "No.",
    );
    const checkPrompts: CheckPrompts = async function* (requests) {
      yield assigned;
      checked.push(...requests.map(({ input }) => input));
      if (checked.length > 12) throw refusal;
    };
    const app = appWith({ generate, deps: { checkPrompts } });
    const ask = () => app.handle(post(PATH, { prompt, stream: true }));
    expect((await ask()).status).toBe(200);
    expect(checked).toHaveLength(12);
    expect(checked[0]).toMatchObject({ prompt: { text: "p8" } });
    begun = 0;
    const refused = await ask();
    expect([refused.status, (await errorOf(refused)).param]).toEqual([400, "prompt[11]"]);
    expect(begun).toBe(0);
  });

  test("a prompt that the queue has no room for is checked before a stream begins", async () => {
    const checked: unknown[] = [];
    let running = 0;
    const generate: Generate = async function* (request, signal) {
      if (running === 2) {
        const details = { queued: 1, limit: 1, retryAfterMs: 1 };
        throw new LmError("queue_full", details, "The model's queue is full.");
      }
      running += 1;
      try {
        yield* echoing(request, signal);
      } finally {
        running -= 1;
      }
    };
    const checkPrompts: CheckPrompts = async function* (requests) {
      yield assigned;
      checked.push(...requests.map(({ input }) => input.kind === "prompt" && input.prompt));
      const details = { promptTokens: 20, contextLength: 10, param: "prompt[0]" };
      throw new LmError("context_length_exceeded", details, "Too long.");
    };
    const app = appWith({ generate, deps: { checkPrompts } });
    const answer = await app.handle(post(PATH, { prompt: ["hi", "ho", "long"], stream: true }));
    expect(answer.status).toBe(400);
    expect(await errorOf(answer)).toMatchObject({
      code: "context_length_exceeded",
      param: "prompt[2]",
    });
    expect(checked).toEqual([{ kind: "text", text: "long" }]);
  });

  test("a stream of many prompts begins when those have begun that run first", async () => {
    const told: string[] = [];
    const gate = Promise.withResolvers<void>();
    const generate: Generate = async function* ({ input }) {
      const name = input.kind === "prompt" && input.prompt.kind === "text" ? input.prompt.text : "";
      yield started();
      yield text(name);
      if (told.push(name) <= 8) await gate.promise;
      yield finished();
      yield done;
    };
    const response = await appWith({ generate }).handle(post(PATH, { prompt, stream: true }));
    const reader = defined(response.body, "it streams").getReader();
    const { value } = await reader.read();
    expect(new TextDecoder().decode(value)).toContain('"text":"p');
    expect(told.length).toBeLessThanOrEqual(8);
    gate.resolve();
    while (!(await reader.read()).done);
  });

  test("a stream waits for the refusal of any prompt before it commits its status", async () => {
    const gate = Promise.withResolvers<void>();
    const generate: Generate = async function* ({ input }, signal) {
      const name = input.kind === "prompt" && input.prompt.kind === "text" && input.prompt.text;
      if (name === "bad") {
        await gate.promise;
        const message = "Token 0 of 'prompt' is 9.";
        throw new LmError("invalid_request", { param: "prompt", reason: "invalid_value" }, message);
      }
      yield started();
      yield text("early");
      gate.resolve();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    };
    const response = await appWith({ generate }).handle(
      post(PATH, { prompt: ["a", "bad"], stream: true }),
    );
    expect(response.status).toBe(400);
    expect(await errorOf(response)).toMatchObject({
      param: "prompt[1]",
      message: "Token 0 of 'prompt[1]' is 9.",
    });
  });

  test("the failure of one ends the others", async () => {
    const running = new Set<string>();
    const generate: Generate = async function* ({ input }, signal) {
      const name = input.kind === "prompt" && input.prompt.kind === "text" && input.prompt.text;
      running.add(String(name));
      try {
        yield started();
        if (name === "bad") {
          throw new LmError("engine_crashed", { model: "m", cause: "x" }, "Crashed.");
        }
        if (signal.aborted) return;
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      } finally {
        running.delete(String(name));
      }
    };
    const response = await appWith({ generate }).handle(post(PATH, { prompt: ["a", "bad", "c"] }));
    expect(response.status).toBe(500);
    while (running.size > 0) await Bun.sleep(1);
  });
});

describe("echo", () => {
  const prompt = "The quick";
  const scored: GenerateEvent[] = [
    started(),
    {
      type: "promptLogprobs",
      tokens: [
        token("The"),
        token(
          " quick",
          [
            [" quick", -2.31],
            [" first", -2.9],
          ],
          -2.31,
        ),
      ],
    },
    text(" fox", 0, [token(" fox", [[" dog", -0.1]], -4)]),
    finished(),
    done,
  ];

  test("puts the prompt in front of each choice", async () => {
    const body = await complete({ prompt, echo: true, n: 2 }, echoing);
    expect(body.choices.map((choice) => choice.text)).toEqual([
      "The quick<The quick0>",
      "The quick<The quick1>",
    ]);
    const chunks = await stream({ prompt, echo: true }, echoing);
    expect(chunks[0]?.choices[0]?.text).toBe(prompt);
  });

  test("with logprobs scores the prompt, the first token excepted", async () => {
    const expected: LegacyLogprobs = {
      tokens: ["The", " quick", " fox"],
      token_logprobs: [null, -2.31, -4],
      top_logprobs: [null, { " quick": -2.31, " first": -2.9 }, { " dog": -0.1, " fox": -4 }],
      text_offset: [0, 3, 9],
    };
    const body = await complete({ prompt, echo: true, logprobs: 2 }, play(scored));
    expect(body.choices[0]).toMatchObject({ text: "The quick fox", logprobs: expected });
    const chunks = await stream({ prompt, echo: true, logprobs: 2 }, play(scored));
    const joined = chunks.flatMap(({ choices }) => choices[0]?.logprobs ?? []);
    expect(joined.flatMap(({ text_offset }) => text_offset)).toEqual(expected.text_offset);
    expect(joined.flatMap(({ token_logprobs }) => token_logprobs)).toEqual(expected.token_logprobs);
  });

  test("a BOS token in front of the prompt is not part of the text", async () => {
    const events = scored.map((event) =>
      event.type === "promptLogprobs"
        ? { ...event, tokens: [token("<s>"), ...event.tokens] }
        : event,
    );
    const body = await complete({ prompt, echo: true, logprobs: 0 }, play(events));
    expect(body.choices[0]?.logprobs?.tokens).toEqual(["The", " quick", " fox"]);
    expect(body.choices[0]?.logprobs?.text_offset).toEqual([0, 3, 9]);
  });

  test("of token ids is their text", async () => {
    const body = await complete({ prompt: [1, 2], echo: true }, play(scored));
    expect(body.choices[0]).toMatchObject({ text: "The quick fox", logprobs: null });
  });
});

test("text_offset counts code points, also where tokens split one", async () => {
  const emoji = [...new TextEncoder().encode("\u{1F600}")];
  const half = (bytes: number[]): TokenLogprob => ({ ...token("\uFFFD"), bytes });
  const events: GenerateEvent[] = [
    started(),
    text("\u{1F600}", 0, [half(emoji.slice(0, 2)), half(emoji.slice(2))]),
    text("e\u0301!", 0, [token("e\u0301"), token("!")]),
    finished(),
    done,
  ];
  const body = await complete({ logprobs: 1 }, play(events));
  expect(body.choices[0]?.logprobs?.text_offset).toEqual([0, 0, 1, 3]);
});

test("hidden tokens have entries without text, and a stream tells the last with the reason", async () => {
  const hidden = (value: string): TokenLogprob => ({ ...token(value), isHidden: true });
  const events: GenerateEvent[] = [
    started(),
    text("", 0, [hidden("<b>")]),
    text("hi", 0, [token("hi")]),
    text("", 0, [hidden("</s>")]),
    finished(),
    done,
  ];
  const body = await complete({ logprobs: 1 }, play(events));
  expect(body.choices[0]?.logprobs?.tokens).toEqual(["<b>", "hi", "</s>"]);
  expect(body.choices[0]?.logprobs?.text_offset).toEqual([0, 0, 2]);
  const chunks = await stream({ logprobs: 1 }, play(events));
  expect(chunks.map(({ choices: [choice] }) => [choice?.text, choice?.logprobs?.tokens])).toEqual([
    ["hi", ["<b>", "hi"]],
    ["", ["</s>"]],
  ]);
  expect(chunks.at(-1)?.choices[0]?.logprobs?.text_offset).toEqual([2]);
});

test("best_of returns the most probable answers, and usage counts all of them", async () => {
  const events: GenerateEvent[] = [
    started(),
    ...[0, 1, 2].map((choice) => text(`t${choice}`, choice, [token("t")])),
    ...[-3, -1, -2].map((meanLogprob, choice) => finished({ choice, meanLogprob })),
    { type: "done", timings },
  ];
  const body = await complete({ best_of: 3, n: 2 }, play(events));
  expect(body.choices.map((choice) => [choice.index, choice.text, choice.logprobs])).toEqual([
    [0, "t1", null],
    [1, "t2", null],
  ]);
  expect(body.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 6 });
});

test("a stream ends with an empty text and the reason, then the usage when asked", async () => {
  const generate = play([started(), text(" jumps"), finished({ reason: "length" }), done]);
  const chunks = await stream({ stream_options: { include_usage: true } }, generate);
  expect(chunks.map(({ choices, usage }) => ({ choices, usage }))).toMatchObject([
    { choices: [{ index: 0, text: " jumps", logprobs: null, finish_reason: null }], usage: null },
    { choices: [{ index: 0, text: "", logprobs: null, finish_reason: "length" }], usage: null },
    { choices: [], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } },
  ]);
  const bare = await stream({}, generate);
  expect(bare.every((chunk) => !("usage" in chunk))).toBe(true);
});
