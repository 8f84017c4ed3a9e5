import { draftFields } from "../draft-stats.ts";
import { Type, type Static } from "typebox";
import { oneOf } from "../schema.ts";

const nullable = <T extends Parameters<typeof Type.Array>[0]>(schema: T) =>
  Type.Union([schema, Type.Null()]);

export const ErrorBody = Type.Object({
  error: Type.Object({
    message: Type.String(),
    type: oneOf(
      ["invalid_request_error", "permission_error", "rate_limit_error", "server_error"],
      "Whose fault it is.",
    ),
    param: nullable(Type.String()),
    code: nullable(Type.String()),
  }),
});

export const Usage = Type.Object({
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  prompt_tokens_details: Type.Object({
    cached_tokens: Type.Integer(),
    audio_tokens: Type.Integer(),
  }),
  completion_tokens_details: Type.Object({
    reasoning_tokens: Type.Integer(),
    audio_tokens: Type.Integer(),
    accepted_prediction_tokens: Type.Integer(),
    rejected_prediction_tokens: Type.Integer(),
  }),
});
export type Usage = Static<typeof Usage>;

const tokenFields = {
  token: Type.String(),
  logprob: Type.Number(),
  bytes: Type.Array(Type.Integer()),
};
export const WireLogprob = Type.Object({
  ...tokenFields,
  top_logprobs: Type.Array(Type.Object(tokenFields)),
});
export type WireLogprob = Static<typeof WireLogprob>;

const ChatLogprobs = Type.Object({ content: Type.Array(WireLogprob), refusal: Type.Null() });

const FunctionCall = Type.Object({ name: Type.String(), arguments: Type.String() });

export const AnswerMessage = Type.Object({
  role: Type.Literal("assistant"),
  content: nullable(Type.String()),
  refusal: Type.Null(),
  reasoning_content: Type.Optional(Type.String()),
  reasoning: Type.Optional(Type.String()),
  annotations: Type.Array(Type.Unknown()),
  tool_calls: Type.Optional(
    Type.Array(
      Type.Object({ id: Type.String(), type: Type.Literal("function"), function: FunctionCall }),
    ),
  ),
  function_call: Type.Optional(FunctionCall),
});
export type AnswerMessage = Static<typeof AnswerMessage>;

const ChatFinish = oneOf(["stop", "length", "tool_calls", "function_call"], "Why it ended.");

/** Present only when a finished answer, or a call, breaks its schema by what no grammar enforces. */
const schemaIssues = Type.Optional(
  Type.Array(Type.String(), {
    description: "Where the answer or its calls break their JSON schemas.",
  }),
);

const stampFields = {
  id: Type.String(),
  created: Type.Integer({ description: "Unix seconds." }),
  model: Type.String({ description: "Identifier of the instance that answered." }),
  system_fingerprint: Type.String(),
};

export const ChatCompletion = Type.Object({
  ...stampFields,
  object: Type.Literal("chat.completion"),
  service_tier: Type.String(),
  choices: Type.Array(
    Type.Object({
      index: Type.Integer(),
      message: AnswerMessage,
      logprobs: nullable(ChatLogprobs),
      finish_reason: ChatFinish,
      schema_issues: schemaIssues,
    }),
  ),
  usage: Usage,
  stats: Type.Object({
    tokens_per_second: Type.Optional(Type.Number()),
    ...draftFields,
  }),
});
export type ChatCompletion = Static<typeof ChatCompletion>;

export const ChatCompletionChunk = Type.Object({
  ...stampFields,
  object: Type.Literal("chat.completion.chunk"),
  choices: Type.Array(
    Type.Object({
      index: Type.Integer(),
      delta: Type.Object({
        role: Type.Optional(Type.Literal("assistant")),
        content: Type.Optional(nullable(Type.String())),
        reasoning_content: Type.Optional(Type.String()),
        tool_calls: Type.Optional(Type.Array(Type.Unknown())),
      }),
      logprobs: nullable(ChatLogprobs),
      finish_reason: nullable(ChatFinish),
      schema_issues: schemaIssues,
    }),
  ),
  usage: Type.Optional(nullable(Usage)),
});

export const LegacyLogprobs = Type.Object({
  tokens: Type.Array(Type.String()),
  token_logprobs: Type.Array(nullable(Type.Number())),
  top_logprobs: Type.Array(nullable(Type.Record(Type.String(), Type.Number()))),
  text_offset: Type.Array(Type.Integer({ description: "In code points." })),
});
export type LegacyLogprobs = Static<typeof LegacyLogprobs>;

export const Completion = Type.Object({
  ...stampFields,
  object: Type.Literal("text_completion"),
  choices: Type.Array(
    Type.Object({
      index: Type.Integer(),
      text: Type.String(),
      logprobs: nullable(LegacyLogprobs),
      finish_reason: nullable(oneOf(["stop", "length"], "null until the end of a stream.")),
      schema_issues: schemaIssues,
    }),
  ),
  usage: Type.Optional(nullable(Usage)),
});
export type Completion = Static<typeof Completion>;

export const EmbeddingList = Type.Object({
  object: Type.Literal("list"),
  model: Type.String(),
  data: Type.Array(
    Type.Object({
      object: Type.Literal("embedding"),
      index: Type.Integer(),
      embedding: Type.Union([
        Type.Array(Type.Number()),
        Type.String({ description: "base64 of little-endian float32." }),
      ]),
    }),
  ),
  usage: Type.Object({ prompt_tokens: Type.Integer(), total_tokens: Type.Integer() }),
});
export type EmbeddingList = Static<typeof EmbeddingList>;

export const ModelObject = Type.Object({
  id: Type.String(),
  object: Type.Literal("model"),
  created: Type.Integer(),
  owned_by: Type.String(),
  type: Type.Literal("model"),
  display_name: Type.String(),
  created_at: Type.String(),
  max_context_length: Type.Integer(),
  loaded_context_length: Type.Optional(Type.Integer()),
  context_length: Type.Integer(),
  state: oneOf(["loaded", "loading", "not-loaded"], "Whether it is in memory."),
});
export type ModelObject = Static<typeof ModelObject>;

export const ModelList = Type.Object({
  object: Type.Literal("list"),
  data: Type.Array(ModelObject),
  has_more: Type.Boolean(),
  first_id: nullable(Type.String()),
  last_id: nullable(Type.String()),
});
export type ModelList = Static<typeof ModelList>;

export const TokenCount = Type.Object({
  object: Type.Literal("response.input_tokens"),
  input_tokens: Type.Integer(),
});

export const RenderedPrompt = Type.Object({
  object: Type.Literal("chat.completion.render"),
  model: Type.String(),
  prompt: Type.String(),
  prompt_tokens: Type.Integer(),
});
