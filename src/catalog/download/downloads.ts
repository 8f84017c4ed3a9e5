/**
 * A model as people write it: `owner/repo[@quant]`, `hf:owner/repo[:quant]`,
 * `hf:owner/repo/file.gguf`, `https://huggingface.co/owner/repo[...]`, or with `allowAnyHost` the
 * https URL of any `.gguf` file.
 */
export interface DownloadRequest {
  model: string;
  /** Any case, for example `Q4_K_M`; that of `model` where it names one. null = its own or the usual choice. */
  quantization: string | null;
  /** Who asked (a token's id); null when nobody has to prove who they are. Returned in snapshots. */
  owner: string | null;
  /** Lets `model` name another host than the hub. For the machine's own user, never for the network. */
  allowAnyHost: boolean;
}

export type DownloadState = "queued" | "downloading" | "paused" | "completed" | "failed";

/** What is known of a job at one moment. Bytes only grow from one snapshot to the next. */
export interface DownloadSnapshot {
  /** `job_` and ten hexadecimal digits. */
  id: string;
  state: DownloadState;
  owner: string | null;
  /** What is fetched, without credentials: `owner/repo` or a URL's host and path. */
  source: string;
  /** Upper case; null when the file names do not say. */
  quantization: string | null;
  /** Absolute path of the finished model; of its first shard when split. */
  modelPath: string;
  /** Names of all files below the repository's folder. */
  files: readonly string[];
  totalBytes: number;
  downloadedBytes: number;
  /** Over the last seconds, so 0 while stalled; null unless downloading. */
  bytesPerSecond: number | null;
  /** Milliseconds since the epoch; null unless downloading at a known speed. */
  estimatedCompletionMs: number | null;
  startedMs: number;
  completedMs: number | null;
  /** One sentence; null unless failed, or paused because the disk is full. */
  failure: string | null;
}

/** Every file of it is there already: no job. */
export interface AlreadyDownloaded {
  state: "already_downloaded";
  source: string;
  modelPath: string;
}

/**
 * Fetches models into the first models folder, three jobs at a time, the others wait in order. What
 * has arrived survives the end of the process: the next request for the same model goes on from it.
 * Finished jobs are known for 24 hours. A full disk pauses a job, with the reason, until there is room.
 */
export interface Downloads {
  /**
   * Lists the jobs of earlier processes: those that were not ended are paused, and go on when they
   * are resumed or asked for again. Call it before all others.
   */
  restore(): Promise<void>;
  /**
   * Asks the hub which files there are and begins. A running or paused job for the same files is
   * given back, and goes on.
   * @throws LmError `invalid_request` (param `model` or `quantization`), `model_not_found`,
   * `download_failed` (hub unreachable, refuses, lies), `insufficient_disk`.
   */
  start(
    request: DownloadRequest,
    signal?: AbortSignal,
  ): Promise<DownloadSnapshot | AlreadyDownloaded>;
  /** null = unknown id. */
  status(jobId: string): DownloadSnapshot | null;
  /** In the order they were started. */
  list(): readonly DownloadSnapshot[];
  /** Resolves once the job is paused, completed or failed; at once when it already is. */
  settled(jobId: string): Promise<DownloadSnapshot | null>;
  /** Keeps what arrived. Resolves once nothing is written any more. null = unknown id. */
  pause(jobId: string): Promise<DownloadSnapshot | null>;
  /** Goes on with a paused or failed job. */
  resume(jobId: string): Promise<DownloadSnapshot | null>;
  /** Ends the job as failed ("cancelled") and removes what it had fetched. */
  cancel(jobId: string): Promise<DownloadSnapshot | null>;
  /** Pauses every job; afterwards nothing is written. */
  close(): Promise<void>;
}
