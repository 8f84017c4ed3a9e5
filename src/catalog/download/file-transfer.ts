import { rename, type FileHandle } from "node:fs/promises";
import { codeOf, isDiskFull } from "../failure-words.ts";
import { fetchRange } from "./fetch-range.ts";
import { sha256Of } from "./file-hash.ts";
import { lockFile } from "./file-lock.ts";
import {
  doneBytes,
  planParts,
  readJournal,
  writeJournal,
  type Journal,
  type Part,
} from "./part-journal.ts";
import { waitAfter } from "./retry.ts";
import {
  createFile,
  diskFull,
  finishedSize,
  removeFile,
  reopenFile,
  syncFolder,
  unusable,
  type TargetFile,
} from "./target-file.ts";
import type { TransferTools } from "./transfer-tools.ts";
import {
  downloadFailed,
  FileChanged,
  RangesIgnored,
  TransientFailure,
} from "./transfer-failure.ts";

/** A changed file is begun anew this often before it counts as never at rest. */
const MAX_RESTARTS = 2;

/** One file to fetch. */
export interface RemoteFile {
  url: URL;
  sizeBytes: number;
  sha256: string | null;
}

/**
 * Fetches one file by parallel ranges into `<name>.part`, with a journal beside it that tells after
 * the end of the process, however it came, which bytes are real. What is complete is checked and
 * renamed. Written for this program because node-llama-cpp's downloader (`ipull`) keeps its progress
 * inside the file's own tail, and has neither a guard against a changed file nor a check of the
 * hub's digest before the rename.
 */
export class FileTransfer {
  readonly #tools: TransferTools;
  readonly #file: RemoteFile;
  readonly #target: TargetFile;
  readonly #onBytes: (count: number) => void;
  #journal: Journal;
  #isWhole = false;
  #unsaved = 0;
  #saving: Promise<void> = Promise.resolve();

  /** @param onBytes told how many bytes just arrived, also those of a part fetched again. */
  constructor(
    tools: TransferTools,
    file: RemoteFile,
    target: TargetFile,
    onBytes: (count: number) => void,
  ) {
    this.#tools = tools;
    this.#file = file;
    this.#target = target;
    this.#onBytes = onBytes;
    this.#journal = this.#blankJournal();
  }

  /** Bytes of the file that are on disk now; falls to 0 when it has to begin anew. */
  get doneBytes(): number {
    return doneBytes(this.#journal);
  }

  /**
   * Resolves once the file is in its place. Aborting keeps what has arrived.
   * @returns whether it was fetched; false when another job had done so.
   * @throws LmError, or the signal's reason. A file with wrong content is removed.
   */
  async run(signal: AbortSignal): Promise<boolean> {
    try {
      return await this.#run(signal);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  async #run(signal: AbortSignal): Promise<boolean> {
    const unlock = await lockFile(this.#target.lock, signal);
    try {
      if ((await finishedSize(this.#target.final)) === this.#file.sizeBytes) return false;
      const handle = await this.#open();
      try {
        await this.#fetchAll(handle, signal);
        await this.#verify(handle, signal);
      } finally {
        await handle.close();
      }
      await rename(this.#target.part, this.#target.final);
      await removeFile(this.#target.journal);
      await syncFolder(this.#target.final);
      return true;
    } finally {
      await unlock();
    }
  }

  get #leftBytes(): number {
    return this.#file.sizeBytes - this.doneBytes;
  }

  #explain(error: unknown): unknown {
    const { host } = this.#file.url;
    if (error instanceof TransientFailure || error instanceof FileChanged)
      return downloadFailed(host, error.message, { cause: error });
    if (isDiskFull(error)) return diskFull(this.#target.final, this.#leftBytes, error);
    const isSystem = error instanceof Error && "syscall" in error;
    if (!isSystem) return error;
    const reason = `it cannot be written (${codeOf(error)})`;
    return unusable(this.#target.final, reason, { cause: error });
  }

  #blankJournal(): Journal {
    const { url, sizeBytes, sha256 } = this.#file;
    const partBytes = this.#isWhole ? Math.max(1, sizeBytes) : this.#tools.partBytes(sizeBytes);
    return {
      version: 1,
      url: url.origin + url.pathname,
      sizeBytes,
      sha256,
      etag: null,
      parts: planParts(sizeBytes, partBytes),
    };
  }

  async #open(): Promise<FileHandle> {
    const journal = await readJournal(this.#target, this.#journal);
    const handle = journal === null ? null : await reopenFile(this.#target.part);
    if (journal !== null && handle !== null) {
      this.#journal = journal;
      return handle;
    }
    await removeFile(this.#target.journal);
    await removeFile(this.#target.part);
    return createFile(this.#target.part);
  }

  async #fetchAll(handle: FileHandle, signal: AbortSignal): Promise<void> {
    for (let restarts = 0; ;) {
      try {
        await this.#fetchParts(handle, signal);
        return;
      } catch (error) {
        if (error instanceof RangesIgnored && !this.#isWhole) this.#isWhole = true;
        else if (error instanceof FileChanged && restarts < MAX_RESTARTS) restarts += 1;
        else throw error;
        this.#tools.log.warn("a download begins anew", { reason: error.message });
        this.#journal = this.#blankJournal();
        await handle.truncate(0);
        await writeJournal(this.#target, this.#journal);
      }
    }
  }

  /** Runs the connections; the first failure stops the others. Saves the journal in any case. */
  async #fetchParts(handle: FileHandle, signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const onAbort = (): void => stop.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    const waiting = this.#journal.parts.filter((part) => part.start + part.done < part.end);
    const work = async (): Promise<void> => {
      for (let part = waiting.shift(); part !== undefined; part = waiting.shift())
        await this.#fetchPart(part, handle, stop.signal);
    };
    const workers = Array.from({ length: this.#tools.connections }, async () => {
      try {
        await work();
      } catch (error) {
        if (!stop.signal.aborted) stop.abort(error);
      }
    });
    try {
      await Promise.all(workers);
    } finally {
      signal.removeEventListener("abort", onAbort);
      await this.#save(handle);
    }
    if (stop.signal.aborted) throw stop.signal.reason;
  }

  async #fetchPart(part: Part, handle: FileHandle, signal: AbortSignal): Promise<void> {
    let attempt = 0;
    while (part.start + part.done < part.end) {
      signal.throwIfAborted();
      const before = part.done;
      try {
        await this.#stream(part, handle, signal);
      } catch (error) {
        if (!(error instanceof TransientFailure)) throw error;
        attempt = part.done > before ? 1 : attempt + 1;
        // Without ranges the next answer starts over.
        if (this.#isWhole) part.done = 0;
        await waitAfter(error, attempt, this.#tools.patience, signal);
      }
    }
  }

  async #stream(part: Part, handle: FileHandle, signal: AbortSignal): Promise<void> {
    const { url, sizeBytes } = this.#file;
    const chunks = fetchRange(
      this.#tools,
      {
        url,
        start: part.start + part.done,
        end: part.end,
        fileBytes: sizeBytes,
        etag: this.#journal.etag,
        isSame: (etag) => (this.#journal.etag ??= etag) === etag,
        isWhole: this.#isWhole,
      },
      signal,
    );
    for await (const chunk of chunks) {
      await writeAll(handle, chunk, part.start + part.done);
      part.done += chunk.length;
      this.#unsaved += chunk.length;
      this.#onBytes(chunk.length);
      if (this.#unsaved >= this.#tools.journalEveryBytes) await this.#save(handle);
    }
  }

  /** One save at a time; the journal is read before the bytes are synced, so it cannot run ahead. */
  #save(handle: FileHandle): Promise<void> {
    this.#unsaved = 0;
    const next = this.#saving.then(async () => {
      const snapshot = structuredClone(this.#journal);
      await handle.datasync();
      await writeJournal(this.#target, snapshot);
    });
    this.#saving = next.catch(() => undefined);
    return next;
  }

  async #verify(handle: FileHandle, signal: AbortSignal): Promise<void> {
    const { sha256, sizeBytes, url } = this.#file;
    const { size } = await handle.stat();
    const found = sha256 === null ? null : await sha256Of(handle, signal);
    if (size === sizeBytes && found === sha256) return;
    await removeFile(this.#target.part);
    await removeFile(this.#target.journal);
    throw downloadFailed(url.host, "the file that arrived is not the one the hub describes");
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < chunk.length;) {
    const { bytesWritten } = await handle.write(
      chunk,
      written,
      chunk.length - written,
      position + written,
    );
    written += bytesWritten;
  }
}
