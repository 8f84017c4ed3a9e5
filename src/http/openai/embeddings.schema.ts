import { Type, type Static } from "typebox";
import { MAX_EMBEDDING_INPUTS } from "../../lib/limits.ts";
import { ignored, integer, oneOf, opt } from "../schema.ts";

const Text = Type.String({ minLength: 1 });
const TokenIds = Type.Array(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }), {
  minItems: 1,
});
const limits = { minItems: 1, maxItems: MAX_EMBEDDING_INPUTS };

/** Body of POST /v1/embeddings. Source: OpenAI API reference, "Create embeddings". */
export const EmbeddingRequest = Type.Object({
  model: opt(Type.String()),
  input: Type.Union([Text, Type.Array(Text, limits), TokenIds, Type.Array(TokenIds, limits)], {
    description: "A text, token ids, or a list of either.",
  }),
  encoding_format: opt(oneOf(["float", "base64"], "base64 = little-endian float32.")),
  dimensions: opt(integer("Keep the first ones, then normalise again.", { minimum: 1 })),
  ttl: opt(integer("Idle seconds before a model loaded by this request leaves.", { minimum: 1 })),
  user: ignored.string,
});
export type EmbeddingRequest = Static<typeof EmbeddingRequest>;
