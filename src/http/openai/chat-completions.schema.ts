import { Type, type Static } from "typebox";
import { MAX_CHOICES, MAX_STOPS, MAX_STOP_LENGTH, MAX_TOOLS } from "../../lib/limits.ts";
import { ignored, integer, oneOf, opt } from "../schema.ts";
import { loraField } from "./lora-field.ts";
import { ChatMessages } from "./messages.schema.ts";
import { samplingFields } from "./sampling.schema.ts";

const JsonObject = Type.Record(Type.String(), Type.Unknown());

/** Fields of every route that generates text. */
export const commonFields = {
  model: opt(Type.String({ description: "Id of a model; absent or 'default' = the only one." })),
  stream: opt(Type.Boolean({ description: "Answer as server-sent events." })),
  stream_options: opt(
    Type.Object({
      include_usage: opt(Type.Boolean({ description: "One more chunk with the usage." })),
      include_obfuscation: ignored.boolean,
    }),
  ),
  n: opt(integer("Number of choices.", { minimum: 1, maximum: MAX_CHOICES })),
  stop: opt(
    Type.Union(
      [
        Type.String({ maxLength: MAX_STOP_LENGTH }),
        Type.Array(Type.String({ maxLength: MAX_STOP_LENGTH }), { maxItems: MAX_STOPS }),
      ],
      { description: "Generation ends before any of these texts." },
    ),
  ),
  n_predict: opt(integer("Alias of max_tokens.", { minimum: -1 })),
  grammar: opt(Type.String({ description: "GBNF." })),
  json_schema: opt(JsonObject),
  ttl: opt(integer("Idle seconds before a model loaded by this request leaves.", { minimum: 1 })),
  draft_model: opt(Type.String()),
  cache_prompt: opt(Type.Boolean({ description: "Reuse the stored prefix. Default true." })),
  user: ignored.string,
  safety_identifier: ignored.string,
  prompt_cache_key: ignored.string,
  prompt_cache_retention: ignored.string,
  prompt_cache_options: ignored.object,
  metadata: ignored.object,
  store: ignored.boolean,
  service_tier: ignored.string,
  verbosity: ignored.string,
  prediction: ignored.object,
  moderation: ignored.object,
  web_search_options: ignored.object,
  id_slot: ignored.integer,
  n_keep: ignored.integer,
  n_discard: ignored.integer,
  n_indent: ignored.integer,
  t_max_predict_ms: ignored.integer,
  lora: loraField,
  preset: ignored.string,
};

const FunctionDefinition = Type.Object({
  name: Type.String(),
  description: opt(Type.String()),
  parameters: opt(JsonObject),
  strict: opt(
    Type.Boolean({
      description: "Arguments fit the schema; what is only checked afterwards is told.",
    }),
  ),
});

const ToolDefinition = Type.Object({
  type: Type.String({ description: "function" }),
  function: opt(FunctionDefinition),
});
export type ToolDefinition = Static<typeof ToolDefinition>;
export type FunctionDefinition = Static<typeof FunctionDefinition>;

const NamedTool = Type.Object({
  type: Type.Literal("function"),
  function: Type.Object({ name: Type.String() }),
});

export const ToolChoiceField = Type.Union([
  Type.String({ description: "none, auto or required" }),
  Type.Union([
    NamedTool,
    Type.Object({
      type: Type.Literal("allowed_tools"),
      allowed_tools: Type.Object({
        mode: oneOf(["auto", "required"], "Whether a call must be made."),
        tools: Type.Array(NamedTool, { minItems: 1 }),
      }),
    }),
    Type.Object({ type: Type.Literal("custom") }),
  ]),
]);
export type ToolChoiceField = Static<typeof ToolChoiceField>;

const ResponseFormat = Type.Union([
  Type.Object({ type: Type.Literal("text") }),
  Type.Object({
    type: Type.Literal("json_object"),
    schema: opt(JsonObject),
    value: opt(JsonObject),
  }),
  // The form of text-generation-inference.
  Type.Object({ type: Type.Literal("json"), value: JsonObject }),
  Type.Object({
    type: Type.Literal("json_schema"),
    schema: opt(JsonObject),
    value: opt(JsonObject),
    json_schema: opt(
      Type.Object({
        name: opt(Type.String({ maxLength: 64 })),
        description: opt(Type.String()),
        schema: opt(JsonObject),
        strict: opt(Type.Union([Type.Boolean(), oneOf(["true", "false"], "As text.")])),
      }),
    ),
  }),
]);
export type ResponseFormat = Static<typeof ResponseFormat>;

const Effort = oneOf(
  ["none", "minimal", "low", "medium", "high", "xhigh", "max"],
  "How much the model thinks; none = not at all.",
);

/** Body of POST /v1/chat/completions. Source: OpenAI API reference, "Create chat completion". */
export const ChatCompletionRequest = Type.Object({
  messages: ChatMessages,
  ...commonFields,
  ...samplingFields,
  max_completion_tokens: opt(
    integer("Bound on generated tokens, reasoning included; -1 = none.", { minimum: -1 }),
  ),
  max_tokens: opt(integer("Alias of max_completion_tokens.", { minimum: -1 })),
  logprobs: opt(Type.Boolean()),
  top_logprobs: opt(integer("Needs logprobs.", { minimum: 0, maximum: 20 })),
  modalities: opt(Type.Array(Type.String())),
  audio: opt(Type.Object({})),
  response_format: opt(ResponseFormat),
  tools: opt(Type.Array(ToolDefinition, { maxItems: MAX_TOOLS })),
  tool_choice: opt(ToolChoiceField),
  parallel_tool_calls: opt(Type.Boolean({ description: "false = at most one call." })),
  functions: opt(Type.Array(FunctionDefinition, { maxItems: MAX_TOOLS })),
  function_call: opt(Type.Union([Type.String(), Type.Object({ name: Type.String() })])),
  reasoning_effort: opt(Effort),
  reasoning: opt(Type.Object({ effort: opt(Effort) })),
  enable_thinking: opt(Type.Boolean()),
  chat_template_kwargs: opt(JsonObject),
  reasoning_format: opt(
    oneOf(["auto", "none", "deepseek"], "none = thinking stays in the content."),
  ),
  reasoning_budget_tokens: opt(
    integer("Most tokens of reasoning; 0 = no thinking, -1 = no limit.", { minimum: -1 }),
  ),
  thinking_budget_tokens: opt(integer("Alias of reasoning_budget_tokens.", { minimum: -1 })),
  continue_final_message: opt(Type.Boolean()),
  add_generation_prompt: opt(Type.Boolean()),
  timings_per_token: ignored.boolean,
  return_progress: ignored.boolean,
  return_tokens: ignored.boolean,
  sse_ping_interval: ignored.integer,
  verbose: ignored.boolean,
});
export type ChatCompletionRequest = Static<typeof ChatCompletionRequest>;
