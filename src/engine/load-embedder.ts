import { MAX_EMBED_LANES_BYTES } from "../lib/limits.ts";
import type { ContextOptions, Model, ModelContext } from "../llama/backend.ts";
import type { LoadOptions } from "../protocol/commands.ts";
import type { JobEvent } from "../protocol/events.ts";
import { Embedder, type LanesOptions } from "./embedder.ts";
import type { ThreadGovernor } from "./thread-governor.ts";

/** Longest context when none was asked for: compute buffers grow with it. */
const MOST_CONTEXT = 8_192;
/** Inputs per decode. */
const SEQUENCES = 64;
/**
 * Their tokens: more do not make a row cheaper, and the cost of attention grows with their square. A
 * GPU needs more rows to be busy.
 */
const PACKED_TOKENS = { cpu: 512, gpu: 2048 } as const;

/** The embedding half of an engine that is being loaded. */
export interface LoadedEmbedding {
  /** null for a model that generates: it makes one at the first input. */
  context: ModelContext | null;
  contextLength: number;
  createEmbedder: (emit: (event: JobEvent) => void, wake: () => void) => Embedder;
}

export interface EmbeddingDeps {
  threads: number;
  governor: () => ThreadGovernor | null;
  /** What does not depend on the purpose. */
  shared: Omit<
    ContextOptions,
    "threads" | "purpose" | "contextLength" | "sequences" | "batchCapacity"
  >;
  /** Strengths of the adapters that are in use when no request says otherwise. */
  scales: readonly number[];
}

/**
 * An embedding model makes its context at once: what cannot be allocated is a failed load.
 * @throws LmError insufficient_memory and what else forbids it.
 */
export function loadEmbedding(
  options: LoadOptions,
  model: Model,
  { threads, governor, shared, scales }: EmbeddingDeps,
): LoadedEmbedding {
  const most = Math.min(model.facts.trainContextLength || MOST_CONTEXT, MOST_CONTEXT);
  const contextLength = Math.min(options.contextLength ?? most, most);
  const create = (computing: number): ModelContext => {
    const context = model.createContext({
      ...shared,
      threads: computing,
      purpose: "embed",
      contextLength,
      sequences: SEQUENCES,
      // An encoder reads each input whole, in one decode.
      batchCapacity: contextLength,
    });
    context.setAdapters(scales);
    return context;
  };
  const context = options.purpose === "embed" ? create(threads) : null;
  const isOnCpu = model.facts.gpuLayers === 0;
  const lanes = context === null || !isOnCpu ? null : lanesOf(context, threads);
  return {
    context,
    contextLength,
    createEmbedder: (emit, wake) =>
      new Embedder(context ?? (() => create(threads)), model.vocabulary, emit, {
        governor: governor(),
        packedTokens: isOnCpu ? PACKED_TOKENS.cpu : PACKED_TOKENS.gpu,
        lanes: lanes && {
          count: lanes.count,
          createContext: () => create(lanes.threads),
          onEnd: wake,
        },
      }),
  };
}

/** How the threads are shared out; null where one context takes them all, or several do not fit. */
export function lanesOf(
  { memory }: Pick<ModelContext, "memory">,
  threads: number,
): (Pick<LanesOptions, "count"> & { threads: number }) | null {
  const bytes = memory.kvBytes + memory.computeBytes;
  const most = Math.min(Math.floor(MAX_EMBED_LANES_BYTES / bytes), threads);
  if (most < 2) return null;
  // All lanes are of the same size, and a thread too many is left to the others.
  const each = Math.ceil(threads / most);
  const count = Math.floor(threads / each);
  return count < 2 ? null : { count, threads: each };
}
