import type { FileStamp } from "./file-stamp.ts";
import { isStarvation } from "../lib/system-code.ts";
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
  #isSettled = true;
  readonly #scan: (path: string) => Promise<GgufHeader>;

  /** @param scan Replaced by tests. */
  constructor(scan = scanGguf) {
    this.#scan = scan;
  }

  /** Whether the last files would give the same again; false = some could not be read at the time. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** One result per stamp, in order. Forgets files that are not among the stamps. */
  async scanAll(stamps: readonly FileStamp[]): Promise<ScannedFile[]> {
    const results = new Map<string, ScannedFile>();
    const waiting: FileStamp[] = [];
    for (const stamp of stamps) {
      const known = this.#known.get(stamp.path);
      if (known !== undefined && isSame(known.stamp, stamp)) results.set(stamp.path, known);
      else waiting.push(stamp);
    }
    const passing = new Set<string>();
    const worker = async (): Promise<void> => {
      for (let stamp = waiting.pop(); stamp !== undefined; stamp = waiting.pop()) {
        const { file, isPassing } = await this.#look(stamp);
        results.set(stamp.path, file);
        if (isPassing) passing.add(stamp.path);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
    // What a file was goes on standing for it until it can be read: its stamp tells that it is old.
    const isLasting = (path: string) =>
      !passing.has(path) || results.get(path) === this.#known.get(path);
    this.#known = new Map([...results].filter(([path]) => isLasting(path)));
    this.#isSettled = passing.size === 0;
    return stamps.flatMap((stamp) => results.get(stamp.path) ?? []);
  }

  /** @returns isPassing: the next look may give something else, though the file is the same. */
  async #look(stamp: FileStamp): Promise<{ file: ScannedFile; isPassing: boolean }> {
    try {
      const header = await this.#scan(stamp.path);
      return { file: { stamp, header, reason: null }, isPassing: false };
    } catch (error) {
      if (error instanceof UnreadableFile) {
        return { file: { stamp, header: null, reason: error.message }, isPassing: false };
      }
      const before = this.#known.get(stamp.path);
      if (before !== undefined && isStarvation(error)) return { file: before, isPassing: true };
      const reason = `the file cannot be read (${codeOf(error)})`;
      return { file: { stamp, header: null, reason }, isPassing: true };
    }
  }
}

const isSame = (a: FileStamp, b: FileStamp): boolean =>
  a.sizeBytes === b.sizeBytes && a.modifiedMs === b.modifiedMs && a.inode === b.inode;
