import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import Ajv2020 from "ajv/dist/2020";
import type { Generate, GenerateEvent } from "../../src/chat/events.ts";
import type { TokenLogprob } from "../../src/protocol/events.ts";
import { sharedPath } from "../support/shared.ts";
import {
  appWith,
  chatBody,
  done,
  embedder,
  fakeInstance,
  finished,
  get,
  payloads,
  play,
  post,
  started,
  text,
} from "./fakes.ts";

const token = (value: string): TokenLogprob => ({
  id: 1,
  text: value,
  bytes: [...new TextEncoder().encode(value)],
  logprob: -0.5,
  top: [{ id: 1, text: value, bytes: [], logprob: -0.5 }],
});

const CHAT = "/v1/chat/completions";
const COMPLETIONS = "/v1/completions";
const plain = play([started(), text("Hello"), finished(), done]);
const scored: Generate = play([
  started(),
  { type: "promptLogprobs", tokens: [token("P")] },
  text("He", 0, [token("He")]),
  finished({ reason: "length" }),
  done,
]);
const calls: GenerateEvent[] = [
  started(),
  { type: "reasoning", choice: 0, text: "Hm." },
  { type: "toolCall", choice: 0, index: 0, id: "call_1", name: "f" },
  { type: "toolArguments", choice: 0, index: 0, text: "{}" },
  finished({ reason: "tool_calls" }),
  done,
];

type Case = {
  name: string;
  request: Request;
  schema: string;
  generate?: Generate;
  isStream?: boolean;
};

const usage = { stream: true, stream_options: { include_usage: true } };
const tools = [{ type: "function", function: { name: "f" } }];
const functions = [{ name: "f" }];
const chatCase = (name: string, body: object, generate: Generate = plain): Case[] => [
  {
    name,
    request: post(CHAT, { ...chatBody, ...body }),
    schema: "CreateChatCompletionResponse",
    generate,
  },
  {
    name: `${name}, streamed`,
    request: post(CHAT, { ...chatBody, ...body, ...usage }),
    schema: "CreateChatCompletionStreamResponse",
    generate,
    isStream: true,
  },
];
const completionCase = (name: string, body: object, schema: string): Case[] => [
  { name, request: post(COMPLETIONS, { prompt: "P", ...body }), schema, generate: scored },
  {
    name: `${name}, streamed`,
    request: post(COMPLETIONS, { prompt: "P", ...body, ...usage }),
    schema: "CreateCompletionStreamResponse",
    generate: scored,
    isStream: true,
  },
];

const cases: Case[] = [
  { name: "the list of models", request: get("/v1/models"), schema: "ListModelsResponse" },
  { name: "one model", request: get("/v1/models/acme/tiny"), schema: "Model" },
  ...chatCase("a chat", {}),
  ...chatCase("a chat with log probabilities", { logprobs: true, top_logprobs: 1 }, scored),
  ...chatCase("a chat with calls", { tools }, play(calls)),
  ...chatCase("a chat with functions", { functions }, play(calls)),
  ...completionCase("a completion", {}, "CreateCompletionResponse"),
  ...completionCase("a scored completion", { logprobs: 1 }, "CreateCompletionResponse"),
  ...completionCase("an echo", { logprobs: 1, echo: true }, "CreateCompletionEchoResponse"),
  {
    name: "embeddings",
    request: post("/v1/embeddings", { model: embedder.key, input: ["a", "b"] }),
    schema: "CreateEmbeddingResponse",
  },
  {
    name: "embeddings in base64",
    request: post("/v1/embeddings", { input: "a", encoding_format: "base64" }),
    schema: "CreateEmbeddingBase64Response",
  },
  { name: "an error", request: post(CHAT, {}), schema: "ErrorResponse" },
  { name: "an unknown route", request: get("/nowhere"), schema: "ErrorResponse" },
];

async function bodiesOf({ request, generate, isStream }: Case): Promise<unknown[]> {
  const app = appWith({
    instances: [fakeInstance(embedder)],
    ...(generate && { generate }),
  });
  const response = await app.handle(request.clone() as Request);
  if (!isStream) return [await response.json()];
  const frames = payloads(await response.text());
  expect(frames.pop()).toBe("[DONE]");
  expect(frames.length).toBeGreaterThan(2);
  return frames;
}

describe("answers fit the published schemas", () => {
  const path = sharedPath("contracts/openai-subset.schema.json");
  const ajv = new Ajv2020({ strict: false });
  const schema = path === null ? null : (JSON.parse(readFileSync(path, "utf8")) as { $id: string });
  if (schema !== null) ajv.addSchema(schema);

  test.skipIf(schema === null).each(cases)("$name", async (row) => {
    for (const body of await bodiesOf(row)) {
      ajv.validate({ $ref: `${schema!.$id}#/$defs/${row.schema}` }, body);
      expect(ajv.errorsText()).toBe("No errors");
    }
  });
});

describe("requests that the published schema allows are accepted", () => {
  const file = sharedPath("contracts/openai-requests.schema.json");
  const ajv = new Ajv2020({ strict: false });
  const schema = file === null ? null : (JSON.parse(readFileSync(file, "utf8")) as { $id: string });
  if (schema !== null) ajv.addSchema(schema);
  const rows = [
    { path: CHAT, name: "CreateChatCompletionRequest", body: { ...chatBody, model: "m" } },
    {
      path: CHAT,
      name: "CreateChatCompletionRequest",
      body: {
        model: "m",
        messages: [
          { role: "developer", content: "x" },
          { role: "user", content: [{ type: "text", text: "x" }] },
          {
            role: "assistant",
            content: null,
            refusal: null,
            tool_calls: [{ id: "c", type: "function", function: { name: "f", arguments: "{}" } }],
          },
          { role: "tool", tool_call_id: "c", content: "1" },
        ],
        tools: [
          {
            type: "function",
            function: { name: "f", parameters: { type: "object" }, strict: null },
          },
        ],
        tool_choice: { type: "function", function: { name: "f" } },
        response_format: { type: "json_schema", json_schema: { name: "x", schema: {} } },
        metadata: { a: "b" },
        service_tier: "flex",
        reasoning_effort: "minimal",
        verbosity: "low",
        prediction: { type: "content", content: "x" },
        stream_options: null,
        logit_bias: { "1": -100 },
        seed: -9007199254740991,
        user: "u",
      },
    },
    {
      path: COMPLETIONS,
      name: "CreateCompletionRequest",
      body: { model: "m", prompt: [[1, 2]], best_of: 2, logprobs: 5, suffix: null, user: "u" },
    },
    {
      path: "/v1/embeddings",
      name: "CreateEmbeddingRequest",
      body: {
        model: embedder.key,
        input: [1, 2],
        encoding_format: "float",
        dimensions: 3,
        user: "u",
      },
    },
  ];
  test.skipIf(schema === null).each(rows)("$name", async ({ path, name, body }) => {
    ajv.validate({ $ref: `${schema!.$id}#/$defs/${name}` }, body);
    expect(ajv.errorsText()).toBe("No errors");
    const response = await appWith({ generate: plain }).handle(post(path, body));
    expect(response.status).toBe(200);
  });
});

/** The required keys of each kind of answer, written by hand: this check runs everywhere. */
const REQUIRED: Record<string, { keys: string[]; choice?: string[] }> = {
  ListModelsResponse: { keys: ["object", "data"] },
  Model: { keys: ["id", "object", "created", "owned_by"] },
  CreateChatCompletionResponse: {
    keys: ["id", "object", "created", "model", "choices"],
    choice: ["index", "message", "logprobs", "finish_reason"],
  },
  CreateChatCompletionStreamResponse: {
    keys: ["id", "object", "created", "model", "choices"],
    choice: ["index", "delta", "finish_reason"],
  },
  CreateCompletionResponse: {
    keys: ["id", "object", "created", "model", "choices"],
    choice: ["index", "text", "logprobs", "finish_reason"],
  },
  CreateEmbeddingResponse: { keys: ["object", "model", "data", "usage"] },
  ErrorResponse: { keys: ["error"] },
};

describe("answers carry every required key", () => {
  test.each(cases)("$name", async (row) => {
    const kind = row.schema
      .replace("Base64", "")
      .replace("Echo", "")
      .replace("CompletionStream", (found) =>
        row.request.url.includes("chat") ? found : "Completion",
      );
    const required = REQUIRED[kind];
    expect(required).toBeDefined();
    for (const body of (await bodiesOf(row)) as { choices?: object[]; error?: object }[]) {
      expect(Object.keys(body)).toEqual(expect.arrayContaining(required?.keys ?? []));
      for (const choice of body.choices ?? []) {
        expect(Object.keys(choice)).toEqual(expect.arrayContaining(required?.choice ?? []));
      }
      if (body.error) {
        expect(Object.keys(body.error).sort()).toEqual(["code", "message", "param", "type"]);
      }
    }
  });
});
