import { Type, type Static, type TSchema } from "typebox";
import { Value } from "typebox/value";
import { MAX_ADAPTERS } from "../lib/limits.ts";
import { nearest } from "./nearest.ts";

const LARGEST = 2 ** 31 - 1;
export const KV_TYPES = ["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"] as const;

/** A schema whose description completes "... is not". */
const integer = (minimum: number, maximum: number) =>
  Type.Integer({ minimum, maximum, description: `an integer from ${minimum} to ${maximum}` });
const number = (minimum: number, maximum: number) =>
  Type.Number({ minimum, maximum, description: `a number from ${minimum} to ${maximum}` });
const oneOf = <const Words extends readonly string[]>(words: Words) =>
  Type.Unsafe<Words[number]>({ enum: [...words], description: `one of ${words.join(", ")}` });

/** Layers on the GPU: as many as fit, none, all, or this share of them. */
export const GpuShare = Type.Union([
  Type.Literal("auto"),
  Type.Literal("off"),
  Type.Literal("max"),
  Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 }),
]);

/** The same, or exactly this many of one model. */
export const Gpu = Type.Union(
  [
    Type.Literal("auto"),
    Type.Literal("off"),
    Type.Literal("max"),
    Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 }),
    Type.Integer({ minimum: 2, maximum: 10_000 }),
  ],
  { description: "auto, off, max, a share from 0 to 1, or a number of layers" },
);

/** Sampling of requests that say nothing of their own. Ranges are those of the request fields. */
const PresetSampling = Type.Partial(
  Type.Object({
    temperature: number(0, 2),
    topK: integer(-1, LARGEST),
    topP: number(0, 1),
    minP: number(0, 1),
    typicalP: number(0, 1),
    topNSigma: number(-1, 100),
    repeatPenalty: number(0.01, 10),
    presencePenalty: number(-2, 2),
    frequencyPenalty: number(-2, 2),
    repeatLastN: integer(-1, LARGEST),
    dryMultiplier: number(0, 100),
    xtcProbability: number(0, 1),
    xtcThreshold: number(0, 1),
    mirostat: Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)], {
      description: "0, 1 or 2",
    }),
    mirostatTau: number(0, 100),
    mirostatEta: number(0, 1),
    seed: integer(0, 2 ** 32 - 2),
  }),
  { additionalProperties: false, description: 'an object such as {"temperature": 0.6}' },
);

/** Those of a stranger's values that make sense as sampling of a model. */
export function validSampling(
  values: Readonly<Record<string, number>>,
): Static<typeof PresetSampling> {
  const { properties } = PresetSampling;
  const known = Object.entries(properties) as [string, TSchema][];
  return Object.fromEntries(
    known.flatMap(([name, schema]) =>
      Object.hasOwn(values, name) && Value.Check(schema, values[name])
        ? [[name, values[name]]]
        : [],
    ),
  );
}

/** A file of this machine: whoever writes the configuration may name any. */
const PresetAdapter = Type.Object(
  {
    path: Type.String({ minLength: 1 }),
    /** For requests that do not choose; absent = 1. */
    scale: Type.Optional(number(-100, 100)),
  },
  { additionalProperties: false },
);

/**
 * How models whose key matches a pattern are loaded and sampled, where a request or an explicit
 * load says nothing. Absent fields leave the server's settings.
 */
const Preset = Type.Partial(
  Type.Object({
    /** Tokens, shared by all slots. */
    contextLength: integer(1, LARGEST),
    parallel: integer(1, 256),
    gpu: Gpu,
    threads: integer(1, 1_024),
    kvTypeK: oneOf(KV_TYPES),
    kvTypeV: oneOf(KV_TYPES),
    flashAttention: oneOf(["auto", "on", "off"]),
    speculation: oneOf(["auto", "off"]),
    /** Base frequency of the rotary positions; absent = the model's own. */
    ropeFreqBase: number(0.001, 1e12),
    /** Factor of their frequencies: 0.5 stretches to twice the trained context. */
    ropeFreqScale: number(1e-6, 1e6),
    /** Idle seconds before a model loaded by a request is unloaded; null = never. */
    ttl: Type.Union([Type.Integer({ minimum: 1, maximum: 2_000_000 }), Type.Null()], {
      description: "an integer from 1 to 2000000, or null",
    }),
    /** LoRA adapters that are loaded with the model, in the order of their numbers. */
    lora: Type.Array(PresetAdapter, {
      maxItems: MAX_ADAPTERS,
      description: 'a list such as [{"path": "/adapters/pirate.gguf", "scale": 0.5}]',
    }),
    /** A file with a Jinja template that replaces the model's own. */
    chatTemplate: Type.String({ minLength: 1, description: "the path of a file" }),
    sampling: PresetSampling,
  }),
  { additionalProperties: false, description: 'an object such as {"contextLength": 8192}' },
);
export type Preset = Readonly<Static<typeof Preset>>;

/** `*` in `model` stands for any text. */
const ModelPreset = Type.Object({ model: Type.String({ minLength: 1 }), preset: Preset });
export type ModelPreset = Readonly<Static<typeof ModelPreset>>;

export const ModelPresets = Type.Array(ModelPreset);

/** `pattern={"contextLength": 8192}`; the pattern itself holds no `=`. */
export function readPreset(text: string): unknown {
  const at = text.indexOf("=");
  if (at === -1) return text;
  try {
    return { model: text.slice(0, at).trim(), preset: JSON.parse(text.slice(at + 1)) as unknown };
  } catch {
    return text; // which the schema refuses
  }
}

/** An object of patterns, as the configuration file has it. */
export function presetsFromFile(value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.entries(value).map(([model, preset]: [string, unknown]) => ({ model, preset }));
}

/** Every field of every preset that makes no sense, as `"pattern": field: value is not ...`. */
export function explainPresets(value: unknown): string[] {
  if (!Array.isArray(value)) return [`${shown(value)} is not an object of model patterns`];
  return value.flatMap((item: unknown) => {
    if (!Value.Check(Type.Object({ model: Type.String(), preset: Type.Unknown() }), item)) {
      return [`${shown(item)} is not a model and its preset, such as qwen*={"parallel": 2}`];
    }
    const pattern = JSON.stringify(item.model.slice(0, 80));
    if (item.model === "") return [`${pattern}: a preset names a model, or *`];
    return explainFields(Preset, item.preset).map((problem) => `${pattern}: ${problem}`);
  });
}

function explainFields(schema: TSchema, value: unknown): string[] {
  const { description = "valid", properties } = schema as {
    description?: string;
    properties?: Readonly<Record<string, TSchema>>;
  };
  const isObject = value !== null && typeof value === "object" && !Array.isArray(value);
  if (properties === undefined || !isObject) {
    return Value.Check(schema, value) ? [] : [`${shown(value)} is not ${description}`];
  }
  return Object.entries(value).flatMap(([name, field]: [string, unknown]) => {
    const known = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (known === undefined) {
      const suggestion = nearest(name, Object.keys(properties));
      return `${shown(name)} is not a field${suggestion === null ? "" : `; did you mean "${suggestion}"?`}`;
    }
    return explainFields(known, field).map((problem) => `${name}: ${problem}`);
  });
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, 80);
}
