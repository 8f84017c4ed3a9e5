import { Type } from "typebox";
import { decimal, integer, opt } from "../schema.ts";

const MAX_INT32 = 2_147_483_647;

/** How the next token is chosen. Shared by every route that generates text. */
export const samplingFields = {
  temperature: opt(decimal("0 = greedy. Default 0.8.", { minimum: 0, maximum: 2 })),
  top_p: opt(decimal("1 = off. Default 0.95.", { minimum: 0, maximum: 1 })),
  top_k: opt(integer("0 and -1 = off. Default 40.", { minimum: -1, maximum: MAX_INT32 })),
  min_p: opt(decimal("0 = off. Default 0.05.", { minimum: 0, maximum: 1 })),
  typical_p: opt(decimal("1 = off.", { minimum: 0, maximum: 1 })),
  typ_p: opt(decimal("Alias of typical_p.", { minimum: 0, maximum: 1 })),
  top_n_sigma: opt(decimal("Negative = off.")),
  presence_penalty: opt(decimal("0 = off.", { minimum: -2, maximum: 2 })),
  frequency_penalty: opt(decimal("0 = off.", { minimum: -2, maximum: 2 })),
  repeat_penalty: opt(decimal("1 = off.", { exclusiveMinimum: 0, maximum: 10 })),
  repetition_penalty: opt(
    decimal("Alias of repeat_penalty.", { exclusiveMinimum: 0, maximum: 10 }),
  ),
  repeat_last_n: opt(
    integer("Tokens the penalties look back at; 0 = none, -1 = all.", {
      minimum: -1,
      maximum: MAX_INT32,
    }),
  ),
  dry_multiplier: opt(decimal("0 = off.", { minimum: 0 })),
  dry_base: opt(decimal("Values below 1 mean the default, 1.75.")),
  dry_allowed_length: opt(integer("Default 2.", { minimum: 0, maximum: MAX_INT32 })),
  dry_penalty_last_n: opt(integer("-1 = all.", { minimum: -1, maximum: MAX_INT32 })),
  dry_sequence_breakers: opt(Type.Array(Type.String(), { minItems: 1 })),
  xtc_probability: opt(decimal("0 = off.", { minimum: 0, maximum: 1 })),
  xtc_threshold: opt(decimal("Above 0.5 = off.", { minimum: 0, maximum: 1 })),
  mirostat: opt(Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)])),
  mirostat_tau: opt(decimal("Default 5.", { exclusiveMinimum: 0 })),
  mirostat_eta: opt(decimal("Default 0.1.", { exclusiveMinimum: 0 })),
  dynatemp_range: opt(decimal("0 = off.", { minimum: 0 })),
  dynatemp_exponent: opt(decimal("Default 1.")),
  adaptive_target: opt(decimal("Negative = off.", { maximum: 1 })),
  adaptive_decay: opt(decimal("Default 0.9.", { minimum: 0, maximum: 0.99 })),
  min_keep: opt(integer("Candidates that truncation leaves.", { minimum: 0, maximum: MAX_INT32 })),
  samplers: opt(
    Type.Union([Type.Array(Type.String()), Type.String()], {
      description: "Order of the samplers: names, or one letter each.",
    }),
  ),
  logit_bias: opt(
    Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Array(Type.Unknown())], {
      description: "Token id or text to bias, -100 (never) to 100 (always); false = never.",
    }),
  ),
  ignore_eos: opt(Type.Boolean()),
  seed: opt(Type.Integer({ minimum: -(2 ** 63), maximum: 2 ** 63, description: "-1 = random." })),
};
