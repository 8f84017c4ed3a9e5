import type { LoadedModelInfo } from "../../src/protocol/events.ts";

/** What an engine says of the small model that it pretends to hold. */
export const MODEL_INFO: LoadedModelInfo = {
  contextLength: 1_024,
  vocabularySize: 256,
  embeddingSize: 2,
  parallel: 4,
  gpuLayers: 0,
  bosText: "",
  eosText: "",
  addsBos: false,
  threads: 1,
  devices: ["CPU"],
  memory: { modelBytes: 0, kvBytes: 0, computeBytes: 0 },
  loadMs: 0,
};
