import type { Stats } from "node:fs";
import { readdir } from "node:fs/promises";
import type { Clock } from "../lib/clock.ts";
import { isModelName } from "./file-stamp.ts";

/** Folders changed less than this before they were listed may have changed again unnoticed. */
const CLOCK_GRAIN_MS = 2_500;

interface Listing {
  modifiedMs: number;
  inode: number;
  /** Wall-clock time of the listing. */
  listedMs: number;
  entries: readonly Entry[];
}

/** What counts in a folder; hidden names and other files do not. */
export interface Entry {
  name: string;
  kind: "folder" | "link" | "model" | "template";
}

/** What the folders below one root held when they were listed, by path. */
export class FolderListings {
  readonly #clock: Clock;
  readonly #known = new Map<string, Listing>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Forgets all others: they are not there any more. */
  keepOnly(paths: ReadonlySet<string>): void {
    for (const path of this.#known.keys()) if (!paths.has(path)) this.#known.delete(path);
  }

  /** What a folder held when it was listed; null when it may hold something else now. */
  remembered(path: string, facts: Stats): { facts: Stats; entries: readonly Entry[] } | null {
    const known = this.#known.get(path);
    const isSame = known?.modifiedMs === facts.mtimeMs && known.inode === facts.ino;
    const isSettled = isSame && facts.mtimeMs < known.listedMs - CLOCK_GRAIN_MS;
    return isSettled ? { facts, entries: known.entries } : null;
  }

  /** Reads what the folder holds. Rejects as `readdir` does. */
  async list(path: string, { mtimeMs, ino }: Stats): Promise<readonly Entry[]> {
    const listedMs = this.#clock.now();
    const found = await readdir(path, { withFileTypes: true });
    const entries = found.flatMap((entry): Entry[] => {
      const { name } = entry;
      if (name.startsWith(".")) return [];
      if (entry.isDirectory()) return [{ name, kind: "folder" }];
      if (entry.isSymbolicLink()) return [{ name, kind: "link" }];
      if (name.endsWith(".jinja")) return [{ name, kind: "template" }];
      return isModelName(name) ? [{ name, kind: "model" }] : [];
    });
    this.#known.set(path, { modifiedMs: mtimeMs, inode: ino, listedMs, entries });
    return entries;
  }
}
