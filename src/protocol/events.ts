/**
 * Engine process to server process. The engine is our own executable, so these are plain types:
 * the server checks `type` and `jobId`, and treats anything else as a crash of that engine.
 * One message per decode step carries the events of every job.
 */

/** Facts of a loaded model that the server needs. */
export interface LoadedModelInfo {
  /** Tokens the KV cache holds, shared by all slots; also the most one request may use. */
  contextLength: number;
  trainContextLength: number;
  vocabularySize: number;
  /** Floats per embedding vector. */
  embeddingSize: number;
  parallel: number;
  layerCount: number;
  gpuLayers: number;
  /** Text of the BOS token, "" when the vocabulary has none. */
  bosText: string;
  eosText: string;
  addsBos: boolean;
  addsEos: boolean;
  /** The vocabulary has fill-in-the-middle tokens. */
  supportsInfill: boolean;
  /** Recurrent or hybrid memory: partial prefixes cannot be reused. */
  isRecurrent: boolean;
  threads: number;
  /** Names of the devices that compute, such as "CPU" or "Vulkan0 (NVIDIA H200)". */
  devices: readonly string[];
  /** Bytes by purpose, as allocated. */
  memory: { modelBytes: number; kvBytes: number; computeBytes: number };
  loadMs: number;
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
}

export type JobEvent =
  /** The job holds a slot and its prompt fits. First event of a generate job that is not refused. */
  | { type: "accepted"; jobId: number; promptTokens: number; cachedTokens: number }
  /** Prefill progress; not sent for short prompts. */
  | { type: "progress"; jobId: number; processed: number; total: number }
  /** Scores of the prompt's tokens, when asked; the first token's logprob is null on the wire. */
  | { type: "promptLogprobs"; jobId: number; tokens: readonly TokenLogprob[] }
  /**
   * Complete code points of one choice. `tokens` = tokens sampled since the last event of this
   * choice. `logprobs` covers exactly the tokens whose text is in `text`. `text` may be empty when
   * only counting.
   */
  | {
      type: "text";
      jobId: number;
      choice: number;
      text: string;
      tokens: number;
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
  /** Terminal. `problem` is null when the grammar compiles. */
  | { type: "grammarChecked"; jobId: number; problem: string | null }
  /** Terminal: `code` and `details` are those of LmError. */
  | {
      type: "jobFailed";
      jobId: number;
      code: string;
      details: Readonly<Record<string, unknown>>;
      message: string;
    }
  /** Terminal answer to `cancel`. `stage` says where it took effect, `steps` how many later. */
  | { type: "cancelled"; jobId: number; stage: "queue" | "prefill" | "decode"; steps: number };

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
}

/** `seq` numbers the messages from 1; the server acknowledges them (see Command `ack`). */
export type EngineMessage =
  /** The process is up; `buildId` must equal the server's. */
  | { type: "hello"; seq: number; buildId: string; pid: number }
  | { type: "loading"; seq: number; fraction: number }
  | { type: "ready"; seq: number; model: LoadedModelInfo }
  /** `reason` holds llama.cpp's last error lines. The process exits after it. */
  | { type: "loadFailed"; seq: number; reason: string }
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
