import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import type { ChatCompletionCreateParamsNonStreaming } from "openai/resources/chat/completions";
import { DEMO_MODEL } from "../support/llama-libraries.ts";
import { type TestServer, startServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** The demo model's turns, with reasoning begun in each prompt. */
const OPEN_TEMPLATE = `{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
<think>
{% endif %}`;

/** Reasoning apart from the answer, its tokens, stops and scores, on the product. */

let server: TestServer;
let client: OpenAI;

beforeAll(async () => {
  server = await startServer();
  const folder = join(server.home, "models/acme/open");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "open.jinja"), OPEN_TEMPLATE);
  copyFileSync(DEMO_MODEL, join(folder, "open.gguf"));
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", maxRetries: 0 });
  await until(async () => (await client.models.list()).data.length === 2, "the new file is seen");
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

type Body = Partial<Omit<ChatCompletionCreateParamsNonStreaming, "stream">> &
  Readonly<Record<string, unknown>>;

const sum = [{ role: "user" as const, content: "What is 3 + 4?" }];

async function answer(body: Body) {
  const completion = await client.chat.completions.create({
    model: "demo",
    messages: sum,
    temperature: 0,
    ...body,
  });
  const { message, logprobs, finish_reason } = completion.choices[0]!;
  const { completion_tokens, completion_tokens_details } = completion.usage!;
  return {
    content: message.content ?? "",
    reasoning: "reasoning_content" in message ? String(message.reasoning_content) : "",
    calls: message.tool_calls ?? [],
    scored: (logprobs?.content ?? []).map(({ token }) => token).join(""),
    finish: finish_reason,
    tokens: completion_tokens,
    reasoningTokens: completion_tokens_details!.reasoning_tokens!,
  };
}

async function streamed(body: Body) {
  const parts = { content: "", reasoning: "", scored: "" };
  const stream = await client.chat.completions.create({
    model: "demo",
    messages: sum,
    temperature: 0,
    stream: true,
    ...body,
  });
  for await (const { choices } of stream) {
    const delta: Record<string, unknown> = { ...choices[0]?.delta };
    const reasoning = delta["reasoning_content"];
    if (typeof reasoning === "string") {
      expect(parts.content).toBe("");
      expect(reasoning).not.toBe("");
      parts.reasoning += reasoning;
    }
    parts.content += choices[0]?.delta.content ?? "";
    for (const { token } of choices[0]?.logprobs?.content ?? []) parts.scored += token;
  }
  return parts;
}

const thinking = { chat_template_kwargs: { enable_thinking: true } };

describe("reasoning", () => {
  const on: { name: string; body: Body }[] = [
    { name: "by the template's own switch", body: thinking },
    { name: "by an effort", body: { reasoning_effort: "high" } },
    { name: "by the short switch", body: { enable_thinking: true } },
    {
      name: "beside a variable that is null",
      body: { reasoning_effort: "low", chat_template_kwargs: { enable_thinking: null } },
    },
  ];
  test.each(on)("is switched on $name", async ({ body }) => {
    const { content, reasoning, tokens, reasoningTokens, finish } = await answer(body);
    expect(content).toBe("3 + 4 = 7.");
    expect(reasoning.length).toBeGreaterThan(0);
    expect(reasoning).not.toContain("think>");
    expect(reasoningTokens).toBeGreaterThan(0);
    expect(reasoningTokens).toBeLessThan(tokens);
    expect(finish).toBe("stop");
  });

  test("counts the same tokens each time, with and without scores", async () => {
    const { reasoningTokens } = await answer({ ...thinking, logprobs: true });
    for (let round = 0; round < 8; round++) {
      expect((await answer(thinking)).reasoningTokens).toBe(reasoningTokens);
    }
  });

  const off: { name: string; body: Body }[] = [
    { name: "by default", body: {} },
    { name: "with the effort none", body: { reasoning_effort: "none" } },
    {
      name: "by the template's own switch",
      body: { chat_template_kwargs: { enable_thinking: false } },
    },
    {
      name: "by the short switch, against an effort",
      body: { enable_thinking: false, reasoning_effort: "high" },
    },
    {
      name: "by the template's own switch, against an effort",
      body: { chat_template_kwargs: { enable_thinking: false }, reasoning_effort: "high" },
    },
    { name: "without a budget", body: { reasoning_budget_tokens: 0 } },
    {
      name: "without a budget, whatever else is sent",
      body: {
        reasoning_budget_tokens: 0,
        reasoning_effort: "high",
        enable_thinking: true,
        chat_template_kwargs: { enable_thinking: true },
      },
    },
  ];
  test.each(off)("is off $name", async ({ body }) => {
    const { content, reasoning, reasoningTokens } = await answer(body);
    expect(content).toBe("3 + 4 = 7.");
    expect(reasoning).toBe("");
    expect(reasoningTokens).toBe(0);
  });

  test("ends in the prompt that begins it when there is no budget", async () => {
    const open = { model: "open", messages: sum };
    expect((await answer(open)).reasoningTokens).toBeGreaterThan(0);
    const none = { ...open, reasoning_budget_tokens: 0 };
    expect(await answer(none)).toMatchObject({ reasoning: "", reasoningTokens: 0 });
    const rendered = await client.post<{ prompt: string }>("/chat/completions/render", {
      body: none,
    });
    expect(rendered.prompt).toEndWith("<think>\n\n</think>\n\n");
  });

  test("comes before the text when streamed, and both are the same", async () => {
    const whole = await answer(thinking);
    const parts = await streamed(thinking);
    expect(parts.reasoning).toBe(whole.reasoning);
    expect(parts.content).toBe(whole.content);
  });

  test("stays in the text when it is not to be split off", async () => {
    const { content, reasoning } = await answer({ ...thinking, reasoning_format: "none" });
    expect(reasoning).toBe("");
    expect(content).toContain("</think>");
    expect(content).toEndWith("3 + 4 = 7.");
  });

  test("ends at its budget, and the answer follows, streamed and not", async () => {
    const free = await answer(thinking);
    const limited = { ...thinking, reasoning_budget_tokens: 3, max_tokens: 60 };
    const { content, reasoning, reasoningTokens, tokens } = await answer(limited);
    expect(free.reasoningTokens).toBeGreaterThan(3);
    expect(reasoningTokens).toBe(3);
    expect(free.reasoning).toStartWith(reasoning);
    expect(content).toContain("3 + 4 = 7.");
    expect(tokens).toBeGreaterThan(3);
    const parts = await streamed(limited);
    expect(parts).toMatchObject({ content, reasoning });
  });

  test("that the limit cuts is reasoning all the same", async () => {
    const { content, reasoning, finish, tokens, reasoningTokens } = await answer({
      ...thinking,
      max_tokens: 4,
    });
    expect(content).toBe("");
    expect(reasoning.length).toBeGreaterThan(0);
    expect(finish).toBe("length");
    expect([tokens, reasoningTokens]).toEqual([4, 4]);
  });

  test("comes before a call", async () => {
    const parameters = { type: "object", properties: { city: { type: "string" } } };
    const tool = { type: "function" as const, function: { name: "get_weather", parameters } };
    const { reasoning, calls, finish } = await answer({
      ...thinking,
      messages: [{ role: "user", content: "What is the weather in Paris?" }],
      tools: [tool],
      tool_choice: "required",
      parallel_tool_calls: false,
    });
    expect(reasoning.length).toBeGreaterThan(0);
    expect(calls).toHaveLength(1);
    expect(finish).toBe("tool_calls");
  });
});

describe("stop strings", () => {
  test("end the answer inside the reasoning", async () => {
    const whole = await answer(thinking);
    const stop = whole.reasoning.slice(5, 9);
    const { content, reasoning, finish } = await answer({ ...thinking, stop });
    expect(content).toBe("");
    expect(whole.reasoning).toStartWith(reasoning.trimEnd());
    expect(reasoning).not.toContain(stop);
    expect(finish).toBe("stop");
  });

  test("end the answer inside the text, over tokens, streamed as at once", async () => {
    const cut = { content: "3 + 4", reasoning: "" };
    expect(await answer({ stop: [" = 7"] })).toMatchObject({ ...cut, finish: "stop" });
    expect(await streamed({ stop: [" = 7"] })).toMatchObject(cut);
    expect(await answer({ stop: ["3 "] })).toMatchObject({ content: "", finish: "stop" });
  });
});

describe("log probabilities", () => {
  test("are of the text alone, streamed as at once", async () => {
    const body = { ...thinking, logprobs: true, top_logprobs: 2 };
    const whole = await answer(body);
    expect(whole.scored.trimStart()).toBe("3 + 4 = 7.");
    expect((await streamed(body)).scored).toBe(whole.scored);
  });
});

describe("logit bias", () => {
  test("by text bans what would have been said", async () => {
    const { content } = await answer({ logit_bias: { "=": -100, " =": -100 }, max_tokens: 16 });
    expect(content).not.toBe("");
    expect(content).not.toContain("=");
  });

  test("by token id forces one token, which its text bans again", async () => {
    const forced = { logit_bias: { "300": 100 }, max_tokens: 4, logprobs: true };
    const { scored, tokens, finish } = await answer(forced);
    expect([tokens, finish]).toEqual([4, "length"]);
    const token = scored.slice(0, scored.length / 4);
    expect(token).not.toBe("");
    expect(scored).toBe(token.repeat(4));
    const banned = await answer({ ...forced, logit_bias: { "300": -100, [token]: -100 } });
    expect(banned.scored).not.toContain(token);
  });
});
