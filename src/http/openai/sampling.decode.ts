import { Type, type Static } from "typebox";
import { invalidRequest } from "../../lib/errors.ts";
import { DEFAULT_SAMPLING, type SamplerName, type Sampling } from "../../protocol/sampling.ts";
import { outOfRange, printable, unsupportedValue } from "../validate.ts";
import { samplingFields } from "./sampling.schema.ts";

const SamplingRequest = Type.Object(samplingFields);
type SamplingRequest = Static<typeof SamplingRequest>;

/** The samplers by name and by the letter of llama.cpp's `--sampling-seq`. */
const SAMPLERS: readonly (readonly [letter: string, name: SamplerName, alias?: string])[] = [
  ["e", "penalties"],
  ["d", "dry"],
  ["s", "top_n_sigma"],
  ["k", "top_k"],
  ["y", "typ_p", "typical_p"],
  ["p", "top_p"],
  ["m", "min_p"],
  ["x", "xtc"],
  ["t", "temperature"],
  ["a", "adaptive_p"],
];

/** The request's own choices over the defaults. */
export function toSampling(body: SamplingRequest): Sampling {
  const base = DEFAULT_SAMPLING;
  const dryBase = body.dry_base ?? base.dryBase;
  return {
    temperature: body.temperature ?? base.temperature,
    dynatempRange: body.dynatemp_range ?? base.dynatempRange,
    dynatempExponent: body.dynatemp_exponent ?? base.dynatempExponent,
    topK: body.top_k ?? base.topK,
    topP: body.top_p ?? base.topP,
    minP: body.min_p ?? base.minP,
    typicalP: body.typical_p ?? body.typ_p ?? base.typicalP,
    topNSigma: body.top_n_sigma ?? base.topNSigma,
    minKeep: body.min_keep ?? base.minKeep,
    repeatPenalty: body.repeat_penalty ?? body.repetition_penalty ?? base.repeatPenalty,
    presencePenalty: body.presence_penalty ?? base.presencePenalty,
    frequencyPenalty: body.frequency_penalty ?? base.frequencyPenalty,
    repeatLastN: body.repeat_last_n ?? base.repeatLastN,
    dryMultiplier: body.dry_multiplier ?? base.dryMultiplier,
    dryBase: dryBase < 1 ? base.dryBase : dryBase,
    dryAllowedLength: body.dry_allowed_length ?? base.dryAllowedLength,
    dryPenaltyLastN: body.dry_penalty_last_n ?? base.dryPenaltyLastN,
    drySequenceBreakers: body.dry_sequence_breakers ?? base.drySequenceBreakers,
    xtcProbability: body.xtc_probability ?? base.xtcProbability,
    xtcThreshold: body.xtc_threshold ?? base.xtcThreshold,
    mirostat: body.mirostat ?? base.mirostat,
    mirostatTau: body.mirostat_tau ?? base.mirostatTau,
    mirostatEta: body.mirostat_eta ?? base.mirostatEta,
    adaptiveTarget: body.adaptive_target ?? base.adaptiveTarget,
    adaptiveDecay: body.adaptive_decay ?? base.adaptiveDecay,
    samplers: toSamplers(body.samplers ?? null),
    logitBias: toLogitBias(body.logit_bias ?? null),
    ignoreEos: body.ignore_eos ?? base.ignoreEos,
    seed: toSeed(body.seed ?? null),
  };
}

/** Modulo 2^32; the largest value means "random" to llama.cpp and is avoided. */
function toSeed(seed: number | null): number | null {
  if (seed === null || seed === -1) return null;
  const bits = Number(BigInt.asUintN(32, BigInt(seed)));
  return bits === 0xffff_ffff ? 0xffff_fffe : bits;
}

function toSamplers(samplers: readonly string[] | string | null): SamplerName[] {
  if (samplers === null) return [...DEFAULT_SAMPLING.samplers];
  const words = typeof samplers === "string" ? Array.from(samplers) : samplers;
  const isLetters = typeof samplers === "string";
  return words.map((word, index) => {
    const row = SAMPLERS.find(([letter, name, alias]) =>
      isLetters ? letter === word : name === word || alias === word,
    );
    if (row) return row[1];
    const supported = SAMPLERS.map(([letter, name]) => (isLetters ? letter : name));
    throw unsupportedValue(isLetters ? "samplers" : `samplers[${index}]`, word, supported);
  });
}

type LogitBias = Sampling["logitBias"];

function toLogitBias(
  bias: Readonly<Record<string, unknown>> | readonly unknown[] | null,
): LogitBias {
  if (bias === null) return [];
  if (!isArray(bias)) {
    return Object.entries(bias).map(([key, value]) => [
      /^\d{1,10}$/.test(key) ? Number(key) : key.toWellFormed(),
      toBias(value, `logit_bias.${printable(key)}`),
    ]);
  }
  return bias.map((pair, index) => {
    const path = `logit_bias[${index}]`;
    if (!Array.isArray(pair) || pair.length !== 2) throw wrongType(path, "an array of two items");
    const [token, value]: unknown[] = pair;
    if (typeof token === "string") return [token.toWellFormed(), toBias(value, `${path}[1]`)];
    if (!Number.isSafeInteger(token)) throw wrongType(`${path}[0]`, "one of a string or integer");
    return [Number(token), toBias(value, `${path}[1]`)];
  });
}

const isArray = (value: object): value is readonly unknown[] => Array.isArray(value);

/** null = never chosen. */
function toBias(value: unknown, path: string): number | null {
  if (value === false) return null;
  if (typeof value !== "number") throw wrongType(path, "a number");
  if (value < -100) throw outOfRange(path, "decimal", "below_min", ">= -100", value);
  if (value > 100) throw outOfRange(path, "decimal", "above_max", "<= 100", value);
  return value === -100 ? null : value;
}

function wrongType(path: string, expected: string) {
  return invalidRequest(path, "invalid_type", `Invalid type for '${path}': expected ${expected}.`);
}
