import { realpath } from "node:fs/promises";
import { LmError } from "../../lib/errors.ts";
import { MAX_DOWNLOADS, MAX_OPEN_DOWNLOADS } from "../../lib/limits.ts";
import { DownloadJob, missingBytes } from "./download-job.ts";
import type {
  AlreadyDownloaded,
  DownloadRequest,
  Downloads,
  DownloadSnapshot,
} from "./downloads.ts";
import { codeOf } from "../failure-words.ts";
import { planOfRecord, type JobRecords } from "./job-records.ts";
import { planDownload, remakeFolders } from "./plan-download.ts";
import { checkDiskSpace } from "./target-file.ts";
import type { TransferTools } from "./transfer-tools.ts";

/** Between two looks whether a full disk has room again. */
const SPACE_LOOK_MS = 30_000;
const KEEP_ENDED_MS = 24 * 3_600_000;
/** Ended jobs remembered; the oldest go first. */
const MAX_ENDED = 1_000;

export interface DownloadManagerOptions {
  /** Receives the models as `<owner>/<repo>/<file>`; made when missing. */
  modelsDir: string;
  tools: TransferTools;
  /** Runs before a job is seen as completed: the catalogue looks again. */
  onComplete: () => Promise<void>;
  /** Where the jobs outlive this process; absent = nowhere. */
  records?: JobRecords;
}

/** The jobs of one process. See `Downloads`. */
export class DownloadManager implements Downloads {
  readonly #options: DownloadManagerOptions;
  readonly #jobs = new Map<string, DownloadJob>();
  #isClosed = false;
  #cancelLook: (() => void) | null = null;

  constructor(options: DownloadManagerOptions) {
    this.#options = options;
  }

  async restore(): Promise<void> {
    const { records, modelsDir, tools } = this.#options;
    const root = await realpath(modelsDir).catch(() => modelsDir);
    for (const record of records?.read() ?? []) {
      const plan = planOfRecord(record, root);
      if (plan === null || this.#jobs.has(record.id)) continue;
      // Someone may have put a link in its place, or removed it.
      if ((await realpath(plan.folder).catch(() => null)) !== plan.folder) continue;
      const totalBytes = plan.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      const missing = await missingBytes(plan).catch(() => ({ bytes: totalBytes, files: 1 }));
      const { state, ...facts } = record;
      const isEnded = state === "completed" || state === "failed";
      // Another process may have fetched the rest.
      const isWhole = !isEnded && missing.files === 0;
      const earlier = {
        ...facts,
        state: isEnded ? state : isWhole ? "completed" : "paused",
        endedMs: isWhole ? tools.clock.now() : record.endedMs,
        failure: isWhole ? null : record.failure,
        arrivedBytes: totalBytes - missing.bytes,
        fetched: record.fetched ?? [],
      } as const;
      this.#jobs.set(record.id, new DownloadJob(plan, record.owner, tools, earlier));
    }
    this.#awaitSpace();
  }

  async start(
    request: DownloadRequest,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<DownloadSnapshot | AlreadyDownloaded> {
    this.#checkOpen();
    const { tools, modelsDir } = this.#options;
    const plan = await planDownload(tools, modelsDir, request, signal);
    const modelPath = plan.files[0].target.final;
    const known = this.#unfinished(modelPath);
    if (known !== null) return (await this.resume(known.id)) ?? known.snapshot();
    const missing = await missingBytes(plan);
    if (missing.files === 0) return { state: "already_downloaded", source: plan.source, modelPath };
    const promised = this.#open().reduce((sum, job) => sum + job.leftBytes, 0);
    await checkDiskSpace(plan.folder, promised + missing.bytes, tools.freeBytes);
    signal.throwIfAborted();
    // No other call may come between this look and the new entry.
    const other = this.#unfinished(modelPath);
    if (other !== null) return (await this.resume(other.id)) ?? other.snapshot();
    this.#checkOpen();
    const job = new DownloadJob(plan, request.owner, tools);
    this.#jobs.set(job.id, job);
    // Before it is told: a client may ask for it after the next start of the server.
    await this.#save();
    this.#pump();
    return job.snapshot();
  }

  status(jobId: string): DownloadSnapshot | null {
    this.#forget();
    return this.#jobs.get(jobId)?.snapshot() ?? null;
  }

  list(): readonly DownloadSnapshot[] {
    this.#forget();
    return [...this.#jobs.values()].map((job) => job.snapshot());
  }

  async settled(jobId: string): Promise<DownloadSnapshot | null> {
    const job = this.#jobs.get(jobId);
    await job?.settled();
    return job?.snapshot() ?? null;
  }

  async pause(jobId: string): Promise<DownloadSnapshot | null> {
    const job = this.#jobs.get(jobId);
    await job?.pause();
    await this.#save();
    return job?.snapshot() ?? null;
  }

  async resume(jobId: string): Promise<DownloadSnapshot | null> {
    const job = this.#jobs.get(jobId);
    if (job?.state === "paused" || job?.state === "failed") {
      const newer = this.#unfinished(job.modelPath);
      if (newer !== null && newer !== job) return newer.snapshot();
      this.#checkOpen();
      job.requeue();
      this.#pump();
      await this.#save();
    }
    return job?.snapshot() ?? null;
  }

  async cancel(jobId: string): Promise<DownloadSnapshot | null> {
    const job = this.#jobs.get(jobId);
    const others = [...this.#jobs.values()].filter(
      (other) => other !== job && other.state !== "failed",
    );
    const kept = others.flatMap(({ plan }) => plan.files.map(({ target }) => target.final));
    await job?.cancel(new Set(kept));
    await this.#save();
    return job?.snapshot() ?? null;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelLook?.();
    await Promise.all(this.#open().map((job) => job.pause()));
    await this.#save();
  }

  /** A disk that refuses costs the list after a restart, not the downloads. */
  async #save(): Promise<void> {
    const { records, tools } = this.#options;
    this.#forget();
    const jobs = [...this.#jobs.values()].flatMap((job) => job.record() ?? []);
    await records?.write(jobs).catch((error: unknown) => {
      tools.log.warn("the list of downloads cannot be kept", { reason: codeOf(error) });
    });
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new LmError("server_shutdown", {}, "The server is stopping.");
    if (this.#open().length >= MAX_OPEN_DOWNLOADS)
      throw new LmError(
        "overloaded",
        { retryAfterMs: 60_000 },
        `${MAX_OPEN_DOWNLOADS} downloads are waiting already.`,
      );
  }

  /** Waiting or running. */
  #open(): readonly DownloadJob[] {
    return [...this.#jobs.values()].filter(
      ({ state }) => state === "queued" || state === "downloading",
    );
  }

  #unfinished(modelPath: string): DownloadJob | null {
    const known = [...this.#jobs.values()].find(
      (job) => job.modelPath === modelPath && job.state !== "completed" && job.state !== "failed",
    );
    return known ?? null;
  }

  /** Starts waiting jobs while there is room. */
  #pump(): void {
    const open = this.#isClosed ? [] : this.#open();
    const waiting = open.filter(({ state }) => state === "queued");
    const room = MAX_DOWNLOADS - (open.length - waiting.length);
    const { modelsDir, onComplete } = this.#options;
    for (const job of waiting.slice(0, Math.max(0, room))) {
      const prepare = () => remakeFolders(modelsDir, job.plan);
      const onFetched = () => this.#save();
      void job.run({ prepare, onFetched, onComplete }).then(() => this.#ended());
    }
  }

  async #ended(): Promise<void> {
    this.#pump();
    this.#awaitSpace();
    await this.#save();
  }

  /** Looks now and then while a full disk keeps jobs from going on. */
  #awaitSpace(): void {
    const isNeeded = [...this.#jobs.values()].some(({ lacksSpace }) => lacksSpace);
    if (!isNeeded || this.#isClosed || this.#cancelLook !== null) return;
    this.#cancelLook = this.#options.tools.clock.after(SPACE_LOOK_MS, () => {
      void this.#lookForSpace();
    });
  }

  async #lookForSpace(): Promise<void> {
    const { freeBytes } = this.#options.tools;
    for (const job of [...this.#jobs.values()].filter(({ lacksSpace }) => lacksSpace)) {
      const promised = this.#open().reduce((sum, { leftBytes }) => sum + leftBytes, 0);
      const hasRoom = await checkDiskSpace(
        job.plan.folder,
        promised + job.leftBytes,
        freeBytes,
      ).then(
        () => true,
        () => false,
      );
      // Somebody may have paused, resumed or cancelled it meanwhile.
      if (hasRoom && job.lacksSpace && !this.#isClosed) job.requeue();
    }
    this.#cancelLook = null;
    this.#pump();
    this.#awaitSpace();
  }

  #forget(): void {
    const nowMs = this.#options.tools.clock.now();
    const ended = [...this.#jobs.values()].filter(({ endedMs }) => endedMs !== null);
    const surplus = ended.length - MAX_ENDED;
    for (const [index, job] of ended.entries()) {
      if (index < surplus || nowMs - (job.endedMs ?? nowMs) > KEEP_ENDED_MS)
        this.#jobs.delete(job.id);
    }
  }
}
