import { Type, type Static } from "typebox";

/** The samplers whose order a request may choose. Source: llama.cpp, common/sampling. */
export const SamplerName = Type.Union([
  Type.Literal("penalties"),
  Type.Literal("dry"),
  Type.Literal("top_n_sigma"),
  Type.Literal("top_k"),
  Type.Literal("typ_p"),
  Type.Literal("top_p"),
  Type.Literal("min_p"),
  Type.Literal("xtc"),
  Type.Literal("temperature"),
  Type.Literal("adaptive_p"),
]);
export type SamplerName = Static<typeof SamplerName>;

/**
 * How the next token is chosen from the logits. Every field is set: defaults are decided above.
 * Ranges are those of the OpenAI contract; a field's "off" value is in its comment.
 */
export const Sampling = Type.Object({
  /** 0 = greedy (argmax). */
  temperature: Type.Number(),
  /** 0 = off: the temperature varies by entropy within temperature +- range. */
  dynatempRange: Type.Number(),
  dynatempExponent: Type.Number(),
  /** <= 0 = off. */
  topK: Type.Integer(),
  /** 1 = off. */
  topP: Type.Number(),
  /** 0 = off. */
  minP: Type.Number(),
  /** 1 = off. */
  typicalP: Type.Number(),
  /** < 0 = off. */
  topNSigma: Type.Number(),
  /** Candidates that truncating samplers always leave. */
  minKeep: Type.Integer(),
  /** 1 = off. */
  repeatPenalty: Type.Number(),
  /** 0 = off. */
  presencePenalty: Type.Number(),
  /** 0 = off. */
  frequencyPenalty: Type.Number(),
  /** Tokens looked back at by the three penalties; 0 = off, -1 = the whole context. */
  repeatLastN: Type.Integer(),
  /** 0 = DRY off. */
  dryMultiplier: Type.Number(),
  dryBase: Type.Number(),
  dryAllowedLength: Type.Integer(),
  /** Tokens DRY looks back at; -1 = the whole context. */
  dryPenaltyLastN: Type.Integer(),
  drySequenceBreakers: Type.Array(Type.String()),
  /** 0 = XTC off. */
  xtcProbability: Type.Number(),
  /** > 0.5 = XTC off. */
  xtcThreshold: Type.Number(),
  /** 0 = off, 1 or 2 = the version. Replaces the truncating samplers. */
  mirostat: Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)]),
  mirostatTau: Type.Number(),
  mirostatEta: Type.Number(),
  /** < 0 = off. */
  adaptiveTarget: Type.Number(),
  adaptiveDecay: Type.Number(),
  /** Order of application; mirostat and greedy ignore it. */
  samplers: Type.Array(SamplerName),
  /**
   * Added to logits: [token id or text, bias]. A text means each of its tokens. null = never chosen.
   * Ids outside the vocabulary are ignored.
   */
  logitBias: Type.Array(
    Type.Tuple([
      Type.Union([Type.Integer(), Type.String()]),
      Type.Union([Type.Number(), Type.Null()]),
    ]),
  ),
  /** Bans every end-of-generation token. */
  ignoreEos: Type.Boolean(),
  /** 0..2^32-2; null = random. Choice i of a job uses seed + i. */
  seed: Type.Union([Type.Integer(), Type.Null()]),
});
export type Sampling = Static<typeof Sampling>;

/** The defaults of the OpenAI contract, section 5.1. */
export const DEFAULT_SAMPLING: Sampling = Object.freeze({
  temperature: 0.8,
  dynatempRange: 0,
  dynatempExponent: 1,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  typicalP: 1,
  topNSigma: -1,
  minKeep: 0,
  repeatPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repeatLastN: 64,
  dryMultiplier: 0,
  dryBase: 1.75,
  dryAllowedLength: 2,
  dryPenaltyLastN: 64,
  drySequenceBreakers: ["\n", ":", '"', "*"],
  xtcProbability: 0,
  xtcThreshold: 0.1,
  mirostat: 0,
  mirostatTau: 5,
  mirostatEta: 0.1,
  adaptiveTarget: -1,
  adaptiveDecay: 0.9,
  samplers: [
    "penalties",
    "dry",
    "top_n_sigma",
    "top_k",
    "typ_p",
    "top_p",
    "min_p",
    "xtc",
    "temperature",
  ] as SamplerName[],
  logitBias: [],
  ignoreEos: false,
  seed: null,
});
