import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import OpenAI, { APIUserAbortError, BadRequestError, NotFoundError } from "openai";
import { type TestServer, startServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** The official client against the product, with the built-in model. */

let server: TestServer;
let client: OpenAI;

beforeAll(async () => {
  server = await startServer({ args: ["--allow-llm-embeddings"] });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", maxRetries: 0 });
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

const hello = [{ role: "user" as const, content: "Hello" }];
const greeting = "Hello! How can I help you?";

describe("chat completions", () => {
  test("an answer has text, a finish reason and exact usage", async () => {
    const { data: answer, request_id } = await client.chat.completions
      .create({ model: "demo", messages: hello, temperature: 0 })
      .withResponse();
    const [choice] = answer.choices;
    expect(choice?.message.content).toBe(greeting);
    expect(choice?.finish_reason).toBe("stop");
    expect(answer.model).toBe("demo");
    expect(answer.usage!.total_tokens).toBe(
      answer.usage!.prompt_tokens + answer.usage!.completion_tokens,
    );
    expect(request_id).toMatch(/^req_[0-9a-f]{32}$/);
  });

  test("the stream helper collects the same text and the same usage", async () => {
    const body = { model: "demo", messages: hello, temperature: 0 };
    const whole = await client.chat.completions.create(body);
    const stream = client.chat.completions.stream({
      ...body,
      stream_options: { include_usage: true },
    });
    const pieces: string[] = [];
    stream.on("content", (piece) => pieces.push(piece));
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]?.message.content).toBe(whole.choices[0]?.message.content);
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.join("")).toBe(greeting);
    expect(final.usage?.completion_tokens).toBe(whole.usage!.completion_tokens);
  });

  test("several choices come in order and differ only by their seed", async () => {
    const body = {
      model: "demo",
      messages: [{ role: "user" as const, content: "Tell me a story." }],
      n: 3,
      seed: 11,
      temperature: 1,
      max_tokens: 24,
      // A stored prefix is computed in other batches, and sums of floats depend on them.
      cache_prompt: false,
    };
    const first = await client.chat.completions.create(body);
    const second = await client.chat.completions.create(body);
    expect(first.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(first.choices.map(({ message }) => message.content)).toEqual(
      second.choices.map(({ message }) => message.content),
    );
    expect(new Set(first.choices.map(({ message }) => message.content)).size).toBeGreaterThan(1);
    expect(first.usage!.completion_tokens).toBeGreaterThan(3);
  });

  test("log probabilities cover the answer's tokens", async () => {
    const answer = await client.chat.completions.create({
      model: "demo",
      messages: hello,
      temperature: 0,
      logprobs: true,
      top_logprobs: 3,
    });
    const content = answer.choices[0]!.logprobs!.content!;
    expect(content.map(({ token }) => token).join("")).toBe(greeting);
    for (const entry of content) {
      expect(entry.top_logprobs).toHaveLength(3);
      expect(entry.top_logprobs[0]!.logprob).toBeCloseTo(entry.logprob, 5);
    }
  });

  test("one token is one token, and the reason is length", async () => {
    const answer = await client.chat.completions.create({
      model: "demo",
      messages: hello,
      max_tokens: 1,
    });
    expect(answer.usage!.completion_tokens).toBe(1);
    expect(answer.choices[0]!.finish_reason).toBe("length");
  });

  test("aborting a stream raises the client's own abort error and frees the slot", async () => {
    const stream = await client.chat.completions.create({
      model: "demo",
      messages: [{ role: "user", content: "Tell me a story." }],
      stream: true,
      logit_bias: {},
      max_tokens: 1500,
    });
    const reading = (async () => {
      for await (const chunk of stream)
        if (chunk.choices[0]?.delta.content) stream.controller.abort();
    })();
    await reading.catch((error: unknown) => expect(error).toBeInstanceOf(APIUserAbortError));
    await until(async () => {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      return /^lmserver_requests_running(\{[^}]*\})? 0$/m.test(text);
    }, "the slot is free");
  });
});

describe("errors", () => {
  test("an unknown model is a NotFoundError that lists the models", async () => {
    const failing = client.chat.completions.create({ model: "nope", messages: hello });
    const error = await failing.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: "model_not_found", param: "model" });
    expect((error as Error).message).toContain("demo");
  });

  test("a prompt beyond the context is a BadRequestError with both numbers", async () => {
    const content = "word ".repeat(6000);
    const failing = client.chat.completions.create({
      model: "demo",
      messages: [{ role: "user", content }],
      stream: true,
    });
    const error = await failing.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ code: "context_length_exceeded", param: "messages" });
    expect((error as Error).message).toMatch(/maximum context length is \d+ tokens.*\d+ tokens/);
  });

  test("a wrong type names the field", async () => {
    const failing = client.chat.completions.create({
      model: "demo",
      messages: hello,
      temperature: "hot" as unknown as number,
    });
    const error = await failing.catch((caught: unknown) => caught);
    expect(error).toMatchObject({ status: 400, code: "invalid_type", param: "temperature" });
  });
});

describe("completions", () => {
  test("text is continued, whole and streamed alike", async () => {
    const body = { model: "demo", prompt: "The quick brown fox", temperature: 0, max_tokens: 8 };
    const whole = await client.completions.create(body);
    expect(whole.choices[0]!.text).toContain("jumps over");
    let streamed = "";
    for await (const chunk of await client.completions.create({ ...body, stream: true })) {
      streamed += chunk.choices[0]?.text ?? "";
    }
    expect(streamed).toBe(whole.choices[0]!.text);
  });

  test("several prompts answer in order", async () => {
    const answer = await client.completions.create({
      model: "demo",
      prompt: ["The quick brown fox", "The quick brown"],
      temperature: 0,
      max_tokens: 4,
    });
    expect(answer.choices.map(({ index }) => index)).toEqual([0, 1]);
  });

  test("echo with log probabilities scores the prompt", async () => {
    const answer = await client.completions.create({
      model: "demo",
      prompt: "The quick brown fox",
      echo: true,
      logprobs: 2,
      max_tokens: 0,
      temperature: 0,
    });
    const choice = answer.choices[0]!;
    expect(choice.text).toBe("The quick brown fox");
    expect(choice.logprobs!.token_logprobs![0]).toBeNull();
    expect(choice.logprobs!.tokens!.join("")).toBe(choice.text);
  });
});

describe("log probabilities of a completion", () => {
  const tokensOf = ({ choices: [choice] }: OpenAI.Completion): string[] =>
    choice?.logprobs?.tokens ?? [];

  test("count as usage does, with the end token, whole and streamed", async () => {
    const body = { model: "demo", prompt: "Say hi", logprobs: 1, temperature: 0, max_tokens: 64 };
    const whole = await client.completions.create(body);
    expect(whole.choices[0]?.finish_reason).toBe("stop");
    expect(tokensOf(whole)).toHaveLength(whole.usage!.completion_tokens);
    const streamed: string[] = [];
    for await (const chunk of await client.completions.create({ ...body, stream: true })) {
      streamed.push(...tokensOf(chunk));
    }
    expect(streamed).toEqual(tokensOf(whole));
  });

  test("have one entry behind the prompt's when one token is asked for", async () => {
    const echo = { model: "demo", prompt: "Say hi", echo: true, logprobs: 1, temperature: 0 };
    const prompt = tokensOf(await client.completions.create({ ...echo, max_tokens: 0 }));
    const more = tokensOf(await client.completions.create({ ...echo, max_tokens: 1 }));
    expect(more.slice(0, -1)).toEqual(prompt);
  });
});

describe("embeddings and models", () => {
  test("the client's default encoding gives the same unit vectors as floats", async () => {
    const input = ["The capital of France is Paris.", "Two plus two is four."];
    const coded = await client.embeddings.create({ model: "demo", input });
    const plain = await client.embeddings.create({
      model: "demo",
      input,
      encoding_format: "float",
    });
    expect(coded.data.map(({ index }) => index)).toEqual([0, 1]);
    for (const [i, { embedding }] of coded.data.entries()) {
      expect(Math.hypot(...embedding)).toBeCloseTo(1, 4);
      const dot = embedding.reduce((sum, x, j) => sum + x * plain.data[i]!.embedding[j]!, 0);
      expect(dot).toBeGreaterThan(0.9999);
    }
    expect(coded.usage.prompt_tokens).toBeGreaterThan(4);
  });

  test("models are listed and retrieved", async () => {
    const models = await client.models.list();
    expect(models.data.map(({ id }) => id)).toContain("demo");
    expect((await client.models.retrieve("demo")).id).toBe("demo");
    const error = await client.models.retrieve("a/b").catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(NotFoundError);
  });
});
