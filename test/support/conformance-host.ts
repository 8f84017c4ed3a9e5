import type { ContextOptions, Model, ModelContext } from "../../src/llama/backend.ts";
import { DEFAULT_SAMPLING, type Sampling } from "../../src/protocol/sampling.ts";

/** What the tests of the conformance suite share. Getters: the model is loaded before the tests. */
export interface ConformanceHost {
  readonly model: Model;
  readonly tolerance: number;
  readonly modelPath: string;
  readonly corruptPath: string;
  readonly options: ContextOptions;
  load(path: string): Model;
  withContext(body: (context: ModelContext) => void): void;
  tokenize(text: string): Int32Array;
}

export const GREEDY: Sampling = { ...DEFAULT_SAMPLING, temperature: 0 };
export const PROMPT = "Once upon a time there was a";
export const OTHER = "The capital of France";
