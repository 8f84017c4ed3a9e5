import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { piece, tinyModel } from "../../scripts/make-hostile-gguf.ts";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import { type TestServer, startServer } from "../support/server.ts";
import { WireSchemas } from "../support/wire-schemas.ts";
import { until } from "../support/until.ts";

/** Every body of every OpenAI route of the running product, against the published schemas. */

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ args: ["--max-body", "1MiB"] });
  const models = join(server.home, "models");
  makeModel({ path: join(models, "acme-encoder.gguf"), architecture: "bert" });
  const rows = piece.tensor("token_embd.weight", [32, 2], 0, 0);
  writeFileSync(join(models, "unloadable.gguf"), tinyModel({ tensors: [rows] }));
  await until(async () => {
    const list = await (await fetch(`${server.url}/v1/models`)).text();
    return list.includes("acme-encoder") && list.includes("unloadable");
  }, "the server has seen its models");
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

const schemas = new WireSchemas("contracts/openai-subset.schema.json");
const CHAT = "/v1/chat/completions";
const COMPLETIONS = "/v1/completions";
const EMBEDDINGS = "/v1/embeddings";
const hello = [{ role: "user", content: "Hello" }];
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { enum: ["Oslo"] } }, required: ["city"] },
  },
};

function send(path: string, body: object | string, headers: object = {}): Promise<Response> {
  return fetch(`${server.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

function framesOf(text: string): unknown[] {
  const frames = text.trimEnd().split("\n\n");
  expect(frames.pop()).toBe("data: [DONE]");
  return frames
    .filter((frame) => !frame.startsWith(":"))
    .map((frame) => JSON.parse(frame.slice("data: ".length)));
}

type Answer = { name: string; path: string; body: object; schema: string; streamSchema?: string };

const chat = (name: string, body: object): Answer => ({
  name,
  path: CHAT,
  body: { model: "demo", messages: hello, temperature: 0, max_tokens: 40, ...body },
  schema: "CreateChatCompletionResponse",
  streamSchema: "CreateChatCompletionStreamResponse",
});
const completion = (name: string, body: object, schema = "CreateCompletionResponse"): Answer => ({
  name,
  path: COMPLETIONS,
  body: { model: "demo", prompt: "The quick", temperature: 0, max_tokens: 6, ...body },
  schema,
  streamSchema: "CreateCompletionStreamResponse",
});

const answers: Answer[] = [
  chat("a chat", {}),
  chat("several choices", { n: 3, temperature: 1, seed: 5 }),
  chat("log probabilities", { logprobs: true, top_logprobs: 4 }),
  chat("a stop string", { stop: ["can", "!"] }),
  chat("one token", { max_tokens: 1 }),
  chat("a required call", { tools: [weather], tool_choice: "required", max_tokens: 200 }),
  chat("a JSON object", {
    response_format: {
      type: "json_schema",
      json_schema: { schema: { type: "object", properties: { a: { enum: [1] } } } },
    },
  }),
  completion("a completion", {}),
  completion("several prompts", { prompt: ["The", "A"], n: 2 }),
  completion("a prompt of tokens", { prompt: [1, 2, 3] }),
  completion("no prompt at all", { prompt: null }),
  completion(
    "an echo with log probabilities",
    { echo: true, logprobs: 3 },
    "CreateCompletionEchoResponse",
  ),
  completion("log probabilities", { logprobs: 5 }),
  {
    name: "embeddings as numbers",
    path: EMBEDDINGS,
    body: { model: "acme-encoder", input: ["a", "b"], encoding_format: "float" },
    schema: "CreateEmbeddingResponse",
  },
  {
    name: "embeddings in base64",
    path: EMBEDDINGS,
    body: { model: "acme-encoder", input: "a", encoding_format: "base64", dimensions: 8 },
    schema: "CreateEmbeddingBase64Response",
  },
];

describe.if(schemas.isHere)("answers of the product fit the published schemas", () => {
  test.each(answers)("$name", async ({ path, body, schema }) => {
    const answer = await send(path, body);
    const value: unknown = await answer.json();
    expect({ status: answer.status, errors: schemas.errors(schema, value) }).toEqual({
      status: 200,
      errors: "No errors",
    });
    expect(answer.headers.get("content-type")).toStartWith("application/json");
    expect(answer.headers.get("cache-control")).toBe("no-store");
  });

  const streamed = answers.flatMap(({ streamSchema, ...row }) =>
    streamSchema === undefined ? [] : [{ ...row, schema: streamSchema }],
  );
  test.each(streamed)("$name, streamed", async ({ path, body, schema }) => {
    const answer = await send(path, {
      ...body,
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(answer.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(answer.headers.get("cache-control")).toBe("no-cache, no-transform");
    expect(answer.headers.get("x-accel-buffering")).toBe("no");
    expect(answer.headers.get("content-length")).toBeNull();
    const frames = framesOf(await answer.text()) as { usage?: unknown; id: string }[];
    for (const frame of frames) expect(schemas.errors(schema, frame)).toBe("No errors");
    expect(frames.at(-1)?.usage).toMatchObject({ total_tokens: expect.any(Number) });
    expect(frames.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    expect(new Set(frames.map(({ id }) => id)).size).toBe(1);
  });

  test("models", async () => {
    const list = await (await fetch(`${server.url}/v1/models`)).json();
    expect(schemas.errors("ListModelsResponse", list)).toBe("No errors");
    for (const { id } of (list as { data: { id: string }[] }).data) {
      const one = await fetch(`${server.url}/v1/models/${encodeURIComponent(id)}`);
      expect(schemas.errors("Model", await one.json())).toBe("No errors");
    }
  });
});

type Refusal = {
  name: string;
  path: string;
  body: object | string;
  headers?: object;
  status: number;
  code: string | null;
  param: string | null;
};

const refuse =
  (path: string) =>
  (
    name: string,
    body: object | string,
    status: number,
    code: string | null,
    param: string | null,
    headers: object = {},
  ): Refusal => ({ name, path, body, status, code, param, headers });
const atChat = refuse(CHAT);
const atCompletions = refuse(COMPLETIONS);
const atEmbeddings = refuse(EMBEDDINGS);
const user = (content: unknown) => ({ model: "demo", messages: [{ role: "user", content }] });
const said = user("Hello");
const form = { "content-type": "application/x-www-form-urlencoded" };
const image = { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } };
const named = { type: "function", function: { name: "g" } };
const nonsense = { type: "json_schema", json_schema: { schema: { type: "nonsense" } } };
const long = "word ".repeat(6000);
const prompt = "The quick";

/** The rows of the failure table that a request alone can bring about. */
const refusals: Refusal[] = [
  atChat("no JSON", '{"messages": [', 400, "invalid_json", null),
  atChat("an empty body", "", 400, "invalid_json", null),
  atChat("no object", "[]", 400, "invalid_type", null),
  atChat("a form", "a=b", 415, "unsupported_content_type", null, form),
  atChat("too large", `"${"x".repeat(2 ** 20)}"`, 413, "request_too_large", null),
  atChat("no messages", { model: "demo" }, 400, "missing_required_parameter", "messages"),
  atChat("an object as content", user({}), 400, "invalid_type", "messages[0].content"),
  atChat(
    "an unknown role",
    { messages: [{ role: "x" }] },
    400,
    "invalid_value",
    "messages[0].role",
  ),
  atChat("n above 128", { ...said, n: 130 }, 400, "integer_above_max_value", "n"),
  atChat("no token", { ...said, max_tokens: 0 }, 400, "integer_below_min_value", "max_tokens"),
  atChat("too hot", { ...said, temperature: 3 }, 400, "decimal_above_max_value", "temperature"),
  atChat("too cold", { ...said, temperature: -1 }, 400, "decimal_below_min_value", "temperature"),
  atChat("nobody speaks", { messages: [] }, 400, "empty_array", "messages"),
  atChat(
    "many stops",
    { ...said, stop: Array(65).fill("x") },
    400,
    "array_above_max_length",
    "stop",
  ),
  atChat("audio", { ...said, audio: {} }, 400, "unsupported_parameter", "audio"),
  atChat("top_logprobs alone", { ...said, top_logprobs: 1 }, 400, "invalid_value", "top_logprobs"),
  atChat("a choice of no tools", { ...said, tool_choice: "required" }, 400, null, "tool_choice"),
  atChat(
    "an unknown tool",
    { ...said, tools: [weather], tool_choice: named },
    400,
    "invalid_value",
    "tool_choice",
  ),
  atChat(
    "an image",
    user([image]),
    400,
    "unsupported_input_modality",
    "messages[0].content[0].type",
  ),
  atChat(
    "a schema of nonsense",
    { ...said, response_format: nonsense },
    400,
    "invalid_json_schema",
    "response_format",
  ),
  atChat("a broken grammar", { ...said, grammar: "root ::= (" }, 400, "invalid_grammar", "grammar"),
  atChat("too long", user(long), 400, "context_length_exceeded", "messages"),
  atChat("an unknown model", { ...said, model: "nope" }, 404, "model_not_found", "model"),
  atChat("an embedder", { ...said, model: "acme-encoder" }, 400, "unsupported_model", "model"),
  atChat(
    "a model that cannot be loaded",
    { ...said, model: "unloadable" },
    500,
    "model_load_failed",
    "model",
  ),
  atCompletions("no prompt", { model: "demo" }, 400, "missing_required_parameter", "prompt"),
  atCompletions("no prompts", { model: "demo", prompt: [] }, 400, "empty_array", "prompt"),
  atCompletions(
    "a suffix",
    { model: "demo", prompt, suffix: "x" },
    400,
    "unsupported_parameter",
    "suffix",
  ),
  atCompletions(
    "best below n",
    { model: "demo", prompt, n: 2, best_of: 1 },
    400,
    "invalid_value",
    "best_of",
  ),
  atCompletions(
    "too long",
    { model: "demo", prompt: long },
    400,
    "context_length_exceeded",
    "prompt",
  ),
  atCompletions(
    "logprobs as a boolean",
    { model: "demo", prompt, logprobs: true },
    400,
    "invalid_type",
    "logprobs",
  ),
  atEmbeddings("no input", { model: "acme-encoder" }, 400, "missing_required_parameter", "input"),
  atEmbeddings("empty text", { model: "acme-encoder", input: "" }, 400, "empty_string", "input"),
  atEmbeddings(
    "too long",
    { model: "acme-encoder", input: ["a", long] },
    400,
    "context_length_exceeded",
    "input[1]",
  ),
  atEmbeddings(
    "a model that writes",
    { model: "demo", input: "a" },
    400,
    "unsupported_model",
    "model",
  ),
  atEmbeddings(
    "many dimensions",
    { model: "acme-encoder", input: "a", dimensions: 9999 },
    400,
    "integer_above_max_value",
    "dimensions",
  ),
  ...tokenRefusals(),
];

/** T-B12: ids outside the vocabulary, in every place that takes ids. */
function tokenRefusals(): Refusal[] {
  const ids = [999_999, 2 ** 31, 2 ** 32];
  const inVocabulary = ids.flatMap((id) => [
    atCompletions(`T-B12: id ${id}`, { prompt: [1, id] }, 400, "invalid_value", "prompt"),
    atCompletions(
      `T-B12: id ${id} in a list`,
      { prompt: [[1], [id]] },
      400,
      "invalid_value",
      "prompt[1]",
    ),
    atEmbeddings(
      `T-B12: id ${id}`,
      { model: "acme-encoder", input: [id] },
      400,
      "invalid_value",
      "input",
    ),
  ]);
  const [below, above] = ["integer_below_min_value", "integer_above_max_value"];
  return [
    ...inVocabulary.map((row) => ({ ...row, body: { model: "demo", ...(row.body as object) } })),
    atCompletions("T-B12: id -1", { model: "demo", prompt: [-1] }, 400, "invalid_value", "prompt"),
    atEmbeddings("T-B12: id -1", { model: "acme-encoder", input: [-1] }, 400, below, "input[0]"),
    atEmbeddings(
      "T-B12: id 2^53",
      { model: "acme-encoder", input: [2 ** 53] },
      400,
      above,
      "input[0]",
    ),
  ];
}

describe.each([false, true])("refusals of the product, stream: %p", (stream) => {
  test.each(refusals)("$path $name", async ({ path, body, headers, status, code, param }) => {
    const answer = await send(path, typeof body === "string" ? body : { ...body, stream }, headers);
    const value = (await answer.json()) as { error: Record<string, unknown> };
    expect({ status: answer.status, ...value.error }).toMatchObject({ status, code, param });
    expect(Object.keys(value.error).toSorted()).toEqual(["code", "message", "param", "type"]);
    if (schemas.isHere) expect(schemas.errors("ErrorResponse", value)).toBe("No errors");
    expect(answer.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/);
    expect(answer.headers.get("x-should-retry")).toBe(status === 500 ? "false" : null);
  });
});

test("T-B12: ids of no token in logit_bias are ignored, and the engine lives on", async () => {
  const bias = { "2147483648": 5, "99999999": -100, "-1": 3 };
  const answer = await send(COMPLETIONS, {
    model: "demo",
    prompt,
    max_tokens: 2,
    logit_bias: bias,
  });
  expect(answer.status).toBe(200);
});

test("unknown routes and wrong methods", async () => {
  const rows = [
    { method: "GET", path: "/v1/foo", status: 404, code: "unknown_url" },
    { method: "POST", path: "/chat/completions", status: 404, code: "unknown_url" },
    { method: "GET", path: "/models", status: 404, code: "unknown_url" },
    { method: "GET", path: CHAT, status: 405, code: "method_not_allowed" },
    { method: "DELETE", path: "/v1/models/demo", status: 405, code: "method_not_allowed" },
    { method: "PUT", path: "/v1/models", status: 405, code: "method_not_allowed" },
  ];
  for (const { method, path, status, code } of rows) {
    const answer = await fetch(`${server.url}${path}`, { method });
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ error: { code, param: null } });
    if (status === 405) expect(answer.headers.get("allow")).toContain("OPTIONS");
  }
});
