import type { FileStamp } from "./file-stamp.ts";
import { codeOf } from "./failure-words.ts";
import { UnreadableFile } from "./file-bytes.ts";
import { scanGguf, type GgufHeader } from "./gguf-scan.ts";

/** What scanning one file gave: its header, or the reason why it has none. */
export type ScannedFile = { stamp: FileStamp } & (
  { header: GgufHeader; reason: null } | { header: null; reason: string }
);

/** Files read at the same time: enough to hide the disk, few enough to leave the event loop free. */
const CONCURRENCY = 4;

/** Headers of files by path, read again only when size, time or inode changed. */
export class FileCache {
  #known = new Map<string, ScannedFile>();

  /** One result per stamp, in order. Forgets files that are not among the stamps. */
  async scanAll(stamps: readonly FileStamp[]): Promise<ScannedFile[]> {
    const results = new Map<string, ScannedFile>();
    const waiting: FileStamp[] = [];
    for (const stamp of stamps) {
      const known = this.#known.get(stamp.path);
      if (known !== undefined && isSame(known.stamp, stamp)) results.set(stamp.path, known);
      else waiting.push(stamp);
    }
    const worker = async (): Promise<void> => {
      for (let stamp = waiting.pop(); stamp !== undefined; stamp = waiting.pop()) {
        results.set(stamp.path, await scanFile(stamp));
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
    this.#known = results;
    return stamps.flatMap((stamp) => results.get(stamp.path) ?? []);
  }
}

async function scanFile(stamp: FileStamp): Promise<ScannedFile> {
  try {
    return { stamp, header: await scanGguf(stamp.path), reason: null };
  } catch (error) {
    const reason =
      error instanceof UnreadableFile
        ? error.message
        : `the file cannot be read (${codeOf(error)})`;
    return { stamp, header: null, reason };
  }
}

const isSame = (a: FileStamp, b: FileStamp): boolean =>
  a.sizeBytes === b.sizeBytes && a.modifiedMs === b.modifiedMs && a.inode === b.inode;
