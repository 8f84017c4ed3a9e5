import { modelNotFound } from "../../src/catalog/model-not-found.ts";
import { resolveModel } from "../../src/chat/resolve-model.ts";
import { LmError } from "../../src/lib/errors.ts";
import { failWith, fakeModel, started, type FakeOptions } from "./fakes.ts";

/** One row of the failure table: what is sent, on what server, and how it is refused. */
export interface ErrorCase {
  name: string;
  path?: string;
  body?: unknown;
  headers?: Record<string, string>;
  options?: FakeOptions;
  status: number;
  type?: string;
  code: string | null;
  param: string | null;
  message?: RegExp;
  sends?: Record<string, string | null>;
}

const user = { role: "user", content: "Hi" };
const tool = { type: "function", function: { name: "f" } };
const fails = (error: LmError): FakeOptions => ({ generate: failWith(error) });

export const chatCases: ErrorCase[] = [
  {
    name: "a body that is not an object",
    body: "[]",
    status: 400,
    code: "invalid_type",
    param: null,
  },
  { name: "no JSON", body: '{"a', status: 400, code: "invalid_json", param: null },
  { name: "an empty body", body: "", status: 400, code: "invalid_json", param: null },
  {
    name: "a form",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    status: 415,
    code: "unsupported_content_type",
    param: null,
    message: /application\/json/,
  },
  {
    name: "plain text",
    headers: { "content-type": "text/plain;charset=UTF-8" },
    status: 415,
    code: "unsupported_content_type",
    param: null,
    message: /'text\/plain'/,
  },
  {
    name: "a compressed body",
    headers: { "content-encoding": "gzip" },
    status: 415,
    code: "unsupported_content_type",
    param: null,
  },
  {
    name: "a body beyond the limit",
    options: { settings: { maxBodyBytes: 10 } },
    status: 413,
    code: "request_too_large",
    param: null,
  },
  {
    name: "missing messages",
    body: {},
    status: 400,
    code: "missing_required_parameter",
    param: "messages",
    message: /^Missing required parameter: 'messages'\.$/,
  },
  {
    name: "a wrong type",
    body: { messages: [user, { role: "user", content: {} }] },
    status: 400,
    code: "invalid_type",
    param: "messages[1].content",
    message:
      /^Invalid type for 'messages\[1\]\.content': expected one of a string or array of objects, but got an object instead\.$/,
  },
  {
    name: "an unknown word",
    body: { messages: [user], reasoning_effort: "huge" },
    status: 400,
    code: "invalid_value",
    param: "reasoning_effort",
    message: /^Invalid value: 'huge'\. Supported values are: 'none', 'minimal', /,
  },
  {
    name: "an integer above its range",
    body: { messages: [user], n: 130 },
    status: 400,
    code: "integer_above_max_value",
    param: "n",
    message:
      /^Invalid 'n': integer above maximum value\. Expected a value <= 128, but got 130 instead\.$/,
  },
  {
    name: "n above the server's own limit",
    body: { messages: [user], n: 17 },
    status: 400,
    code: "integer_above_max_value",
    param: "n",
  },
  {
    name: "an integer below its range",
    body: { messages: [user], max_tokens: 0 },
    status: 400,
    code: "integer_below_min_value",
    param: "max_tokens",
  },
  {
    name: "a number above its range",
    body: { messages: [user], temperature: 3 },
    status: 400,
    code: "decimal_above_max_value",
    param: "temperature",
    message:
      /^Invalid 'temperature': decimal above maximum value\. Expected a value <= 2, but got 3 instead\.$/,
  },
  {
    name: "a number below its range",
    body: { messages: [user], presence_penalty: -3 },
    status: 400,
    code: "decimal_below_min_value",
    param: "presence_penalty",
  },
  {
    name: "an empty array",
    body: { messages: [] },
    status: 400,
    code: "empty_array",
    param: "messages",
    message:
      /^Invalid 'messages': empty array\. Expected an array with minimum length 1, but got an empty array instead\.$/,
  },
  {
    name: "too many stops",
    body: { messages: [user], stop: Array.from({ length: 65 }, () => "x") },
    status: 400,
    code: "array_above_max_length",
    param: "stop",
  },
  {
    name: "a stop that is too long",
    body: { messages: [user], stop: ["x".repeat(1025)] },
    status: 400,
    code: "string_above_max_length",
    param: "stop[0]",
  },
  {
    name: "audio output",
    body: { messages: [user], audio: { voice: "x", format: "wav" } },
    status: 400,
    code: "unsupported_parameter",
    param: "audio",
  },
  {
    name: "top_logprobs alone",
    body: { messages: [user], top_logprobs: 2 },
    status: 400,
    code: "invalid_value",
    param: "top_logprobs",
  },
  {
    name: "tool_choice without tools",
    body: { messages: [user], tool_choice: "required" },
    status: 400,
    code: null,
    param: "tool_choice",
    message:
      /^Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified\.$/,
  },
  {
    name: "a named tool that does not exist",
    body: {
      messages: [user],
      tools: [tool],
      tool_choice: { type: "function", function: { name: "g" } },
    },
    status: 400,
    code: "invalid_value",
    param: "tool_choice",
  },
  {
    name: "an image",
    body: {
      model: "acme/tiny",
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "a" },
            { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } },
          ],
        },
      ],
    },
    status: 400,
    code: "unsupported_input_modality",
    param: "messages[0].content[1].type",
    message:
      /^Invalid content type\. image_url is only supported by vision models; 'acme\/tiny' does not support images\.$/,
  },
  {
    name: "an unknown part",
    body: { messages: [{ role: "user", content: [{ type: "hologram" }] }] },
    status: 400,
    code: "invalid_value",
    param: "messages[0].content[0].type",
  },
  {
    name: "a grammar with NUL",
    body: { messages: [user], grammar: 'root ::= "\u0000"' },
    status: 400,
    code: "invalid_grammar",
    param: "grammar",
  },
  {
    name: "a template that refuses",
    options: fails(
      new LmError(
        "invalid_request",
        { param: "messages", reason: "chat_template_error" },
        "Roles must alternate",
      ),
    ),
    status: 400,
    code: "chat_template_error",
    param: "messages",
    message: /^Roles must alternate$/,
  },
  {
    name: "a prompt beyond the context",
    options: fails(
      new LmError(
        "context_length_exceeded",
        { promptTokens: 5012, contextLength: 4096, param: "prompt" },
        "engine's words",
      ),
    ),
    status: 400,
    code: "context_length_exceeded",
    param: "messages",
    message:
      /^This model's maximum context length is 4096 tokens\. However, your messages resulted in 5012 tokens\. Please reduce the length of the messages\. \(context_length_exceeded\)$/,
    sends: { "x-context-length": "4096", "x-prompt-tokens": "5012" },
  },
  {
    name: "a prompt far beyond the context, of which not all is counted",
    options: fails(
      new LmError(
        "context_length_exceeded",
        { promptTokens: 5012, contextLength: 4096, param: "prompt", isLeast: true },
        "engine's words",
      ),
    ),
    status: 400,
    code: "context_length_exceeded",
    param: "messages",
    message: /your messages resulted in at least 5012 tokens\./,
    sends: { "x-context-length": "4096", "x-prompt-tokens": null },
  },
  {
    name: "an unknown model",
    options: {
      generate: async function* (request) {
        const models = [fakeModel()];
        const catalog = { list: async () => models, find: async () => null };
        const options = { jit: true, modelFallback: false, allowLlmEmbeddings: false };
        await resolveModel(
          { catalog, pool: { instances: () => [] } },
          request.model,
          "llm",
          options,
        );
        yield started();
      },
    },
    body: { model: "nope", messages: [user] },
    status: 404,
    code: "model_not_found",
    param: "model",
    message:
      /^Model "nope" not found\. Please specify a valid model\.\n\nYour models:\n\nacme\/tiny$/,
  },
  {
    name: "a draft model that does not exist",
    options: fails(modelNotFound("nope", [], "draftModel")),
    body: { messages: [user], draft_model: "nope" },
    status: 404,
    code: "model_not_found",
    param: "draft_model",
  },
  {
    name: "a model that is not loaded",
    options: fails(new LmError("model_not_loaded", { model: "m" }, "Load it.")),
    status: 404,
    code: "model_not_loaded",
    param: "model",
  },
  {
    name: "a model of the wrong kind",
    options: fails(new LmError("unsupported_model", { model: "m" }, "It embeds.")),
    status: 400,
    code: "unsupported_model",
    param: "model",
  },
  {
    name: "a full queue",
    options: fails(new LmError("queue_full", { queued: 9, limit: 9, retryAfterMs: 2500 }, "Busy.")),
    status: 503,
    type: "server_error",
    code: "server_overloaded",
    param: null,
    sends: { "retry-after": "3", "retry-after-ms": "2500" },
  },
  {
    name: "a wait beyond what clients obey",
    options: fails(new LmError("queue_full", { queued: 9, limit: 9, retryAfterMs: 9e6 }, "Busy.")),
    status: 503,
    type: "server_error",
    code: "server_overloaded",
    param: null,
    sends: { "retry-after": "60", "retry-after-ms": "60000" },
  },
  {
    name: "a server that stops",
    options: { deps: { isStopping: () => true } },
    status: 503,
    type: "server_error",
    code: "server_overloaded",
    param: null,
    sends: { "retry-after": "1" },
  },
  {
    name: "a model that still loads",
    options: fails(new LmError("model_loading", { model: "m", retryAfterMs: 5000 }, "Loading.")),
    status: 503,
    type: "server_error",
    code: "model_loading",
    param: "model",
    sends: { "retry-after": "5" },
  },
  {
    name: "a model that does not load",
    options: fails(new LmError("model_load_failed", { model: "m", reason: "bad" }, "bad magic")),
    status: 500,
    type: "server_error",
    code: "model_load_failed",
    param: "model",
    message: /^bad magic$/,
    sends: { "x-should-retry": "false" },
  },
  {
    name: "an engine that crashes",
    options: fails(new LmError("engine_crashed", { model: "m", cause: "SIGSEGV" }, "It crashed.")),
    status: 500,
    type: "server_error",
    code: "internal_error",
    param: null,
  },
  {
    name: "a bug",
    options: { generate: failWith(new TypeError("secret at /home/me/x.ts")) },
    status: 500,
    type: "server_error",
    code: "internal_error",
    param: null,
    message: /^The server failed to answer this request\.$/,
  },
  {
    name: "an engine that is missing",
    options: fails(new LmError("engine_unavailable", { reason: "no libs" }, "No libraries.")),
    status: 501,
    type: "server_error",
    code: "engine_unavailable",
    param: null,
    sends: { "x-should-retry": "false" },
  },
];
