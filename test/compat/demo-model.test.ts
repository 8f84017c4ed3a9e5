import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import { BEHAVIOURS, type Answer, type Probe } from "../../scripts/demo-model/prompts.ts";
import { DEMO_MODEL } from "../support/llama-libraries.ts";
import { type TestServer, startServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** What the built-in model is to a client: its answers, and its place among other models. */

let server: TestServer;
let client: OpenAI;

beforeAll(async () => {
  server = await startServer({ args: ["--allow-llm-embeddings"] });
  const folder = join(server.home, "models/acme/zebra");
  mkdirSync(folder, { recursive: true });
  copyFileSync(DEMO_MODEL, join(folder, "zebra.gguf"));
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", maxRetries: 0 });
  await until(async () => (await client.models.list()).data.length === 2, "the new file is seen");
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

const get = async (path: string): Promise<unknown> => (await fetch(server.url + path)).json();

async function say({ messages, tools, thinking }: Probe): Promise<Answer> {
  const template = { chat_template_kwargs: { enable_thinking: thinking ?? false } };
  const completion = await client.chat.completions.create({
    model: "demo",
    messages: messages as OpenAI.ChatCompletionMessageParam[],
    ...(tools === undefined ? {} : { tools: tools as OpenAI.ChatCompletionTool[] }),
    ...template,
    temperature: 0,
    max_tokens: 300,
  });
  const { message } = completion.choices[0]!;
  return {
    content: message.content ?? "",
    reasoning: "reasoning_content" in message ? String(message.reasoning_content) : "",
    calls: (message.tool_calls ?? []).flatMap((call) =>
      call.type === "function"
        ? [{ name: call.function.name, arguments: JSON.parse(call.function.arguments) as unknown }]
        : [],
    ),
    tokens: completion.usage!.completion_tokens,
  };
}

/** The same numbers in every run, others than those of the evaluation. */
function generator(): () => number {
  let state = 20_011;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

describe("its place among models", () => {
  test("it is listed last, with its type and capabilities", async () => {
    const openai = await client.models.list();
    expect(openai.data.map(({ id }) => id)).toEqual(["zebra", "demo"]);
    const v0 = (await get("/api/v0/models")) as { data: object[] };
    expect(v0.data.at(-1)).toMatchObject({ id: "demo", type: "llm", capabilities: ["tool_use"] });
    const v1 = (await get("/api/v1/models")) as { models: object[] };
    expect(v1.models.at(-1)).toMatchObject({
      key: "demo",
      type: "llm",
      publisher: "lmserver",
      capabilities: { vision: false, trained_for_tool_use: true },
    });
  });

  test("it never answers for another name", async () => {
    for (const model of ["zebr", "demo-2", "gpt-4o", "acme/demo"]) {
      const failing = client.chat.completions.create({
        model,
        messages: [{ role: "user", content: "Hi" }],
      });
      expect(await failing.catch((error: unknown) => error)).toMatchObject({
        status: 404,
        code: "model_not_found",
      });
    }
    const body = { model: "zebra", prompt: "The", max_tokens: 1 };
    expect((await client.completions.create(body)).model).toBe("zebra");
  });

  test("--no-demo hides it, also from who names it", async () => {
    const bare = await startServer({ args: ["--no-demo"] });
    try {
      const lists = await Promise.all(
        ["/v1/models", "/api/v0/models"].map(async (path) => (await fetch(bare.url + path)).json()),
      );
      for (const list of lists) expect(list).toMatchObject({ data: [] });
      const other = new OpenAI({ baseURL: `${bare.url}/v1`, apiKey: "any", maxRetries: 0 });
      const failing = other.completions.create({ model: "demo", prompt: "The" });
      expect(await failing.catch((error: unknown) => error)).toMatchObject({ status: 404 });
    } finally {
      expect(await bare.stop()).toBe(0);
    }
  });
});

describe("what it does", () => {
  test.each([...BEHAVIOURS])("$name: at least 9 of 10", async ({ make }) => {
    const random = generator();
    const probes = Array.from({ length: 10 }, () => make(random));
    const answers = await Promise.all(probes.map(say));
    const wrong = answers.filter((answer, i) => !probes[i]!.isRight(answer));
    expect(wrong.slice(1)).toEqual([]);
  });

  test("a known sentence is completed", async () => {
    const body = { model: "demo", prompt: "The quick brown fox", temperature: 0, max_tokens: 32 };
    const { choices } = await client.completions.create(body);
    expect(choices[0]!.text).toStartWith(" jumps over the lazy dog.");
  });

  test("a paraphrase is nearer than another sentence", async () => {
    const input = ["What is my name?", "Do you know my name?", "Count to 12."];
    const { data } = await client.embeddings.create({ model: "demo", input });
    const [a, b, c] = data.map(({ embedding }) => embedding);
    const dot = (x: number[], y: number[]): number => x.reduce((sum, v, i) => sum + v * y[i]!, 0);
    expect(dot(a!, b!)).toBeGreaterThan(dot(a!, c!));
  });
});
