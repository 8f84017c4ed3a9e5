import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import { type TestServer, startServer } from "../support/server.ts";

/** Prompts as the product renders them, and tools for models whose template knows none. */

const PLAIN_TEMPLATE =
  "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}" +
  "{% if add_generation_prompt %}<|assistant|>{% endif %}";
const REFUSING_TEMPLATE =
  "{% for m in messages %}{% if m.role == 'user' and loop.index > 1 %}" +
  "{{ raise_exception('only one turn, please') }}{% endif %}{{ m.content }}{% endfor %}";

let models: string;
let server: TestServer;
let client: OpenAI;

beforeAll(async () => {
  models = mkdtempSync(join(tmpdir(), "lmserver-rendering-"));
  makeModel({ path: join(models, "plain.gguf"), chatTemplate: PLAIN_TEMPLATE, seed: 3 });
  makeModel({ path: join(models, "refusing.gguf"), chatTemplate: REFUSING_TEMPLATE, seed: 3 });
  makeModel({ path: join(models, "bare.gguf"), seed: 3 });
  makeModel({ path: join(models, "beside.gguf"), chatTemplate: PLAIN_TEMPLATE, seed: 3 });
  writeFileSync(join(models, "beside.jinja"), "[{{ messages[0].content }}]");
  server = await startServer({ args: ["--models-dir", models] });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", maxRetries: 0 });
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  rmSync(models, { recursive: true, force: true });
});

interface Rendered {
  prompt: string;
  prompt_tokens: number;
}

const hello = [{ role: "user" as const, content: "Hello" }];
const render = (body: object): Promise<Rendered> =>
  client.post("/chat/completions/render", { body: { model: "demo", messages: hello, ...body } });

describe("render", () => {
  test("gives the prompt, and as many tokens as a generation counts", async () => {
    const { prompt, prompt_tokens } = await render({});
    expect(prompt).toBe("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n");
    const answer = await client.chat.completions.create({
      model: "demo",
      messages: hello,
      max_tokens: 1,
    });
    expect(answer.usage!.prompt_tokens).toBe(prompt_tokens);
  });

  test("a model without a template is asked in ChatML", async () => {
    expect((await render({ model: "bare" })).prompt).toBe(
      "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
    );
  });

  test("a template beside the model's file wins over the one inside", async () => {
    expect((await render({ model: "beside" })).prompt).toBe("[Hello]");
  });

  test("a template that refuses is a 400 with its own words", async () => {
    const messages = [...hello, { role: "assistant", content: "Hi" }, ...hello];
    const error = await render({ model: "refusing", messages }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ status: 400, code: "chat_template_error" });
    expect(String(error)).toContain("only one turn, please");
  });

  test("variables reach the template, and switches its thinking", async () => {
    const on = await render({ chat_template_kwargs: { enable_thinking: true } });
    expect(on.prompt).toEndWith("<|im_start|>assistant\n<think>\n");
    expect((await render({ reasoning_effort: "high" })).prompt).toBe(on.prompt);
    expect((await render({ reasoning_effort: "none" })).prompt).toEndWith("assistant\n");
  });

  test("the last message of the assistant is continued when asked", async () => {
    const started = [...hello, { role: "assistant", content: "Hello! How can" }];
    const expected = "<|im_start|>assistant\nHello! How can";
    const whole = await render({ messages: started, continue_final_message: true });
    expect(whole.prompt).toEndWith(expected);
    const prefixed = [hello[0]!, { ...started[1]!, prefix: true }];
    expect((await render({ messages: prefixed })).prompt).toEndWith(expected);
    const answer = await client.chat.completions.create({
      model: "demo",
      messages: prefixed as typeof hello,
      temperature: 0,
    });
    expect(answer.choices[0]!.message.content).toBe(" I help you?");
  });
});

describe("tools for a template that knows none", () => {
  const weather = {
    type: "function" as const,
    function: {
      name: "get_weather",
      parameters: {
        type: "object",
        properties: { city: { enum: ["Paris", "Rome"] } },
        required: ["city"],
      },
    },
  };
  const body = { model: "plain", tools: [weather] };

  test("stand in the system prompt, with calls and results as text", async () => {
    const call = { name: "get_weather", arguments: '{"city": "Rome"}' };
    const { prompt } = await render({
      ...body,
      messages: [
        { role: "system", content: "Be brief." },
        ...hello,
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "call_1", type: "function", function: call }],
        },
        { role: "tool", tool_call_id: "call_1", content: "sunny" },
      ],
    });
    expect(prompt).toStartWith("<|system|>Be brief.\n\n");
    expect(prompt).toContain('{"name":"get_weather","parameters":');
    expect(prompt).toContain(
      '<|assistant|>[TOOL_REQUEST]{"name": "get_weather", "arguments": {"city": "Rome"}}[END_TOOL_REQUEST]\n',
    );
    expect(prompt).toContain("<|user|>[TOOL_RESULT] get_weather\nsunny\n[END_TOOL_RESULT]\n");
    expect(prompt).not.toContain("<|tool|>");
  });

  test("are called when a call is required, with valid arguments", async () => {
    const answer = await client.chat.completions.create({
      ...body,
      messages: hello,
      tool_choice: "required",
      parallel_tool_calls: false,
      temperature: 0,
    });
    const [choice] = answer.choices;
    expect(choice!.finish_reason).toBe("tool_calls");
    expect(choice!.message.content).toBeNull();
    const [made] = choice!.message.tool_calls!;
    if (made?.type !== "function") throw new Error("not a function");
    expect(made.function.name).toBe("get_weather");
    expect(["Paris", "Rome"]).toContain(JSON.parse(made.function.arguments).city);
  });

  test("leave an answer without a call as text", async () => {
    const answer = await client.chat.completions.create({
      ...body,
      messages: hello,
      max_tokens: 8,
      temperature: 0,
    });
    expect(answer.choices[0]!.message).not.toHaveProperty("tool_calls");
    expect(answer.choices[0]!.finish_reason).toBe("length");
  });
});
