import { Type, type Static } from "typebox";
import { invalidRequest } from "../../lib/errors.ts";
import { printable } from "../../lib/printable.ts";
import { DEFAULT_SAMPLING, type SamplerName, type Sampling } from "../../protocol/sampling.ts";
import { outOfRange, unsupportedValue } from "../refusals.ts";
import { samplingFields } from "./sampling.schema.ts";

const SamplingRequest = Type.Object(samplingFields);
/** Absent, null and undefined are the same. */
type SamplingRequest = {
  readonly [Name in keyof Static<typeof SamplingRequest>]:
    Static<typeof SamplingRequest>[Name] | undefined;
};

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

/** The request's own choices; what it leaves open is absent. */
export function toSampling(body: SamplingRequest): Partial<Sampling> {
  const { samplers, logit_bias: bias, seed, dry_base: dryBase } = body;
  const chosen = {
    temperature: body.temperature,
    dynatempRange: body.dynatemp_range,
    dynatempExponent: body.dynatemp_exponent,
    topK: body.top_k,
    topP: body.top_p,
    minP: body.min_p,
    typicalP: body.typical_p ?? body.typ_p,
    topNSigma: body.top_n_sigma,
    minKeep: body.min_keep,
    repeatPenalty: body.repeat_penalty ?? body.repetition_penalty,
    presencePenalty: body.presence_penalty,
    frequencyPenalty: body.frequency_penalty,
    repeatLastN: body.repeat_last_n,
    dryMultiplier: body.dry_multiplier,
    dryBase: dryBase == null || dryBase >= 1 ? dryBase : DEFAULT_SAMPLING.dryBase,
    dryAllowedLength: body.dry_allowed_length,
    dryPenaltyLastN: body.dry_penalty_last_n,
    drySequenceBreakers: body.dry_sequence_breakers,
    xtcProbability: body.xtc_probability,
    xtcThreshold: body.xtc_threshold,
    mirostat: body.mirostat,
    mirostatTau: body.mirostat_tau,
    mirostatEta: body.mirostat_eta,
    adaptiveTarget: body.adaptive_target,
    adaptiveDecay: body.adaptive_decay,
    samplers: samplers == null ? null : toSamplers(samplers),
    logitBias: bias == null ? null : toLogitBias(bias),
    ignoreEos: body.ignore_eos,
  } satisfies { [Name in Exclude<keyof Sampling, "seed">]: Sampling[Name] | null | undefined };
  const said = Object.entries(chosen).filter(([, value]) => value != null);
  return {
    ...(Object.fromEntries(said) as Partial<Sampling>),
    ...(seed != null && { seed: toSeed(seed) }),
  };
}

/** Modulo 2^32; the largest value means "random" to llama.cpp and is avoided. null = random. */
function toSeed(seed: number): number | null {
  if (seed === -1) return null;
  const bits = Number(BigInt.asUintN(32, BigInt(seed)));
  return bits === 0xffff_ffff ? 0xffff_fffe : bits;
}

function toSamplers(samplers: readonly string[] | string): SamplerName[] {
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

/** An id that no vocabulary reaches, for all that are larger: they are ignored. */
const UNKNOWN_TOKEN = 2 ** 31 - 1;

function toLogitBias(bias: Readonly<Record<string, unknown>> | readonly unknown[]): LogitBias {
  if (!isArray(bias)) {
    return Object.entries(bias).map(([key, value]) => [
      /^\d+$/.test(key) ? Math.min(Number(key), UNKNOWN_TOKEN) : key.toWellFormed(),
      toBias(value, `logit_bias.${printable(key)}`),
    ]);
  }
  return bias.map((pair, index) => {
    const path = `logit_bias[${index}]`;
    if (!Array.isArray(pair) || pair.length !== 2) throw wrongType(path, "an array of two items");
    const [token, value]: unknown[] = pair;
    if (typeof token === "string") return [token.toWellFormed(), toBias(value, `${path}[1]`)];
    if (!Number.isInteger(token)) throw wrongType(`${path}[0]`, "one of a string or integer");
    return [Math.min(Number(token), UNKNOWN_TOKEN), toBias(value, `${path}[1]`)];
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
