import { Type, type Static } from "typebox";
import { Sampling } from "./sampling.ts";

/** KV cache element types the engine can hold. Source: llama.cpp `--cache-type-k`. */
export const KvType = Type.Union([
  Type.Literal("f32"),
  Type.Literal("f16"),
  Type.Literal("bf16"),
  Type.Literal("q8_0"),
  Type.Literal("q5_1"),
  Type.Literal("q5_0"),
  Type.Literal("q4_1"),
  Type.Literal("q4_0"),
]);
export type KvType = Static<typeof KvType>;

/** Layers computed on a GPU: as many as fit, none, all, this share of them, or exactly this many. */
export const GpuLayers = Type.Union([
  Type.Literal("auto"),
  Type.Literal("off"),
  Type.Literal("max"),
  Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 }),
  Type.Integer({ minimum: 0 }),
]);
export type GpuLayers = Static<typeof GpuLayers>;

/** A LoRA adapter that is loaded with a model; its place in the list is its number. */
export const LoadedAdapter = Type.Object({
  /** What requests call it. */
  name: Type.String({ minLength: 1 }),
  /** Absolute path of the GGUF. */
  path: Type.String(),
  sizeBytes: Type.Number(),
  /** For jobs that do not choose; 0 = off. */
  scale: Type.Number(),
});
export type LoadedAdapter = Static<typeof LoadedAdapter>;

/** How strongly a job uses one of the model's adapters, by number or name. */
export const AdapterScale = Type.Object({
  adapter: Type.Union([Type.Integer({ minimum: 0 }), Type.String()]),
  scale: Type.Number(),
});
export type AdapterScale = Static<typeof AdapterScale>;

/** A small model that guesses what the loaded one will say. */
export const DraftOptions = Type.Object({
  /** Its key, by which it is told of. */
  name: Type.String(),
  /** Absolute path of the GGUF; of the first shard when it is split. */
  modelPath: Type.String(),
  /** Guesses per step and sequence. */
  maxTokens: Type.Integer({ minimum: 1 }),
  /** Fewer guesses are not checked. */
  minTokens: Type.Integer({ minimum: 0 }),
  /** A guess less likely than this, by the draft model itself, ends its guesses; 0 = never. */
  minProbability: Type.Number({ minimum: 0, maximum: 1 }),
});
export type DraftOptions = Static<typeof DraftOptions>;

/** Everything that decides how a model file becomes a loaded model. */
export const LoadOptions = Type.Object({
  /** Absolute path of the GGUF; of the first shard when the model is split. */
  modelPath: Type.String(),
  /** Tokens shared by all slots; null = the model's own maximum, at most 32768. */
  contextLength: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()]),
  /** Slots: sequences that generate at the same time. */
  parallel: Type.Integer({ minimum: 1, maximum: 256 }),
  /** Tokens per decode. */
  batchCapacity: Type.Integer({ minimum: 1 }),
  gpuLayers: GpuLayers,
  /** Compute threads; null = the physical cores this process may use. */
  threads: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()]),
  kvTypeK: KvType,
  kvTypeV: KvType,
  flashAttention: Type.Union([Type.Literal("auto"), Type.Literal("on"), Type.Literal("off")]),
  mmap: Type.Boolean(),
  /** The KV cache lies where its layers are computed; false = in main memory. Absent = true. */
  kvOnGpu: Type.Optional(Type.Boolean()),
  /** Base frequency of the rotary positions; absent = the model's own. */
  ropeFreqBase: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
  /** Factor of their frequencies, 0.5 = positions at half the distance; absent = the model's own. */
  ropeFreqScale: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
  /** Experts that each token uses, of a model of that architecture; absent = the model's own number. */
  experts: Type.Optional(
    Type.Object({ architecture: Type.String(), used: Type.Integer({ minimum: 1 }) }),
  ),
  /** LoRA adapters; absent = none. */
  adapters: Type.Optional(Type.Array(LoadedAdapter)),
  /** Guessing tokens ahead: where it pays, or never. */
  speculation: Type.Union([Type.Literal("auto"), Type.Literal("off")]),
  /** Where prefixes are kept beyond the KV cache, and how many bytes of them; absent = nowhere. */
  prefixCache: Type.Optional(
    Type.Object({
      /** Absolute path, shared by all engines of the user; null = none. */
      folder: Type.Union([Type.String(), Type.Null()]),
      /** Of all models together; 0 = not on disk. */
      diskBytes: Type.Integer({ minimum: 0 }),
      /** Of one engine: for all when nothing is kept on disk, for short ones always; 0 = not in memory. */
      memoryBytes: Type.Integer({ minimum: 0 }),
    }),
  ),
  /** Absent = guesses come from the text alone. */
  draft: Type.Optional(DraftOptions),
  /** What the model is used for: an embedding model needs no KV cache for generation. */
  purpose: Type.Union([Type.Literal("generate"), Type.Literal("embed")]),
});
export type LoadOptions = Static<typeof LoadOptions>;

/**
 * When a grammar begins to constrain the tokens of a choice.
 * - `start`: from the first token.
 * - `after`: from the first token after the text `end` was generated; until then end-of-generation
 *   is banned. For answers that follow an open reasoning block.
 * - `marker`: free text until one of `markers` is generated outside reasoning; the grammar's root
 *   begins with that marker, and constrains from there.
 */
export const GrammarAttach = Type.Union([
  Type.Object({ kind: Type.Literal("start") }),
  Type.Object({ kind: Type.Literal("after"), end: Type.String({ minLength: 1 }) }),
  Type.Object({
    kind: Type.Literal("marker"),
    markers: Type.Array(Type.String({ minLength: 1 }), { minItems: 1 }),
    /** Reasoning tags inside which markers are plain text; null = the model has none. */
    reasoning: Type.Union([
      Type.Object({ open: Type.Boolean(), start: Type.String(), end: Type.String() }),
      Type.Null(),
    ]),
  }),
]);
export type GrammarAttach = Static<typeof GrammarAttach>;

export const GrammarSpec = Type.Object({
  /** GBNF; the start symbol is `root`. */
  gbnf: Type.String(),
  attach: GrammarAttach,
});
export type GrammarSpec = Static<typeof GrammarSpec>;

/** A prompt as text, or as token ids which are used as they are. */
export const JobPrompt = Type.Union([
  Type.Object({
    kind: Type.Literal("text"),
    text: Type.String(),
    /** Adds BOS (and EOS) where the vocabulary says so. */
    addSpecial: Type.Boolean(),
    /** Control-token text such as `<|im_start|>` becomes the control token. */
    parseSpecial: Type.Boolean(),
  }),
  Type.Object({ kind: Type.Literal("tokens"), tokens: Type.Array(Type.Integer()) }),
  /** Fill-in-the-middle: the engine arranges the vocabulary's FIM tokens. */
  Type.Object({ kind: Type.Literal("infill"), prefix: Type.String(), suffix: Type.String() }),
]);
export type JobPrompt = Static<typeof JobPrompt>;

/** One generation: one prompt, `choices` completions of it. */
export const GenerateJob = Type.Object({
  prompt: JobPrompt,
  sampling: Sampling,
  grammar: Type.Union([GrammarSpec, Type.Null()]),
  /** Generation ends before any of these texts; it is not returned. No empty strings. */
  stops: Type.Array(Type.String({ minLength: 1 })),
  /** Upper bound of sampled tokens per choice; null = until the end token or the context's end. */
  maxTokens: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
  choices: Type.Integer({ minimum: 1, maximum: 128 }),
  /** Alternatives per token, 0..20; null = no log probabilities at all. */
  logprobs: Type.Union([Type.Integer({ minimum: 0, maximum: 20 }), Type.Null()]),
  /** Log probabilities also of sampled tokens without text, the end token too; absent = no. */
  hiddenLogprobs: Type.Optional(Type.Boolean()),
  /** Also score the prompt's own tokens, with `logprobs` alternatives. */
  promptLogprobs: Type.Boolean(),
  /** Texts that stay visible when they are control tokens, for example `<tool_call>`. */
  keepSpecial: Type.Array(Type.String()),
  /** Reuse a stored prefix of this prompt, and store what it becomes. */
  cachePrompt: Type.Boolean(),
  /** The LoRA adapters to use, all others off; absent = those of the load, at their scales. */
  adapters: Type.Optional(Type.Array(AdapterScale)),
  /**
   * Whose prefixes these are: only jobs of one scope share any. Never a secret itself; "" where
   * everybody shares.
   */
  cacheScope: Type.String(),
});
export type GenerateJob = Static<typeof GenerateJob>;

export const EmbedInput = Type.Union([Type.String(), Type.Array(Type.Integer())]);
export type EmbedInput = Static<typeof EmbedInput>;

/**
 * Server process to engine process. Job ids are unique for the life of the engine. An engine
 * answers each generate, embed and tokenize with exactly one terminal event of that job.
 */
export const Command = Type.Union([
  Type.Object({ type: Type.Literal("load"), options: LoadOptions }),
  Type.Object({ type: Type.Literal("generate"), jobId: Type.Integer(), job: GenerateJob }),
  Type.Object({
    type: Type.Literal("embed"),
    jobId: Type.Integer(),
    inputs: Type.Array(EmbedInput, { minItems: 1 }),
  }),
  Type.Object({
    type: Type.Literal("tokenize"),
    jobId: Type.Integer(),
    prompt: JobPrompt,
  }),
  /** Asks what the engine is doing; answered by `inspected`. */
  Type.Object({ type: Type.Literal("inspect"), jobId: Type.Integer() }),
  Type.Object({ type: Type.Literal("cancel"), jobId: Type.Integer() }),
  /** Flow control: every engine message with number <= `upTo` has been handled by the server. */
  Type.Object({ type: Type.Literal("ack"), upTo: Type.Integer() }),
  /** Finish nothing more, free everything, exit 0. */
  Type.Object({ type: Type.Literal("shutdown") }),
]);
export type Command = Static<typeof Command>;
