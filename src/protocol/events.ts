/**
 * Engine process to server process. The engine is our own executable, so these are plain types:
 * the server checks `type` and `jobId`, and treats anything else as a crash of that engine.
 * One message per decode step carries the events of every job.
 */

/** Facts of a loaded model that the server needs. */
export interface LoadedModelInfo {
  /** Tokens the KV cache holds, shared by all slots; also the most one request may use. */
  contextLength: number;
  vocabularySize: number;
  /** Floats per embedding vector. */
  embeddingSize: number;
  parallel: number;
  gpuLayers: number;
  /** Text of the BOS token, "" when the vocabulary has none. */
  bosText: string;
  eosText: string;
  addsBos: boolean;
  threads: number;
  /** Names of the devices that compute, such as "CPU" or "Vulkan0 (NVIDIA H200)". */
  devices: readonly string[];
  /** Bytes by purpose, as allocated. */
  memory: { modelBytes: number; kvBytes: number; computeBytes: number };
  loadMs: number;
  /** Key of the draft model that was loaded with it; absent = none. */
  draftModel?: string;
}

/** One candidate token. `bytes` are its exact bytes; `text` may hold U+FFFD for partial UTF-8. */
export interface TokenCandidate {
  id: number;
  text: string;
  bytes: readonly number[];
  /** Natural log of the probability before sampler truncation; finite, at least -9999. */
  logprob: number;
}

export interface TokenLogprob extends TokenCandidate {
  /** The most probable tokens, best first; as many as the job asked for. */
  top: readonly TokenCandidate[];
  /** Nothing of it is in the output: a control token or the end. Only in jobs that ask for these. */
  isHidden?: true;
}

/** Why a choice ended. `length` = token limit or context end. */
export type EngineFinish = "stop" | "length";

/** Durations and counts of one finished job. */
export interface JobTimings {
  queuedMs: number;
  prefillMs: number;
  decodeMs: number;
  /** Submit to first sampled token. */
  ttftMs: number;
  /** Prompt tokens that had to be computed. */
  computedPromptTokens: number;
  /** Of all choices together; absent without a draft model. */
  drafts?: DraftCounts;
}

/** Guessed tokens of one job: sampled, found wrong, and those after a wrong one or an end. */
export interface DraftCounts {
  model: string;
  total: number;
  accepted: number;
  rejected: number;
  ignored: number;
}

export type JobEvent =
  /** The job holds a slot and its prompt fits. First event of a generate job that is not refused. */
  | { type: "accepted"; jobId: number; promptTokens: number; cachedTokens: number }
  /** An accepted job has no slot any more and waits for one, as when cells ran out. */
  | { type: "requeued"; jobId: number }
  /** A job that was requeued has a slot again and goes on where it was. */
  | { type: "resumed"; jobId: number }
  /** Prefill progress; not sent for short prompts. */
  | { type: "progress"; jobId: number; processed: number; total: number }
  /** Scores of the prompt's tokens, when asked; the first token's logprob is null on the wire. */
  | { type: "promptLogprobs"; jobId: number; tokens: readonly TokenLogprob[] }
  /**
   * Complete code points of one choice. `tokens` = tokens sampled since the last event of this
   * choice. `logprobs` covers exactly the tokens whose text is in `text`, and the hidden ones
   * behind it. `text` may be empty when only counting, or before and behind hidden tokens.
   * `sizes` = UTF-16 units of `text` that each of several tokens brought; absent for one.
   */
  | {
      type: "text";
      jobId: number;
      choice: number;
      text: string;
      tokens: number;
      sizes?: number[];
      logprobs?: readonly TokenLogprob[];
    }
  /** `stop` is the stop string that matched, null for the end token. */
  | {
      type: "choiceDone";
      jobId: number;
      choice: number;
      finish: EngineFinish;
      stop: string | null;
      completionTokens: number;
      /** Mean log probability of the sampled tokens; null without logprobs. */
      meanLogprob: number | null;
    }
  /** Terminal: every choice is done. */
  | { type: "jobDone"; jobId: number; timings: JobTimings }
  /** Terminal: vectors are base64 of little-endian float32, L2-normalised, in input order. */
  | { type: "embedded"; jobId: number; vectors: readonly string[]; tokens: number }
  /** Terminal. */
  | { type: "tokenized"; jobId: number; tokens: readonly number[] }
  /** Terminal. */
  | { type: "inspected"; jobId: number; status: EngineStatus }
  /** Terminal: `code` and `details` are those of LmError. */
  | {
      type: "jobFailed";
      jobId: number;
      code: string;
      details: Readonly<Record<string, unknown>>;
      message: string;
    }
  /** Terminal answer to `cancel`. `stage` says where it took effect, `step` after which step. */
  | { type: "cancelled"; jobId: number; stage: "queue" | "prefill" | "decode"; step: number };

/**
 * Why a request had to compute prompt tokens that a stored sequence might have spared:
 * `off` = it asked for none, `empty` = nothing is stored for its scope, `differs` = the best stored
 * sequence holds another token somewhere (the first differing token), `whole` = more tokens agree,
 * but this memory can only be used whole, `lost` = stored, but it could not be read back, `full` = no cells
 * were free to read it back, `gone` = it was removed meanwhile, to keep the cap.
 */
export type MissReason = "off" | "empty" | "differs" | "whole" | "lost" | "full" | "gone";

/** Where the reused tokens of a request were found. */
export type HitSource = "running" | "stored" | "archive";

/** Sizes of the prefix cache now, and its totals since the start. */
export interface CacheLoad {
  /** Finished sequences whose cells are still in the KV cache. */
  storedSequences: number;
  /** Nodes and tokens of the tree they form; tokens that several share count once. */
  treeNodes: number;
  treeTokens: number;
  /** What is kept outside the KV cache, in memory or on disk. */
  archivedBlocks: number;
  archivedBytes: number;
  hits: Readonly<Record<HitSource, number>>;
  misses: Readonly<Record<MissReason, number>>;
}

/** Tokens guessed since the start, and those of them that were sampled. */
export interface SpeculationLoad {
  draftedTokens: number;
  acceptedTokens: number;
}

/** One slot at work. */
export interface SlotStatus {
  jobId: number;
  choice: number;
  state: "waiting" | "prefill" | "decode";
  promptTokens: number;
  /** Prompt tokens that were found rather than computed. */
  cachedTokens: number;
  /** Tokens of the prompt and the answer that are in the KV cache. */
  computedTokens: number;
  generatedTokens: number;
  /** Where reuse ended and why; null when everything reusable was reused. */
  miss: { reason: MissReason; atToken: number } | null;
}

/** What the engine is doing, in detail; made on demand. */
export interface EngineStatus {
  /** Slots at work, oldest first; the other ones of `parallel` are idle. */
  slots: readonly SlotStatus[];
  parallel: number;
  queued: number;
  kvCells: number;
  kvCellsUsed: number;
  cache: CacheLoad;
  speculation: SpeculationLoad;
}

/** What the engine is doing; sent with each step. */
export interface EngineLoad {
  /** Decode steps since start. Grows while the engine makes progress. */
  step: number;
  running: number;
  queued: number;
  kvCellsUsed: number;
  kvCells: number;
  /** Totals since start. */
  promptTokens: number;
  cachedTokens: number;
  generatedTokens: number;
  /** Absent = nothing was guessed yet. */
  speculation?: SpeculationLoad;
  /** Sent when it changed since the last step; absent = as before. */
  cache?: CacheLoad;
}

/** Computed prompts cannot be kept where they should be; the engine goes on without. */
export interface EngineTrouble {
  /** The system's word, such as ENOSPC, or "unusable". */
  cause: string;
  /** For the log: what was tried, with its path. */
  reason: string;
}

/** `seq` numbers the messages from 1; the server acknowledges them (see Command `ack`). */
export type EngineMessage =
  /** The process is up; `buildId` must equal the server's. */
  | { type: "hello"; seq: number; buildId: string; pid: number }
  | { type: "loading"; seq: number; fraction: number }
  | { type: "ready"; seq: number; model: LoadedModelInfo }
  /**
   * `reason` holds llama.cpp's last error lines; `param` is the field of a request that asked for what
   * cannot be. The process exits after it.
   */
  | { type: "loadFailed"; seq: number; reason: string; param?: string }
  /** At any time after `hello`, and again each time. */
  | ({ type: "trouble"; seq: number } & EngineTrouble)
  /**
   * `receivedJobId` is the largest job id among the commands read so far; with it the server bounds
   * the bytes it has sent ahead of the engine. An engine with running or queued jobs sends a step
   * at least every few seconds; `events` may be empty.
   */
  | {
      type: "step";
      seq: number;
      load: EngineLoad;
      events: readonly JobEvent[];
      receivedJobId?: number;
    };
