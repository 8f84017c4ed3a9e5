import { Type, type Static } from "typebox";
import { invalidRequest } from "../../lib/errors.ts";
import type { LoadRequest } from "../../pool/pool.ts";
import { KvType } from "../../protocol/commands.ts";
import { decimal, integer, opt } from "../schema.ts";

/** How a model computes, beyond what LM Studio's API has fields for. Names as in llama.cpp. */
export const tuningFields = {
  threads: opt(
    integer("Compute threads, at most the processors. Default: the physical cores.", {
      minimum: 1,
    }),
  ),
  cache_type_k: opt(KvType),
  cache_type_v: opt(KvType),
  rope_freq_base: opt(decimal("Default: the model's own.", { exclusiveMinimum: 0 })),
  rope_freq_scale: opt(
    decimal("0.5 = twice the trained context. Default: the model's own.", { exclusiveMinimum: 0 }),
  ),
};

const Tuning = Type.Object(tuningFields);

const UNQUANTIZED: readonly KvType[] = ["f32", "f16", "bf16"];

/** @throws LmError invalid_value for what llama.cpp refuses when it has read the whole model. */
export function checkCacheType(
  type: KvType | null | undefined,
  flashAttention: boolean | null | undefined,
): void {
  if (type == null || UNQUANTIZED.includes(type) || flashAttention !== false) return;
  throw invalidRequest(
    "cache_type_v",
    "invalid_value",
    `Invalid 'cache_type_v': ${type} needs flash attention. Leave out 'flash_attention', or use f16.`,
  );
}

/** Only what was said. */
export function toTuning(request: Static<typeof Tuning>): Partial<LoadRequest> {
  const { threads, cache_type_k, cache_type_v, rope_freq_base, rope_freq_scale } = request;
  return {
    ...(threads != null && { threads }),
    ...(cache_type_k != null && { kvTypeK: cache_type_k }),
    ...(cache_type_v != null && { kvTypeV: cache_type_v }),
    ...(rope_freq_base != null && { ropeFreqBase: rope_freq_base }),
    ...(rope_freq_scale != null && { ropeFreqScale: rope_freq_scale }),
  };
}
