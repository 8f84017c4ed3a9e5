import type { CatalogModel } from "../catalog/model.ts";
import type {
  DraftOptions,
  EmbedInput,
  GenerateJob,
  JobPrompt,
  LoadOptions,
} from "../protocol/commands.ts";
import type { EngineLoad, EngineStatus, JobEvent, LoadedModelInfo } from "../protocol/events.ts";

/**
 * Models in memory. Each loaded model is an engine process; a first request loads it, and however
 * many ask at once, it is loaded once.
 */
export interface Pool {
  /**
   * Waits until the model is loaded and returns the right to use it. Release exactly once.
   * A load that has its memory goes on when everyone who waited for it has left: the next request
   * finds it done. One that still waits for memory is withdrawn, and who was to leave for it stays:
   * at once, or 30 s after the last one was told to come back (model_loading).
   * @throws LmError model_load_failed, engine_unstable, insufficient_memory, model_loading (waited
   * too long), queue_full, model_unloaded (the named instance is leaving), server_shutdown,
   * invalid_request (of `contextLength`, or of the `draftModel` in its own settings); `signal.reason`
   * when aborted.
   */
  acquire(model: CatalogModel, signal: AbortSignal, options?: AcquireOptions): Promise<Lease>;
  /** Every engine, loaded or on its way. */
  instances(): readonly InstanceStatus[];
  /** Stops admitting, lets running jobs finish for at most `graceMs`, ends every engine. */
  close(graceMs: number): Promise<void>;
}

export interface AcquireOptions {
  /**
   * What the request called the model. The identifier of an instance means that one and no other.
   * The model's key, and anything else, means the instance with that identifier or one that is
   * loaded with the same settings, the least busy of them; where there is none, any.
   */
  name?: string | null;
  /**
   * Tokens of context that the request wants; null = whatever there is. An instance with fewer does
   * not answer it: an idle one that a request loaded makes place, others refuse. What this call
   * loads gets as many.
   */
  contextLength?: number | null;
  /** Idle ms before the instance is unloaded, when this call loads it; null = the default. */
  ttlMs?: number | null;
  /** How to load the model, when this call loads it; absent fields take the server's defaults. */
  settings?: Partial<LoadDefaults>;
}

/** Who would answer. */
export interface AnswerPreview {
  identifier: string;
  needsLoad: boolean;
}

/** The pool as its operator sees it: explicit loads, unloads and counters. */
export interface PoolManager extends Pool {
  /**
   * Loads an instance on purpose: without TTL unless given, and never evicted. One that a request
   * loaded with the same settings is kept instead. Aborted before it is loaded, it is ended, unless
   * requests wait for it too: then it is theirs, with the TTL of what they load.
   * @throws LmError as `acquire`, and invalid_request when the identifier is taken.
   */
  load(model: CatalogModel, request: LoadRequest, signal: AbortSignal): Promise<InstanceStatus>;
  /**
   * Ends an instance after its running jobs; `force` fails them with `model_unloaded` instead.
   * Resolves when the process is gone.
   * @throws LmError model_not_loaded when no such instance exists.
   */
  unload(identifier: string, options: { force: boolean }): Promise<void>;
  /**
   * Who would answer if `acquire` were called now.
   * @throws LmError model_unloaded and invalid_request as it would.
   */
  preview(model: CatalogModel, options?: AcquireOptions): AnswerPreview;
  /**
   * What the engine of an instance is doing right now, by its own word; it answers between steps.
   * null = there is no such instance, or it is not ready.
   * @throws LmError as a job: the engine may end meanwhile.
   */
  inspect(identifier: string, signal: AbortSignal): Promise<EngineStatus | null>;
  /** Why a model is not loaded for now; null when nothing keeps it. */
  cooldown(model: CatalogModel): Cooldown | null;
  statistics(): PoolStatistics;
}

/** After a failed load or crashes. */
export interface Cooldown {
  /** A clause without a full stop. */
  reason: string;
  retryAfterMs: number;
}

/** How to load one instance; absent fields take the server's defaults. */
export interface LoadRequest extends Partial<LoadDefaults> {
  /** Default: the model's key, then `key:2`, `key:3` and so on. */
  identifier?: string;
  /** Idle ms before unload; null or absent = stays. */
  ttlMs?: number | null;
}

/** The load options that configuration decides. */
export type LoadDefaults = Omit<LoadOptions, "modelPath" | "purpose" | "draft"> & {
  /** A draft model to load with it; absent = none. */
  draft?: LoadedDraft;
};

/** A draft model and how far it guesses. */
export type LoadedDraft = Omit<DraftOptions, "name" | "modelPath"> & { model: CatalogModel };

/** How far a draft model guesses where nobody says. */
export const DRAFT_LIMITS = { maxTokens: 16, minTokens: 0, minProbability: 0 } as const;

/** How the configuration wants one model loaded; what it leaves open is absent. */
export interface LoadPreset {
  load: Partial<LoadDefaults>;
  /** Idle ms before unload when a request loads it; null = never. */
  ttlMs?: number | null;
}

/** Why an engine process ended. */
export type EngineExitReason = "unloaded" | "load_failed" | "crashed" | "watchdog" | "shutdown";

/** Counts since the server started; they only grow, except `ipcInflightBytes`. */
export interface PoolStatistics {
  engineStarts: number;
  engineExits: Readonly<Record<EngineExitReason, number>>;
  /** Starts that followed a crash of the same model. */
  engineRestarts: number;
  watchdogKills: number;
  /** Cancelled jobs by the stage in which the engine stopped them. */
  cancelled: Readonly<Record<"queue" | "prefill" | "decode", number>>;
  /** Most steps that an engine went on between a cancel and its effect. */
  cancelStepsMax: number;
  /** Events of jobs that the server no longer knows. */
  staleEvents: number;
  /** Jobs ended because the engine kept running but stopped reporting them. */
  mutedJobs: number;
  /** Times that computed prompts could not be kept on disk. */
  prefixFailures: number;
  /** Estimated bytes sent to engines and not yet read by them. */
  ipcInflightBytes: number;
}

/** States of an engine process; drawn in docs/ARCHITECTURE.md. */
export type EngineState = "starting" | "loading" | "ready" | "stopping" | "failed" | "crashed";

/** "draining" = its requests are finished first, new ones wait for the next load. */
export type InstanceState = EngineState | "draining";

/** What an engine is at: with several requests, that of the one nearest to its answer. */
export type EngineActivity = "idle" | "processing-prompt" | "generating" | "embedding";

export interface InstanceStatus {
  /** The id that answers carry as `model`. */
  identifier: string;
  model: CatalogModel;
  state: InstanceState;
  info: LoadedModelInfo | null;
  /** Part of the model read so far, 0 to 1. */
  loadedFraction: number;
  load: EngineLoad | null;
  pid: number | null;
  /** Jobs in the engine or waiting for it. */
  running: number;
  activity: EngineActivity;
  queued: number;
  lastUsedMs: number;
  /** Engines started and crashed for this model since the server started. */
  starts: number;
  crashes: number;
  /** Loaded by a request rather than on purpose. */
  jit: boolean;
  /** Idle ms before unload; null = stays loaded. */
  ttlMs: number | null;
  parallel: number;
  /** What the load was asked for. */
  settings: LoadDefaults;
}

/** The right to use one loaded model. */
export interface Lease {
  readonly identifier: string;
  readonly model: CatalogModel;
  readonly info: LoadedModelInfo;
  /**
   * Runs a job. The first event is `accepted`; a refusal (queue full, prompt too long) throws before
   * it. Ends after `jobDone`. Returning early, or `signal`, cancels within one engine step.
   * A consumer that falls behind gets the text of several steps in one event.
   * @throws LmError queue_full, engine_crashed, model_unloaded, server_shutdown, and what the engine
   * refuses (context_length_exceeded, invalid_request); also after the first event.
   * `signal.reason` when aborted.
   */
  generate(job: GenerateJob, signal: AbortSignal): AsyncGenerator<JobEvent, void, void>;
  /** Unit vectors in input order and the number of tokens read. */
  embed(inputs: readonly EmbedInput[], signal: AbortSignal): Promise<Embeddings>;
  tokenize(prompt: JobPrompt, signal: AbortSignal): Promise<readonly number[]>;
  release(): void;
}

export interface Embeddings {
  vectors: readonly Float32Array[];
  tokens: number;
}
