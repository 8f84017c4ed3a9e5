import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import Ajv2020 from "ajv/dist/2020";
import OpenAI from "openai";
import { LengthFinishReasonError } from "openai/core/error";
import { makeParseableResponseFormat } from "openai/lib/parser";
import type { ResponseFormatJSONSchema } from "openai/resources/shared";
import { type TestServer, startServer } from "../support/server.ts";

/** Answers held to JSON, schemas and grammars, on the product with the built-in model. */

let server: TestServer;
let client: OpenAI;

beforeAll(async () => {
  server = await startServer();
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", maxRetries: 0 });
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

const ask = (content: string) => [{ role: "user" as const, content }];
const base = {
  model: "demo",
  messages: ask("Give me a JSON object with name Nina and age 31."),
  temperature: 0,
};
const person = {
  type: "object",
  properties: { name: { type: "string", maxLength: 20 }, age: { type: "integer", minimum: 0 } },
  required: ["name", "age"],
  additionalProperties: false,
};
const format = (schema: object, strict = true): ResponseFormatJSONSchema => ({
  type: "json_schema",
  json_schema: { name: "answer", schema: { ...schema }, strict },
});
const isValid = (schema: object, text: string): boolean =>
  new Ajv2020({ strict: false }).compile(schema)(JSON.parse(text));

interface Reply {
  choices: {
    message: { content: string; tool_calls?: unknown[]; reasoning_content?: string };
    finish_reason: string;
    schema_issues?: string[];
  }[];
}

async function post(path: string, body: object): Promise<{ response: Response; text: string }> {
  const response = await fetch(`${server.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { response, text: await response.text() };
}
const chat = (body: object) => post("/v1/chat/completions", { ...base, ...body });
const replyOf = ({ text }: { text: string }) => (JSON.parse(text) as Reply).choices[0]!;
const errorOf = ({ text }: { text: string }): unknown =>
  (JSON.parse(text) as { error: unknown }).error;

describe("a JSON schema", () => {
  test("holds the answer, and the client parses it", async () => {
    const raw = await client.chat.completions.parse({ ...base, response_format: format(person) });
    expect(isValid(person, raw.choices[0]!.message.content!)).toBe(true);
    expect(raw.choices[0]!.message.parsed).toEqual({
      name: expect.any(String),
      age: expect.any(Number),
    });
  });

  test("holds the answer of a client's own parser", async () => {
    const response_format = makeParseableResponseFormat(
      format(person),
      (text) => (JSON.parse(text) as { age: number }).age,
    );
    const answer = await client.chat.completions.parse({ ...base, response_format });
    expect(answer.choices[0]!.message.parsed).toBeNumber();
  });

  test("holds a stream, which the client parses alike", async () => {
    const stream = client.chat.completions.stream({ ...base, response_format: format(person) });
    const final = await stream.finalChatCompletion();
    const whole = await client.chat.completions.parse({ ...base, response_format: format(person) });
    expect(final.choices[0]!.message.parsed).toEqual(whole.choices[0]!.message.parsed);
  });

  test("that the limit cuts raises the client's own error", async () => {
    const cut = { ...base, max_tokens: 5, response_format: format(person) };
    const failing = client.chat.completions.parse(cut);
    expect(await failing.catch((error: unknown) => error)).toBeInstanceOf(LengthFinishReasonError);
  });

  const places: { name: string; body: object }[] = [
    { name: "beside the type", body: { response_format: { type: "json_schema", schema: person } } },
    { name: "of json_object", body: { response_format: { type: "json_object", schema: person } } },
    { name: "at the top", body: { json_schema: person } },
  ];
  test.each(places)("may stand $name", async ({ body }) => {
    const { message } = replyOf(await chat({ ...body, messages: ask("Hello") }));
    expect(isValid(person, message.content)).toBe(true);
  });

  test("holds sampled answers of every choice", async () => {
    const schema = {
      type: "object",
      properties: {
        kind: { enum: ["a", "b", "c"] },
        tags: { type: "array", items: { type: "string", maxLength: 8 }, maxItems: 3 },
        size: { type: "integer", minimum: -5, maximum: 12 },
      },
      required: ["kind", "tags", "size"],
      additionalProperties: false,
    };
    const sampled = { n: 8, seed: 3, temperature: 2, max_tokens: 300 };
    const { text } = await chat({ ...sampled, response_format: format(schema) });
    for (const { message, finish_reason } of (JSON.parse(text) as Reply).choices) {
      if (finish_reason === "stop") expect(isValid(schema, message.content)).toBe(true);
    }
  });

  test("begins behind the reasoning", async () => {
    const thinking = { chat_template_kwargs: { enable_thinking: true } };
    const { message } = replyOf(await chat({ ...thinking, response_format: format(person) }));
    expect(message.reasoning_content).toBeString();
    expect(isValid(person, message.content)).toBe(true);
  });

  test("leaves room for a call, and either comes", async () => {
    const tool = {
      type: "function",
      function: { name: "get_weather", parameters: { properties: { city: { type: "string" } } } },
    };
    const both = { tools: [tool], response_format: format(person) };
    const call = replyOf(await chat({ ...both, messages: ask("What is the weather in Paris?") }));
    expect(call.finish_reason).toBe("tool_calls");
    expect(call.message.tool_calls).toHaveLength(1);
    const json = replyOf(await chat(both));
    if (json.finish_reason === "stop") expect(isValid(person, json.message.content)).toBe(true);
    else expect(json.finish_reason).toBe("tool_calls");
  });
});

describe("json_object", () => {
  test("gives an object, whatever is asked", async () => {
    const response_format = { type: "json_object" };
    const wanted = ask("Give me a JSON object with name Ada and age 36.");
    const { message, finish_reason } = replyOf(await chat({ messages: wanted, response_format }));
    expect(finish_reason).toBe("stop");
    expect(JSON.parse(message.content)).toEqual({ name: "Ada", age: 36 });
    const other = replyOf(await chat({ messages: ask("Hello"), response_format, max_tokens: 400 }));
    expect(other.message.content.trimStart()).toStartWith("{");
    if (other.finish_reason === "stop") expect(JSON.parse(other.message.content)).toBeObject();
  });
});

describe("keywords that no grammar enforces", () => {
  const odd = {
    type: "object",
    properties: { name: { type: "string", maxLength: 9, not: { minLength: 0 } } },
    required: ["name"],
    additionalProperties: false,
  };
  const pointer = "/properties/name/not";

  test("are refused with their pointer when the schema is strict", async () => {
    const refused = await chat({ response_format: format(odd) });
    expect(refused.response.status).toBe(400);
    expect(errorOf(refused)).toMatchObject({
      type: "invalid_request_error",
      code: "invalid_json_schema",
      param: "response_format",
      message: expect.stringContaining(pointer),
    });
  });

  test("are warned of otherwise, and the answer is checked", async () => {
    const checked = await chat({ response_format: format(odd, false) });
    expect(checked.response.headers.get("x-lmserver-warning")).toBe(
      `response_format: not at ${pointer} is not enforced; response_format: /name breaks ${pointer}`,
    );
    expect(replyOf(checked).schema_issues).toEqual([`/name breaks ${pointer}`]);
    expect(server.stderr()).toContain("answer breaks its schema");
  });

  test("are warned of before a stream, whose end tells of the answer", async () => {
    const { response, text } = await chat({ response_format: format(odd, false), stream: true });
    expect(response.headers.get("x-lmserver-warning")).toContain(pointer);
    expect(text).toContain(`"schema_issues":["/name breaks ${pointer}"]`);
  });

  test("are warned of for raw prompts, too", async () => {
    const body = { model: "demo", prompt: "A name:", json_schema: odd, max_tokens: 60 };
    const { response, text } = await post("/v1/completions", body);
    expect(response.headers.get("x-lmserver-warning")).toStartWith(
      `json_schema: not at ${pointer}`,
    );
    expect(text).toContain("schema_issues");
  });
});

describe("grammars", () => {
  test("hold the answer of a chat and of a raw prompt", async () => {
    const grammar = 'root ::= "yes" | "no"';
    expect(["yes", "no"]).toContain(replyOf(await chat({ grammar })).message.content);
    const { text } = await post("/v1/completions", { model: "demo", prompt: "Is it?", grammar });
    expect(["yes", "no"]).toContain(
      (JSON.parse(text) as { choices: { text: string }[] }).choices[0]!.text,
    );
  });
});

/** Small and without recursion; every `a` may belong to any of the hundred. */
const AMBIGUOUS = `root ::= ${"x ".repeat(100)}\nx ::= "a"{1,200}`;

describe("a hostile schema or grammar is refused while others are served", () => {
  const nested = (depth: number): object =>
    depth === 0 ? { type: "string" } : { anyOf: [nested(depth - 1), nested(depth - 1)] };
  const schemas: { name: string; schema: object }[] = [
    { name: "a remote reference", schema: { $ref: "https://example.com/schema.json" } },
    { name: "a reference to itself alone", schema: { $ref: "#" } },
    {
      name: "a cycle of references",
      schema: { $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } }, $ref: "#/$defs/a" },
    },
    { name: "one megabyte", schema: { type: "string", enum: ["x".repeat(1_000_000)] } },
    {
      name: "a required member that never ends",
      schema: {
        $defs: { n: { type: "object", properties: { n: { $ref: "#/$defs/n" } }, required: ["n"] } },
        $ref: "#/$defs/n",
      },
    },
    {
      name: "exponentially many ways",
      schema: {
        allOf: Array.from({ length: 24 }, (_, i) => ({
          anyOf: [
            { properties: { [`a${i}`]: { type: "string" } } },
            { properties: { [`b${i}`]: { type: "string" } } },
          ],
        })),
      },
    },
  ];
  const grammars: { name: string; grammar: string }[] = [
    { name: "left recursion", grammar: 'root ::= root "a" | "b"' },
    { name: "hidden left recursion", grammar: 'root ::= e root "a" | "b"\ne ::= ""' },
    { name: "nested repeats", grammar: "root ::= ((a{1,2000}){1,2000}){1,2000}\na ::= [a]" },
    { name: "an empty loop", grammar: 'root ::= ("")*' },
    { name: "no root", grammar: 'start ::= "a"' },
    { name: "no syntax", grammar: "root ::= (" },
    { name: "one megabyte", grammar: `root ::= "${"x".repeat(1_000_000)}"` },
    { name: "what may be empty, often", grammar: 'root ::= ("a"?){1,600}' },
    { name: "ever more ways to read the text so far", grammar: AMBIGUOUS },
    { name: "ambiguity without end", grammar: 'root ::= (("a" | "a") ("a" | "a"))* root?' },
  ];
  const rows = [
    ...schemas.map(({ name, schema }) => ({
      name,
      body: { response_format: format(schema) },
    })),
    ...grammars.map(({ name, grammar }) => ({ name, body: { grammar, ignore_eos: true } })),
  ];

  const forever: object = { ignore_eos: true };

  test.each(rows)("$name", async ({ body }) => {
    // Another client's stream, which must go on while this one is refused.
    const story = await client.chat.completions.create({
      model: "demo",
      messages: ask("Tell me a story."),
      stream: true,
      max_tokens: 1_500,
      ...forever,
    });
    const chunks = story[Symbol.asyncIterator]();
    await chunks.next();
    const refusing = chat({ ...body, max_tokens: 1_500 });
    const health = await fetch(`${server.url}/health`);
    expect(health.status).toBe(200);
    expect((await chunks.next()).done).toBe(false);
    const refused = await refusing;
    expect(refused.response.status).toBe(400);
    expect(errorOf(refused)).toMatchObject({ type: "invalid_request_error" });
    story.controller.abort();
  });

  test("deep choices that can be written are", async () => {
    const { message } = replyOf(
      await chat({ response_format: format(nested(6)), max_tokens: 300 }),
    );
    expect(JSON.parse(message.content)).toBeString();
  });

  test("the engine was never lost", async () => {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/^lmserver_engine_starts_total(\{[^}]*\})? 1$/m);
  });
});
