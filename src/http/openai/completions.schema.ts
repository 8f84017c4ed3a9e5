import { Type, type Static } from "typebox";
import { MAX_BEST_OF, MAX_PROMPTS } from "../../lib/limits.ts";
import { integer, opt } from "../schema.ts";
import { commonFields } from "./chat-completions.schema.ts";
import { samplingFields } from "./sampling.schema.ts";

const TokenIds = Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 });

/** Text or token ids, one or several; null is the empty prompt. */
export const PromptField = Type.Union([
  Type.String(),
  Type.Array(Type.String(), { minItems: 1, maxItems: MAX_PROMPTS }),
  TokenIds,
  Type.Array(TokenIds, { minItems: 1, maxItems: MAX_PROMPTS }),
  Type.Null(),
]);
export type PromptField = Static<typeof PromptField>;

/** Body of POST /v1/completions. Source: OpenAI API reference, "Create completion". */
export const CompletionRequest = Type.Object({
  prompt: PromptField,
  ...commonFields,
  ...samplingFields,
  max_tokens: opt(integer("Default 16; 0 = nothing, -1 = no bound.", { minimum: -1 })),
  max_completion_tokens: opt(integer("Another name of max_tokens, and stronger.", { minimum: -1 })),
  suffix: opt(Type.String({ description: "Text after the gap, for models that fill in." })),
  echo: opt(Type.Boolean({ description: "The text starts with the prompt." })),
  logprobs: opt(integer("Alternatives per token.", { minimum: 0, maximum: 5 })),
  best_of: opt(
    integer("Choices generated, of which the n best are returned.", {
      minimum: 1,
      maximum: MAX_BEST_OF,
    }),
  ),
});
export type CompletionRequest = Static<typeof CompletionRequest>;
