import { Type } from "typebox";
import * as numbers from "../config/number-settings.ts";
import { setting } from "../config/setting.ts";
import * as words from "../config/word-settings.ts";
import { KV_TYPES } from "../config/presets.ts";

const positive = (flag: string, help: string) =>
  setting({
    flag,
    argument: "<number>",
    flagOnly: true,
    schema: Type.Union([Type.Number({ exclusiveMinimum: 0 }), Type.Null()]),
    fallback: null,
    accepts: "a number above 0",
    read: (texts) => Number(texts.at(-1)),
    help,
  });

const cacheType = (flag: string, help: string) =>
  words.choiceSetting({ flag, flagOnly: true, words: KV_TYPES, fallback: null, help });

/** Flags of `load` that say how a model computes; absent ones leave the server's settings. */
export const TUNING_FLAGS = {
  threads: numbers.autoIntegerSetting({
    flag: "threads",
    minimum: 1,
    flagOnly: true,
    help: "Compute threads (default: the server's)",
  }),
  flashAttention: words.choiceSetting({
    flag: "flash-attention",
    flagOnly: true,
    words: ["on", "off"],
    fallback: null,
    help: "Fused attention (default: where it is possible)",
  }),
  cacheTypeK: cacheType("cache-type-k", "Type of the keys in the KV cache (default: f16)"),
  cacheTypeV: cacheType("cache-type-v", "Type of the values in the KV cache (default: f16)"),
  ropeFreqBase: positive("rope-freq-base", "Base frequency of positions (default: the model's)"),
  ropeFreqScale: positive(
    "rope-freq-scale",
    "Factor of their frequencies: 0.5 stretches to twice the context (default: the model's)",
  ),
};

interface Tuning {
  threads: number | null;
  flashAttention: "on" | "off" | null;
  cacheTypeK: string | null;
  cacheTypeV: string | null;
  ropeFreqBase: number | null;
  ropeFreqScale: number | null;
}

/** What was said, as fields of a load. */
export function tuningBody(values: Tuning): Record<string, unknown> {
  const { threads, flashAttention, cacheTypeK, cacheTypeV, ropeFreqBase, ropeFreqScale } = values;
  const fields = {
    threads,
    flash_attention: flashAttention === null ? null : flashAttention === "on",
    cache_type_k: cacheTypeK,
    cache_type_v: cacheTypeV,
    rope_freq_base: ropeFreqBase,
    rope_freq_scale: ropeFreqScale,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}
