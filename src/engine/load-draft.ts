import type { Clock } from "../lib/clock.ts";
import { invalidRequest } from "../lib/errors.ts";
import type { Backend, Model, ModelContext, ModelFacts } from "../llama/backend.ts";
import type { LoadOptions } from "../protocol/commands.ts";
import { DraftModel } from "./speculation/draft-model.ts";
import type { Drafter } from "./speculation/speculator.ts";
import { vocabularyMismatch } from "./speculation/vocabulary-match.ts";
import { ThreadGovernor } from "./thread-governor.ts";

export interface LoadedDraft {
  /** Its key. */
  name: string;
  drafter: Drafter;
  memory: ModelContext["memory"];
}

/** What the main model computes with. */
export interface MainContext {
  context: ModelContext;
  /** That requests may use; the library rounds up. */
  contextLength: number;
}

export interface DraftDeps {
  backend: Backend;
  clock: Clock;
  threads: number;
  isGoverned: boolean;
}

/**
 * Loads the draft model that the options name, with a sequence for each slot; null without one.
 * @param main the model it guesses for.
 * @throws LmError invalid_request (invalid_value) when its tokens are others, or its memory cannot be cut.
 */
export function loadDraft(
  options: LoadOptions,
  main: Model,
  { context, contextLength: promised }: MainContext,
  deps: DraftDeps,
): LoadedDraft | null {
  const { draft } = options;
  if (draft === undefined) return null;
  const { gpuLayers, mmap, parallel } = options;
  const { threads } = deps;
  const { contextLength } = context;
  const file = { path: draft.modelPath, gpuLayers, contextLength, mmap };
  const model = deps.backend.loadModel(file, () => undefined);
  try {
    const problem = whyUnsuited(main, model, promised);
    if (problem !== null) {
      const message = `"${draft.name}" cannot draft for this model: ${problem}.`;
      throw invalidRequest("draftModel", "invalid_value", message);
    }
    const { kvTypeK, kvTypeV, flashAttention } = options;
    const own = model.createContext({
      purpose: "generate",
      contextLength,
      sequences: parallel,
      batchCapacity: context.batch.capacity,
      threads,
      kvTypeK,
      kvTypeV,
      flashAttention,
    });
    const governor =
      deps.isGoverned && threads > 1 ? new ThreadGovernor(threads, deps.clock) : null;
    const { maxTokens, minTokens, minProbability } = draft;
    const guesser = new DraftModel({
      model,
      context: own,
      minProbability,
      governor,
      clock: deps.clock,
    });
    return {
      name: draft.name,
      drafter: { model: guesser, maxTokens, minTokens },
      memory: own.memory,
    };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

function whyUnsuited(main: Model, draft: Model, contextLength: number): string | null {
  const mismatch = vocabularyMismatch(main.vocabulary, draft.vocabulary);
  if (mismatch !== null) return mismatch;
  const { hasDecoder, hasEncoder } = draft.facts;
  if (!hasDecoder || hasEncoder) return "it does not generate text by itself";
  const isFixed = ({ isRecurrent, isHybrid, slidingWindow }: ModelFacts): boolean =>
    isRecurrent || isHybrid || (slidingWindow > 0 && slidingWindow < contextLength);
  if (isFixed(draft.facts)) return "wrong guesses cannot be removed from its memory";
  if (isFixed(main.facts)) return "wrong guesses cannot be removed from this model's memory";
  return null;
}
