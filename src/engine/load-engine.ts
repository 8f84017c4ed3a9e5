import type { Clock } from "../lib/clock.ts";
import { defined } from "../lib/assert.ts";
import { LmError } from "../lib/errors.ts";
import type { Backend, Model, ModelContext } from "../llama/backend.ts";
import type { LoadOptions } from "../protocol/commands.ts";
import type { EngineTrouble, LoadedModelInfo } from "../protocol/events.ts";
import { MOST_CONTEXT, sequencesFor } from "../protocol/generating.ts";
import { AdapterSets } from "./adapter-sets.ts";
import { openArchives } from "./archive/open-archive.ts";
import { Engine, type SendStep } from "./engine.ts";
import { Generator } from "./generator.ts";
import { type DraftDeps, loadDraft } from "./load-draft.ts";
import { loadEmbedding } from "./load-embedder.ts";
import { decodeLenient, PieceTable } from "./pieces.ts";
import { ThreadGovernor } from "./thread-governor.ts";

/**
 * Weights up to this size generate with one thread: threads meet after every operation, and each of
 * these takes less time than the meeting, most of all when another process wants a processor. Texts
 * to embed come hundreds of rows at a time, which pays for every meeting.
 */
const ONE_THREAD_BYTES = 48 * 1024 * 1024;

export interface LoadDeps {
  backend: Backend;
  clock: Clock;
  /** Compute threads when the options name none and the model is not tiny. */
  defaultThreads: () => number;
  /** Compute threads whatever the options say. */
  mostThreads: () => number;
  send: SendStep;
  onProgress: (fraction: number) => void;
  /** Of the program; states of another build are not reused. */
  buildId: string;
  /** Something to be told that stops nobody. */
  onTrouble: (trouble: EngineTrouble) => void;
}

/**
 * Reads the weights and makes the contexts that the purpose needs.
 * @throws LmError invalid_file, insufficient_memory, unsupported_model and what else forbids it.
 */
export function loadEngine(
  options: LoadOptions,
  deps: LoadDeps,
): { engine: Engine; info: LoadedModelInfo } {
  const { backend, clock, send } = deps;
  const startMs = clock.monotonicMs();
  const { modelPath: path, gpuLayers, contextLength, mmap, experts } = options;
  const file = { path, gpuLayers, contextLength, mmap, ...(experts !== undefined && { experts }) };
  const model = backend.loadModel(file, deps.onProgress);
  try {
    for (const adapter of options.adapters ?? []) model.loadAdapter(adapter.path);
    const adapters = new AdapterSets(options.adapters);
    const isTiny = options.purpose === "generate" && model.facts.sizeBytes <= ONE_THREAD_BYTES;
    const wanted = options.threads ?? (isTiny ? 1 : deps.defaultThreads());
    const threads = Math.min(wanted, deps.mostThreads());
    // Threads that feed a GPU are idle by nature.
    const isGoverned = threads > 1 && model.facts.gpuLayers === 0;
    const governor = (): ThreadGovernor | null =>
      isGoverned ? new ThreadGovernor(threads, clock) : null;
    const pieces = new PieceTable(model.vocabulary);
    const generating =
      options.purpose === "generate"
        ? createGenerating(model, options, { backend, clock, threads, isGoverned })
        : null;
    const embedding = loadEmbedding(options, model, {
      threads,
      clock,
      governor,
      shared: shared(options),
      scales: adapters.standard.scales,
    });
    const archives =
      generating === null ? {} : openArchives(options, model, generating.context, deps);
    const engine = new Engine({
      model,
      clock,
      send,
      createGenerator:
        generating === null
          ? null
          : (emit) =>
              new Generator({
                model,
                ...generating,
                pieces,
                parallel: options.parallel,
                adapters,
                ...archives,
                clock,
                governor: governor(),
                speculates: options.speculation === "auto",
                emit,
              }),
      createEmbedder: embedding.createEmbedder,
    });
    const { memory } = defined(generating ?? embedding.context, "a loaded model has a context");
    const info = describe(model, pieces, {
      contextLength: generating?.contextLength ?? embedding.contextLength,
      parallel: options.parallel,
      threads,
      memory,
      ...(options.draft !== undefined && { draftModel: options.draft.name }),
      loadMs: clock.monotonicMs() - startMs,
    });
    return { engine, info };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

function shared(options: LoadOptions) {
  const { kvTypeK, kvTypeV, flashAttention, kvOnGpu, ropeFreqBase, ropeFreqScale } = options;
  return {
    kvTypeK,
    kvTypeV,
    flashAttention,
    ...(kvOnGpu !== undefined && { kvOnGpu }),
    ...(ropeFreqBase !== undefined && { ropeFreqBase }),
    ...(ropeFreqScale !== undefined && { ropeFreqScale }),
  };
}

/** The context that generates and the draft model beside it, with the memory of both. */
function createGenerating(model: Model, options: LoadOptions, deps: DraftDeps) {
  const made = createContext(model, options, deps.threads);
  try {
    const draft = loadDraft(options, model, made, deps);
    const parts = [made.context.memory, ...(draft === null ? [] : [draft.memory])];
    const sum = (field: keyof ModelContext["memory"]): number =>
      parts.reduce((total, part) => total + part[field], 0);
    const memory = {
      modelBytes: sum("modelBytes"),
      kvBytes: sum("kvBytes"),
      computeBytes: sum("computeBytes"),
    };
    return { ...made, draft, memory };
  } catch (error) {
    made.context.dispose();
    throw error;
  }
}

function createContext(
  model: Model,
  options: LoadOptions,
  threads: number,
): { context: ModelContext; contextLength: number } {
  const { facts } = model;
  if (!facts.hasDecoder || facts.hasEncoder) {
    const what = facts.hasDecoder ? "is an encoder-decoder model" : "only makes embeddings";
    throw new LmError(
      "unsupported_model",
      { model: options.modelPath },
      `This model ${what}: it cannot be loaded to generate text`,
    );
  }
  const contextLength =
    options.contextLength ?? Math.min(facts.trainContextLength || MOST_CONTEXT, MOST_CONTEXT);
  const isWhole = facts.isRecurrent || facts.isHybrid || facts.slidingWindow > 0;
  const context = model.createContext({
    ...shared(options),
    threads,
    purpose: "generate",
    contextLength,
    sequences: sequencesFor(options.parallel, isWhole),
    batchCapacity: Math.max(options.batchCapacity, options.parallel),
  });
  // The library rounds up; a request may not use what it was not promised.
  return { context, contextLength: Math.min(contextLength, context.contextLength) };
}

type Measured = Pick<
  LoadedModelInfo,
  "contextLength" | "parallel" | "threads" | "memory" | "loadMs" | "draftModel"
>;

function describe(model: Model, pieces: PieceTable, measured: Measured): LoadedModelInfo {
  const { facts, vocabulary } = model;
  const text = (token: number): string => (token < 0 ? "" : decodeLenient(pieces.get(token).bytes));
  return {
    ...measured,
    vocabularySize: vocabulary.size,
    embeddingSize: facts.embeddingSize,
    gpuLayers: facts.gpuLayers,
    bosText: text(vocabulary.bos),
    eosText: text(vocabulary.eos),
    addsBos: vocabulary.addsBos,
    devices: facts.devices,
  };
}
