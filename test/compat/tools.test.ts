import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import type {
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionFunctionTool,
  ChatCompletionMessageParam,
} from "openai/resources/chat/completions";
import { type TestServer, startServer } from "../support/server.ts";

/** Tools as the official client sees them, on the product with the built-in model. */

let server: TestServer;
let client: OpenAI;

beforeAll(async () => {
  server = await startServer();
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", maxRetries: 0 });
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

const user = (content: string): ChatCompletionMessageParam => ({ role: "user", content });
const cityTool = (name: string): ChatCompletionFunctionTool => ({
  type: "function",
  function: {
    name,
    parameters: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    },
  },
});
const weather = cityTool("get_weather");
const time = cityTool("get_time");
const inParis = user("What is the weather in Paris?");

type Body = Partial<Omit<ChatCompletionCreateParamsNonStreaming, "stream">>;

/** The only choice of a greedy answer. */
async function answer(body: Body) {
  const completion = await client.chat.completions.create({
    model: "demo",
    messages: [inParis],
    tools: [weather, time],
    temperature: 0,
    ...body,
  });
  const [choice] = completion.choices;
  return { ...choice!, usage: completion.usage! };
}

/** The same request, streamed and put together by the client's own helper. */
async function streamed(body: Body) {
  const stream = client.chat.completions.stream({
    model: "demo",
    messages: [inParis],
    tools: [weather, time],
    temperature: 0,
    ...body,
  });
  const [choice] = (await stream.finalChatCompletion()).choices;
  return choice!;
}

interface WithCalls {
  message: { tool_calls?: readonly object[] };
}

const functionsOf = ({ message }: WithCalls): { name: string; arguments: string }[] =>
  (message.tool_calls ?? []).map((call) => {
    if (!("function" in call)) throw new Error("a call that is not of a function");
    return call.function as { name: string; arguments: string };
  });

const callsOf = (choice: WithCalls): { name: string; city: unknown }[] =>
  functionsOf(choice).map(({ name, arguments: text }) => ({
    name,
    city: (JSON.parse(text) as { city: unknown }).city,
  }));

describe("the client's tool runner completes a weather conversation in two steps", () => {
  const runnable = (asked: string[]) => ({
    type: "function" as const,
    function: {
      name: "get_weather",
      description: "The weather in a city.",
      parameters: weather.function.parameters!,
      parse: (text: string) => JSON.parse(text) as { city: string },
      function({ city }: { city: string }) {
        asked.push(city);
        return "sunny, 21 degrees";
      },
    },
  });
  const expectAnswer = (text: string | null, asked: string[]): void => {
    expect(asked).toEqual(["Paris"]);
    expect(text).toContain("Paris");
    expect(text).toContain("sunny");
  };

  test("at once", async () => {
    const asked: string[] = [];
    const runner = client.chat.completions.runTools({
      model: "demo",
      messages: [inParis],
      tools: [runnable(asked)],
      temperature: 0,
    });
    expectAnswer(await runner.finalContent(), asked);
    expect(runner.messages.map(({ role }) => role)).toEqual([
      "user",
      "assistant",
      "tool",
      "assistant",
    ]);
  });

  test("streamed", async () => {
    const asked: string[] = [];
    const runner = client.chat.completions.runTools({
      model: "demo",
      messages: [inParis],
      tools: [runnable(asked)],
      temperature: 0,
      stream: true,
    });
    const pieces: string[] = [];
    runner.on("content", (piece) => pieces.push(piece));
    const text = await runner.finalContent();
    expectAnswer(text, asked);
    expect(pieces.join("")).toBe(text!);
  });
});

describe("calls", () => {
  test("have an id, a name and JSON arguments, streamed as at once", async () => {
    const whole = await answer({});
    expect(callsOf(whole)).toEqual([{ name: "get_weather", city: "Paris" }]);
    expect(whole.message.content).toBeNull();
    expect(whole.finish_reason).toBe("tool_calls");
    expect(whole.message.tool_calls![0]!.id).toMatch(/^call_[A-Za-z0-9]{24}$/);
    const parts = await streamed({});
    expect(callsOf(parts)).toEqual(callsOf(whole));
    expect(parts.finish_reason).toBe("tool_calls");
  });

  test("come two at a time, each with its own id", async () => {
    const both = { messages: [user("What is the weather in Paris and London?")] };
    for (const choice of [await answer(both), await streamed(both)]) {
      expect(callsOf(choice)).toEqual([
        { name: "get_weather", city: "Paris" },
        { name: "get_weather", city: "London" },
      ]);
      expect(new Set(choice.message.tool_calls!.map(({ id }) => id)).size).toBe(2);
    }
  });

  test("come one at a time when only one is allowed", async () => {
    const one = {
      messages: [user("What is the weather in Paris and London?")],
      parallel_tool_calls: false,
    };
    for (const choice of [await answer(one), await streamed(one)]) {
      expect(callsOf(choice)).toEqual([{ name: "get_weather", city: "Paris" }]);
    }
    const forced = await answer({ ...one, tool_choice: "required" });
    expect(callsOf(forced)).toHaveLength(1);
  });

  test("stay in their own choice", async () => {
    const completion = await client.chat.completions.create({
      model: "demo",
      messages: [inParis],
      tools: [weather],
      tool_choice: "required",
      n: 3,
      seed: 7,
    });
    for (const choice of completion.choices) {
      expect(callsOf(choice)[0]!.name).toBe("get_weather");
      expect(choice.finish_reason).toBe("tool_calls");
    }
  });

  test("of a tool without parameters have the arguments {}", async () => {
    const now: ChatCompletionFunctionTool = { type: "function", function: { name: "now" } };
    const body: Body = { tools: [now], tool_choice: "required", parallel_tool_calls: false };
    for (const choice of [await answer(body), await streamed(body)]) {
      expect(functionsOf(choice)).toMatchObject([{ name: "now" }]);
      expect(JSON.parse(functionsOf(choice)[0]!.arguments)).toEqual({});
    }
  });

  test("that the token limit cuts end with length and are returned as far as they went", async () => {
    for (const choice of [await answer({ max_tokens: 16 }), await streamed({ max_tokens: 16 })]) {
      expect(choice.finish_reason).toBe("length");
      const [call] = functionsOf(choice);
      expect(call!.name).toBe("get_weather");
      expect('{"city": "Paris"}').toStartWith(call!.arguments);
      expect(call!.arguments).not.toEndWith("}");
    }
  });

  test("cut anywhere are either told or content, streamed as at once", async () => {
    const messages = [user("What is the weather in Paris and in Rome?")];
    for (let limit = 1; limit <= 52; limit += 3) {
      const body = { messages, max_tokens: limit, logprobs: true };
      const [whole, parts] = [await answer(body), await streamed(body)];
      expect(functionsOf(parts)).toEqual(functionsOf(whole));
      expect(parts.message.content).toBe(whole.message.content);
      expect(functionsOf(whole).length > 0).toBe(whole.message.content === null);
      const tokens = whole.logprobs!.content!.map(({ token }) => token);
      expect(tokens.join("")).toBe(whole.message.content ?? "");
      expect((parts.logprobs?.content ?? []).map(({ token }) => token)).toEqual(tokens);
    }
  });

  test("that a stop string cuts end before it, and do not count as whole", async () => {
    const choice = await answer({ stop: "ari" });
    expect(choice.finish_reason).toBe("stop");
    expect(functionsOf(choice)).toMatchObject([{ name: "get_weather", arguments: '{"city": "P' }]);
  });
});

describe("the choice of tools", () => {
  const named = (name: string) => ({ type: "function" as const, function: { name } });

  test("required calls a tool where the model would not", async () => {
    const messages = [user("What is the capital of France?")];
    expect((await answer({ messages })).message.content).toBe("The capital of France is Paris.");
    const body: Body = { messages, tool_choice: "required", max_tokens: 200 };
    const greedy = await answer(body);
    expect(greedy.finish_reason).toBe("tool_calls");
    for (const choice of [greedy, await answer({ ...body, temperature: 2, seed: 5 })]) {
      expect(functionsOf(choice).length).toBeGreaterThan(0);
      for (const { name } of functionsOf(choice)) {
        expect(["get_weather", "get_time"]).toContain(name);
      }
    }
  });

  test("a named tool is called once, and no other", async () => {
    for (const name of ["get_time", "get_weather"]) {
      const choice = await answer({ tool_choice: named(name) });
      expect(callsOf(choice)).toEqual([{ name, city: "Paris" }]);
    }
  });

  test("none shows no tools and calls none", async () => {
    const choice = await answer({ tool_choice: "none" });
    expect(choice.message).not.toHaveProperty("tool_calls");
    expect(choice.finish_reason).toBe("stop");
    const without = await answer({ tools: [] });
    expect(choice.usage.prompt_tokens).toBe(without.usage.prompt_tokens);
  });

  test.each(["auto", "required"] as const)("allowed tools, %s, limit the calls", async (mode) => {
    const choice = await answer({
      tool_choice: {
        type: "allowed_tools",
        allowed_tools: { mode, tools: [named("get_time")] },
      },
    });
    for (const { name } of callsOf(choice)) expect(name).toBe("get_time");
    const all = await answer({});
    expect(choice.usage.prompt_tokens).toBe(all.usage.prompt_tokens);
  });

  test("strict tools with what no grammar enforces are refused by name", async () => {
    const odd = structuredClone(weather);
    odd.function.strict = true;
    odd.function.parameters = {
      type: "object",
      properties: { a: { type: "string", not: { minLength: 5 } } },
    };
    const error = await answer({ tools: [odd] }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      status: 400,
      code: "invalid_json_schema",
      param: "tools[0].function.parameters",
    });
    expect(String(error)).toContain("/properties/a/not");
  });
});

describe("log probabilities beside tools", () => {
  test("are of the text alone, and the same when streamed", async () => {
    const hello = { messages: [user("Hello")], logprobs: true, top_logprobs: 2 };
    const whole = await answer(hello);
    const tokens = whole.logprobs!.content!;
    expect(tokens.map(({ token }) => token).join("")).toBe(whole.message.content!);
    const cut = await answer({ ...hello, max_tokens: 3 });
    expect(cut.message.content).toEndWith(" ");
    expect(cut.logprobs!.content).toHaveLength(3);
    const parts = await streamed(hello);
    expect(parts.logprobs!.content!.map(({ token }) => token)).toEqual(
      tokens.map(({ token }) => token),
    );
  });

  test("of calls are left out, and refuse nothing", async () => {
    const scored = { logprobs: true, top_logprobs: 2 };
    expect((await answer(scored)).logprobs!.content).toEqual([]);
    expect(callsOf(await streamed(scored))).toEqual([{ name: "get_weather", city: "Paris" }]);
  });
});
