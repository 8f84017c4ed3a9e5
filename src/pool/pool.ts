import type { CatalogModel } from "../catalog/model.ts";
import type { EmbedInput, GenerateJob, JobPrompt } from "../protocol/commands.ts";
import type { EngineLoad, JobEvent, LoadedModelInfo } from "../protocol/events.ts";

/**
 * Models in memory. Each loaded model is an engine process; a first request loads it, and however
 * many ask at once, it is loaded once.
 */
export interface Pool {
  /**
   * Waits until the model is loaded and returns the right to use it. Release exactly once.
   * @throws LmError model_load_failed, engine_unstable, insufficient_memory, server_shutdown.
   */
  acquire(model: CatalogModel, signal: AbortSignal): Promise<Lease>;
  /** Every engine, loaded or on its way. */
  instances(): readonly InstanceStatus[];
  /** Stops admitting, lets running jobs finish for at most `graceMs`, ends every engine. */
  close(graceMs: number): Promise<void>;
}

/** States of an engine process; drawn in docs/ARCHITECTURE.md. */
export type EngineState = "starting" | "loading" | "ready" | "stopping" | "failed" | "crashed";

export interface InstanceStatus {
  /** The id that answers carry as `model`. */
  identifier: string;
  model: CatalogModel;
  state: EngineState;
  info: LoadedModelInfo | null;
  load: EngineLoad | null;
  pid: number | null;
  /** Jobs in the engine or waiting for it. */
  running: number;
  queued: number;
  lastUsedMs: number;
  starts: number;
  crashes: number;
}

/** The right to use one loaded model. */
export interface Lease {
  readonly identifier: string;
  readonly model: CatalogModel;
  readonly info: LoadedModelInfo;
  /**
   * Runs a job. The first event is `accepted`; a refusal (queue full, prompt too long) throws before
   * it. Ends after `jobDone`. Returning early, or `signal`, cancels within one engine step.
   * @throws LmError engine_crashed, model_unloaded, server_shutdown, also after the first event.
   */
  generate(job: GenerateJob, signal: AbortSignal): AsyncGenerator<JobEvent, void, void>;
  /** Unit vectors in input order and the number of tokens read. */
  embed(inputs: readonly EmbedInput[], signal: AbortSignal): Promise<Embeddings>;
  tokenize(prompt: JobPrompt, signal: AbortSignal): Promise<readonly number[]>;
  /** @throws LmError invalid_request (invalid_grammar). */
  checkGrammar(gbnf: string, signal: AbortSignal): Promise<void>;
  release(): void;
}

export interface Embeddings {
  vectors: readonly Float32Array[];
  tokens: number;
}
