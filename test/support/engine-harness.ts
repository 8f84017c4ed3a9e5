import type { Clock } from "../../src/lib/clock.ts";
import { AdapterSets } from "../../src/engine/adapter-sets.ts";
import type { ArchiveOptions } from "../../src/engine/archive/prefix-archive.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { LoadedDraft } from "../../src/engine/load-draft.ts";
import { Embedder } from "../../src/engine/embedder.ts";
import { Generator } from "../../src/engine/generator.ts";
import { createGeneratorParts } from "../../src/engine/generator-parts.ts";
import { PieceTable } from "../../src/engine/pieces.ts";
import type { Model, ModelContext } from "../../src/llama/backend.ts";
import { isTerminal } from "../../src/pool/engine-jobs.ts";
import type { GenerateJob, LoadOptions, LoadedAdapter } from "../../src/protocol/commands.ts";
import type { JobEvent } from "../../src/protocol/events.ts";
import { DEFAULT_SAMPLING } from "../../src/protocol/sampling.ts";

export interface HarnessOptions {
  model: Model;
  /** Default: one that stands still. */
  clock?: Clock;
  parallel?: number;
  contextLength?: number;
  batchCapacity?: number;
  sequences?: number;
  kvType?: "f16" | "f32";
  archive?: ArchiveOptions;
  /** Of short prefixes. */
  shortArchive?: ArchiveOptions;
  /** Those that the model has read; absent = none. */
  adapters?: LoadedAdapter[];
  /** Default: one token per step, so that tests can count steps. */
  speculates?: boolean;
  /** A draft model with its context; absent = none. */
  draft?: LoadedDraft;
  /** Most tokens of inputs that share a decode; absent = as many as fit. */
  packedTokens?: number;
  /** Contexts for embeddings that compute side by side; absent = none. */
  lanes?: number;
}

/** A clock that stands still: every decode seems to take no time. */
export const stillClock: Clock = {
  now: () => 0,
  monotonicMs: () => 0,
  after: () => () => undefined,
};

/** A greedy job of eight tokens; `fields` say what is different. */
export function job(text: string, fields: Partial<GenerateJob> = {}): GenerateJob {
  return {
    prompt: { kind: "text", text, addSpecial: true, parseSpecial: true },
    sampling: { ...DEFAULT_SAMPLING, temperature: 0 },
    grammar: null,
    stops: [],
    maxTokens: 8,
    choices: 1,
    logprobs: null,
    promptLogprobs: false,
    keepSpecial: [],
    cachePrompt: true,
    cacheScope: "",
    ...fields,
  };
}

/** An engine that a test steps by hand, and everything it said. */
export function engineHarness(options: HarnessOptions) {
  const { model, parallel = 4, contextLength = 512, batchCapacity = 64 } = options;
  const { clock = stillClock } = options;
  const kv = { kvTypeK: options.kvType ?? "f16", kvTypeV: options.kvType ?? "f16" } as const;
  // Flash attention rounds a token alone differently from one in a batch.
  const flashAttention = options.kvType === "f32" ? "off" : "auto";
  const shape = { threads: 1, flashAttention, ...kv } as const;
  const context = model.createContext({
    ...shape,
    purpose: "generate",
    contextLength,
    sequences: options.sequences ?? parallel + 8,
    batchCapacity,
  });
  const createEmbedContext = (): ModelContext =>
    model.createContext({
      ...shape,
      purpose: "embed",
      contextLength: 256,
      sequences: 16,
      batchCapacity: 256,
    });
  const events: JobEvent[] = [];
  const pieces = new PieceTable(model.vocabulary);
  const shared = {
    model,
    context,
    pieces,
    parallel,
    contextLength,
    adapters: new AdapterSets(options.adapters),
    clock,
    governor: null,
    speculates: options.speculates ?? false,
    archive: options.archive ?? null,
    shortArchive: options.shortArchive ?? null,
    draft: options.draft ?? null,
  };
  const parts = createGeneratorParts(shared);
  const engine = new Engine({
    model,
    clock,
    send: (_load, batch) => void events.push(...batch),
    createGenerator: (emit) => new Generator({ ...shared, emit }, parts),
    createEmbedder: (emit, wake) =>
      new Embedder(createEmbedContext, model.vocabulary, emit, {
        clock,
        ...(options.packedTokens !== undefined && { packedTokens: options.packedTokens }),
        ...(options.lanes !== undefined && {
          lanes: { count: options.lanes, createContext: createEmbedContext, onEnd: wake },
        }),
      }),
  });
  const of = (jobId: number): JobEvent[] => events.filter((event) => event.jobId === jobId);
  return {
    engine,
    context,
    events,
    of,
    /** Sequences in use must equal slots plus stored prefixes. */
    books: () => ({
      sequences: parts.kv.openSequences,
      stored: parts.reuse.stored,
      pinnedCells: parts.kv.pinned,
    }),
    /** Gives up the cells of all stored prefixes. */
    evictAll: (): void => {
      while (parts.reuse.evictOne());
    },
    /** Steps until nothing is left to do; fails when that takes too long. */
    settle: (limit = 5000): void => {
      for (let step = 0; !engine.isIdle; step++) {
        if (step > limit) throw new Error(`the engine is not idle after ${limit} steps`);
        engine.step();
      }
    },
    text: (jobId: number, choice = 0): string =>
      of(jobId)
        .map((event) => (event.type === "text" && event.choice === choice ? event.text : ""))
        .join(""),
    terminals: (jobId: number): JobEvent[] => of(jobId).filter(isTerminal),
    find: <Type extends JobEvent["type"]>(jobId: number, type: Type) =>
      of(jobId).find((event): event is Extract<JobEvent, { type: Type }> => event.type === type),
  };
}

/** How a pretended model is loaded. */
export const FAKE_LOAD: LoadOptions = {
  modelPath: "/models/fake.gguf",
  contextLength: null,
  parallel: 2,
  batchCapacity: 32,
  gpuLayers: "off",
  threads: null,
  kvTypeK: "f16",
  kvTypeV: "f16",
  flashAttention: "auto",
  mmap: true,
  speculation: "off",
  purpose: "generate",
};

/** A job that ends only when it is told to. */
export const ENDLESS = { maxTokens: null, sampling: { ...job("").sampling, ignoreEos: true } };
