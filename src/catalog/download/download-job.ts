import { randomHexId } from "../../lib/id.ts";
import { hasCode, LmError } from "../../lib/errors.ts";
import { ByteRate } from "./byte-rate.ts";
import type { DownloadSnapshot, DownloadState } from "./downloads.ts";
import { isLocked } from "./file-lock.ts";
import { FileTransfer } from "./file-transfer.ts";
import { planRecord, type JobRecord } from "./job-records.ts";
import type { DownloadPlan, PlannedFile } from "./plan-download.ts";
import { doneBytes, readJournal } from "./part-journal.ts";
import { finishedSize, removeFile } from "./target-file.ts";
import type { TransferTools } from "./transfer-tools.ts";

/** What a job was when its process ended. */
export interface EarlierJob {
  id: string;
  state: "paused" | "completed" | "failed";
  startedMs: number;
  endedMs: number | null;
  failure: string | null;
  /** Bytes that are on disk. */
  arrivedBytes: number;
  /** Names of the files that it brought. */
  fetched: readonly string[];
}

/** What a job needs of its manager. */
export interface RunHooks {
  prepare: () => Promise<void>;
  onFetched: () => Promise<void>;
  onComplete: () => Promise<void>;
}

/** One download: a plan, and how far it has come. The manager decides when it runs. */
export class DownloadJob {
  readonly id: string;
  readonly plan: DownloadPlan;
  readonly #tools: TransferTools;
  readonly #owner: string | null;
  readonly #startedMs: number;
  readonly #fetched: PlannedFile[];
  #state: DownloadState = "queued";
  #failure: string | null = null;
  #completedMs: number | null = null;
  #endedMs: number | null = null;
  #finishedBytes = 0;
  #transfer: FileTransfer | null = null;
  #shownBytes = 0;
  #rate: ByteRate;
  #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #waiters: (() => void)[] = [];

  /** @param earlier the same job in another process; null = a new one, which waits for its turn. */
  constructor(
    plan: DownloadPlan,
    owner: string | null,
    tools: TransferTools,
    earlier: EarlierJob | null = null,
  ) {
    this.id = earlier?.id ?? randomHexId("job_").slice(0, 14);
    this.plan = plan;
    this.#owner = owner;
    this.#tools = tools;
    this.#startedMs = earlier?.startedMs ?? tools.clock.now();
    this.#state = earlier?.state ?? "queued";
    this.#endedMs = earlier?.endedMs ?? null;
    this.#completedMs = earlier?.state === "completed" ? earlier.endedMs : null;
    this.#failure = earlier?.failure ?? null;
    this.#finishedBytes = earlier?.arrivedBytes ?? 0;
    this.#fetched = plan.files.filter(({ name }) => earlier?.fetched.includes(name));
    this.#rate = new ByteRate(tools.clock.monotonicMs());
  }

  get state(): DownloadState {
    return this.#state;
  }

  get modelPath(): string {
    return this.plan.files[0].target.final;
  }

  get totalBytes(): number {
    return this.plan.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** The disk was full: it goes on by itself when there is room. */
  get lacksSpace(): boolean {
    return this.#state === "paused" && this.#failure !== null;
  }

  /** Bytes still to be written. */
  get leftBytes(): number {
    return Math.max(0, this.totalBytes - this.#arrivedBytes());
  }

  /** Milliseconds since the epoch at which it completed or failed; null before. */
  get endedMs(): number | null {
    return this.#endedMs;
  }

  /** As it outlives this process; null when its plan must not be kept. */
  record(): JobRecord | null {
    const plan = planRecord(this.plan);
    return (
      plan && {
        id: this.id,
        state: this.#state,
        owner: this.#owner,
        ...plan,
        fetched: this.#fetched.map(({ name }) => name),
        startedMs: this.#startedMs,
        endedMs: this.#endedMs,
        failure: this.#failure,
      }
    );
  }

  snapshot(): DownloadSnapshot {
    const { clock } = this.#tools;
    // A file that has to begin anew takes nothing back from what was shown.
    this.#shownBytes = Math.max(this.#shownBytes, this.#arrivedBytes());
    const isDownloading = this.#state === "downloading";
    const speed = isDownloading ? this.#rate.perSecond(clock.monotonicMs()) : null;
    const leftMs = speed === null || speed === 0 ? null : (this.leftBytes / speed) * 1_000;
    return {
      id: this.id,
      state: this.#state,
      owner: this.#owner,
      source: this.plan.source,
      quantization: this.plan.quantization,
      modelPath: this.modelPath,
      files: this.plan.files.map(({ name }) => name),
      totalBytes: this.totalBytes,
      downloadedBytes: this.#shownBytes,
      bytesPerSecond: speed,
      estimatedCompletionMs: leftMs === null ? null : clock.now() + leftMs,
      startedMs: this.#startedMs,
      completedMs: this.#completedMs,
      failure: this.#failure,
    };
  }

  #arrivedBytes(): number {
    return this.#finishedBytes + (this.#transfer?.doneBytes ?? 0);
  }

  /** Resolves once it is neither waiting nor running. */
  async settled(): Promise<void> {
    while (this.#state === "queued" || this.#state === "downloading") {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiters.push(resolve);
      await promise;
    }
  }

  /** Back into the line, after a pause or a failure. */
  requeue(): void {
    this.#failure = null;
    this.#endedMs = null;
    this.#move("queued");
  }

  /**
   * Fetches what is missing until completed, failed or paused; never rejects.
   * @param prepare runs first, in case the folder has been removed.
   * @param onFetched runs after each file; what is remembered then, a later process can remove.
   * @param onComplete runs before anyone sees the job as completed.
   */
  run({ prepare, onFetched, onComplete }: RunHooks): Promise<void> {
    this.#stop = new AbortController();
    this.#rate = new ByteRate(this.#tools.clock.monotonicMs());
    this.#move("downloading");
    this.#running = prepare()
      .then(() => this.#fetch(this.#stop.signal, onFetched))
      .then(onComplete)
      .then(
        () => this.#end("completed", null),
        (error: unknown) => this.#stopped(error),
      );
    return this.#running;
  }

  /** Stops and keeps what has arrived. Resolves once nothing is written any more. */
  async pause(): Promise<void> {
    // A person's pause does not end by itself.
    if (this.lacksSpace) this.#failure = null;
    if (this.#state === "queued") this.#move("paused");
    if (this.#state !== "downloading") return;
    this.#stop.abort();
    await this.#running;
  }

  /**
   * Stops and removes what this job brought.
   * @param kept Files that another job fetches or has fetched: they stay, with all beside them.
   */
  async cancel(kept: ReadonlySet<string>): Promise<void> {
    if (this.#state === "completed") return;
    await this.pause();
    // It may have completed while it was asked to stop.
    if (this.state === "completed") return;
    for (const { target } of this.plan.files) {
      // A projector may be on its way for another quantisation.
      if (kept.has(target.final) || (await isLocked(target.lock))) continue;
      await removeFile(target.part);
      await removeFile(target.journal);
      // Of a process that was killed.
      await removeFile(target.lock);
    }
    for (const { target } of this.#fetched) {
      if (!kept.has(target.final)) await removeFile(target.final);
    }
    this.#end("failed", "It was cancelled.");
  }

  async #fetch(signal: AbortSignal, onFetched: () => Promise<void>): Promise<void> {
    this.#finishedBytes = 0;
    for (const file of this.plan.files) {
      signal.throwIfAborted();
      if ((await finishedSize(file.target.final)) !== file.sizeBytes) {
        this.#transfer = this.#transferOf(file);
        try {
          if (await this.#transfer.run(signal)) {
            this.#fetched.push(file);
            await onFetched();
          }
        } catch (error) {
          this.#finishedBytes += this.#transfer.doneBytes;
          this.#transfer = null;
          throw error;
        }
      }
      this.#transfer = null;
      this.#finishedBytes += file.sizeBytes;
      // A process that ended between the rename and this left it.
      await removeFile(file.target.journal);
    }
  }

  #transferOf(file: PlannedFile): FileTransfer {
    const { clock } = this.#tools;
    return new FileTransfer(this.#tools, file, file.target, (count) =>
      this.#rate.add(count, clock.monotonicMs()),
    );
  }

  #stopped(error: unknown): void {
    const isFull = hasCode(error, "insufficient_disk");
    const isAsked = this.#stop.signal.aborted && (isFull || !(error instanceof LmError));
    if (isAsked || isFull) {
      this.#failure = isAsked || !isFull ? null : error.message;
      this.#move("paused");
      return;
    }
    const isExpected = error instanceof LmError && !hasCode(error, "internal");
    if (!isExpected) this.#tools.log.error("a download failed", { reason: String(error) });
    this.#end("failed", isExpected ? error.message : "The server failed to store the download.");
  }

  #end(state: "completed" | "failed", failure: string | null): void {
    const nowMs = this.#tools.clock.now();
    this.#failure = failure;
    this.#endedMs = nowMs;
    if (state === "completed") this.#completedMs = nowMs;
    this.#move(state);
  }

  #move(state: DownloadState): void {
    this.#state = state;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}

/** Bytes a plan still has to fetch, after what an earlier process left; 0 = all is there. */
export async function missingBytes(plan: DownloadPlan): Promise<{ bytes: number; files: number }> {
  const missing = { bytes: 0, files: 0 };
  for (const { target, url, sizeBytes, sha256 } of plan.files) {
    if ((await finishedSize(target.final)) === sizeBytes) continue;
    const expected = { url: url.origin + url.pathname, sizeBytes, sha256 };
    const journal = await readJournal(target, expected);
    missing.files += 1;
    missing.bytes += sizeBytes - (journal === null ? 0 : doneBytes(journal));
  }
  return missing;
}
