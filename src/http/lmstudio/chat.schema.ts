import { Type, type Static } from "typebox";
import { MAX_STOPS, MAX_STOP_LENGTH } from "../../lib/limits.ts";
import { loraField } from "../openai/lora-field.ts";
import { decimal, integer, opt, strictObject } from "../schema.ts";
import { NativeErrorBody, ReasoningWord } from "./models.schema.ts";

const TextItem = strictObject({
  type: Type.Union([Type.Literal("text"), Type.Literal("message")]),
  content: Type.String(),
});
const ImageItem = strictObject({
  type: Type.Literal("image"),
  data_url: Type.String({ description: "data:image/png;base64,..." }),
});

/** One user message: its text, or pieces in order. */
export const ChatInput = Type.Union([
  Type.String({ minLength: 1 }),
  Type.Array(Type.Union([TextItem, ImageItem]), { minItems: 1, maxItems: 10_000 }),
]);
export type ChatInput = Static<typeof ChatInput>;

const fields = {
  model: Type.String({ minLength: 1, description: "Key, variant or identifier of an instance." }),
  input: ChatInput,
  system_prompt: opt(Type.String({ description: "Replaces that of a continued chat." })),
  integrations: opt(Type.Array(Type.Unknown(), { description: "Not available: must be empty." })),
  stream: opt(Type.Boolean({ description: "Answer as server-sent events." })),
  temperature: opt(decimal("0 = greedy. Default 0.8.", { minimum: 0, maximum: 1 })),
  top_p: opt(decimal("1 = off. Default 0.95.", { minimum: 0, maximum: 1 })),
  top_k: opt(integer("0 = off. Default 40.", { minimum: 0, maximum: 2_147_483_647 })),
  min_p: opt(decimal("0 = off. Default 0.05.", { minimum: 0, maximum: 1 })),
  repeat_penalty: opt(decimal("1 = off.", { exclusiveMinimum: 0, maximum: 10 })),
  max_output_tokens: opt(integer("Reasoning included. Default: no bound.", { minimum: 1 })),
  reasoning: opt(ReasoningWord),
  context_length: opt(
    integer("Tokens. A model that a request loaded with fewer is loaded anew when it is idle.", {
      minimum: 1,
    }),
  ),
  store: opt(Type.Boolean({ description: "false = cannot be continued. Default true." })),
  previous_response_id: opt(Type.String({ description: "The answer to continue." })),
};

/** Body of POST /api/v1/chat. */
export const NativeChat = strictObject(fields);

/** With the fields that LM Studio does not have. */
export const ExtendedChat = strictObject({
  ...fields,
  ttl: opt(integer("Idle seconds before a model loaded by this leaves.", { minimum: 1 })),
  draft_model: opt(Type.String()),
  seed: opt(integer("-1 = random.", { minimum: -1 })),
  stop: opt(
    Type.Union([
      Type.String({ maxLength: MAX_STOP_LENGTH }),
      Type.Array(Type.String({ maxLength: MAX_STOP_LENGTH }), { maxItems: MAX_STOPS }),
    ]),
  ),
  lora: loraField,
});
export type ExtendedChat = Static<typeof ExtendedChat>;

const InvalidTool = Type.Object({
  type: Type.Literal("invalid_tool_call"),
  reason: Type.String(),
  metadata: Type.Object({ type: Type.Literal("invalid_name"), tool_name: Type.String() }),
});

const OutputItem = Type.Union([
  Type.Object({ type: Type.Literal("message"), content: Type.String() }),
  Type.Object({ type: Type.Literal("reasoning"), content: Type.String() }),
  InvalidTool,
]);
export type OutputItem = Static<typeof OutputItem>;

export const ChatAnswer = Type.Object({
  model_instance_id: Type.String(),
  output: Type.Array(OutputItem),
  stats: Type.Object({
    input_tokens: Type.Integer(),
    total_output_tokens: Type.Integer(),
    reasoning_output_tokens: Type.Integer(),
    tokens_per_second: Type.Number(),
    time_to_first_token_seconds: Type.Number(),
    model_load_time_seconds: Type.Optional(Type.Number()),
  }),
  response_id: Type.Optional(Type.String({ description: "resp_ and 48 hexadecimal digits." })),
});
export type ChatAnswer = Static<typeof ChatAnswer>;

const event = <Name extends string>(name: Name) => Type.Object({ type: Type.Literal(name) });
const ofInstance = { model_instance_id: Type.String() };
const content = { content: Type.String() };

/** One event of a streamed chat. */
export const ChatEvent = Type.Union([
  Type.Object({ type: Type.Literal("chat.start"), ...ofInstance }),
  Type.Object({ type: Type.Literal("model_load.start"), ...ofInstance }),
  Type.Object({
    type: Type.Literal("model_load.progress"),
    ...ofInstance,
    progress: Type.Number(),
  }),
  Type.Object({
    type: Type.Literal("model_load.end"),
    ...ofInstance,
    load_time_seconds: Type.Number(),
  }),
  event("prompt_processing.start"),
  Type.Object({ type: Type.Literal("prompt_processing.progress"), progress: Type.Number() }),
  event("prompt_processing.end"),
  event("reasoning.start"),
  Type.Object({ type: Type.Literal("reasoning.delta"), ...content }),
  event("reasoning.end"),
  event("message.start"),
  Type.Object({ type: Type.Literal("message.delta"), ...content }),
  event("message.end"),
  Type.Object({
    type: Type.Literal("tool_call.failure"),
    reason: Type.String(),
    metadata: InvalidTool.properties.metadata,
  }),
  Type.Object({ type: Type.Literal("error"), error: NativeErrorBody.properties.error }),
  Type.Object({ type: Type.Literal("chat.end"), result: ChatAnswer }),
]);
export type ChatEvent = Static<typeof ChatEvent>;
