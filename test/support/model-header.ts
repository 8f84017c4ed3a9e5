import type { ModelHeader } from "../../src/catalog/model.ts";

/** The header of a model that needs its weights and nothing beside them, but for what is given. */
export function modelHeader(facts: Partial<ModelHeader> = {}): ModelHeader {
  return {
    parameterCount: 1,
    tensorBytes: 1,
    blockCount: null,
    headCount: [],
    headCountKv: [],
    keyLength: null,
    valueLength: null,
    feedForwardLength: null,
    slidingWindow: null,
    isRecurrent: false,
    stateLayers: 0,
    stateFloats: 0,
    vocabularySize: 0,
    expertCount: null,
    ...facts,
  };
}
