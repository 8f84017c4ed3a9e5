import type { Clock } from "../lib/clock.ts";
import type { ContextOptions, Model, ModelContext } from "../llama/backend.ts";
import type { LoadOptions } from "../protocol/commands.ts";
import { EMBED_SEQUENCES, laneShape, MOST_EMBED_CONTEXT } from "../protocol/embedding.ts";
import type { JobEvent } from "../protocol/events.ts";
import { Embedder } from "./embedder.ts";
import type { ThreadGovernor } from "./thread-governor.ts";

/**
 * Tokens of inputs that share a decode: more do not make a row cheaper, and the cost of attention grows
 * with their square. A GPU needs more rows to be busy.
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
  clock: Clock;
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
  { threads, clock, governor, shared, scales }: EmbeddingDeps,
): LoadedEmbedding {
  const most = Math.min(model.facts.trainContextLength || MOST_EMBED_CONTEXT, MOST_EMBED_CONTEXT);
  const contextLength = Math.min(options.contextLength ?? most, most);
  const create = (computing: number): ModelContext => {
    const context = model.createContext({
      ...shared,
      threads: computing,
      purpose: "embed",
      contextLength,
      sequences: EMBED_SEQUENCES,
      // An encoder reads each input whole, in one decode.
      batchCapacity: contextLength,
    });
    context.setAdapters(scales);
    return context;
  };
  const context = options.purpose === "embed" ? create(threads) : null;
  const isOnCpu = model.facts.gpuLayers === 0;
  const lanes = context === null || !isOnCpu ? null : laneShape(bytesOf(context), threads);
  return {
    context,
    contextLength,
    createEmbedder: (emit, wake) =>
      new Embedder(context ?? (() => create(threads)), model.vocabulary, emit, {
        clock,
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

function bytesOf({ memory }: ModelContext): number {
  return memory.kvBytes + memory.computeBytes;
}
