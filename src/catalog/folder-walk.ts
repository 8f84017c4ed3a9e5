import type { Stats } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { printable } from "./model-names.ts";
import type { BrokenModel } from "./model.ts";

/** publisher/repo/quantisation/file, and one more. */
const MAX_DEPTH = 5;
const MAX_FOLDERS = 50_000;
const MAX_FILES = 50_000;

/** What tells that a file is still the one that was read. */
export interface FileStamp {
  path: string;
  /** Below the models folder, with `/` between the parts. */
  relativePath: string;
  sizeBytes: number;
  modifiedMs: number;
  inode: number;
}

export interface FolderWalk {
  /** Everything that is called `*.gguf`, sorted by path. */
  files: FileStamp[];
  broken: BrokenModel[];
}

/** Folders changed less than this before they were listed may have changed again unnoticed. */
const CLOCK_GRAIN_MS = 2_500;

interface Listing {
  modifiedMs: number;
  inode: number;
  /** Wall-clock time of the listing. */
  listedMs: number;
  entries: readonly Entry[];
}

interface Entry {
  name: string;
  kind: "folder" | "link" | "model";
}

interface Folder {
  path: string;
  relative: string;
}

/**
 * Lists the model files below folders, and remembers what unchanged folders hold. Follows links,
 * each folder once, so loops end. Projector files (`mmproj`) and hidden folders are passed over; a
 * folder that cannot be read is reported.
 */
export class FolderWalker {
  readonly #listings = new Map<string, Listing>();

  async walk(root: string): Promise<FolderWalk> {
    const walk: FolderWalk = { files: [], broken: [] };
    const seen = new Set<string>();
    let level: Folder[] = [{ path: root, relative: "" }];
    for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth += 1) {
      const found = await Promise.all(level.map((folder) => this.#readFolder(folder, seen, walk)));
      const isTooMuch = seen.size > MAX_FOLDERS || walk.files.length > MAX_FILES;
      level = isTooMuch ? [] : found.flat();
    }
    walk.files.sort((a, b) => (a.path < b.path ? -1 : 1));
    return walk;
  }

  /** @returns the folders inside. */
  async #readFolder(folder: Folder, seen: Set<string>, walk: FolderWalk): Promise<Folder[]> {
    const folders: Folder[] = [];
    try {
      const facts = await stat(folder.path);
      const identity = `${facts.dev}:${facts.ino}`;
      if (seen.has(identity)) return [];
      seen.add(identity);
      const stats: Promise<void>[] = [];
      for (const { name, kind } of await this.#list(folder.path, facts)) {
        const path = join(folder.path, name);
        const relative = folder.relative === "" ? name : `${folder.relative}/${name}`;
        if (kind === "folder") folders.push({ path, relative });
        else if (kind === "link") stats.push(followLink(path, relative, folders, walk));
        else stats.push(stampFile(path, relative, walk));
      }
      await Promise.all(stats);
    } catch (error) {
      const isAbsentRoot = folder.relative === "" && codeOf(error) === "ENOENT";
      const reason = `the folder cannot be read (${codeOf(error)})`;
      if (!isAbsentRoot) walk.broken.push({ path: folder.path, reason });
    }
    return folders;
  }

  async #list(path: string, { mtimeMs, ino }: Stats): Promise<readonly Entry[]> {
    const known = this.#listings.get(path);
    const isSame = known?.modifiedMs === mtimeMs && known.inode === ino;
    if (isSame && mtimeMs < known.listedMs - CLOCK_GRAIN_MS) return known.entries;
    const listedMs = Date.now();
    const found = await readdir(path, { withFileTypes: true });
    const entries = found.flatMap((entry): Entry[] => {
      const { name } = entry;
      if (name.startsWith(".")) return [];
      if (entry.isDirectory()) return [{ name, kind: "folder" }];
      if (entry.isSymbolicLink()) return [{ name, kind: "link" }];
      return isModelName(name) ? [{ name, kind: "model" }] : [];
    });
    this.#listings.set(path, { modifiedMs: mtimeMs, inode: ino, listedMs, entries });
    return entries;
  }
}

async function followLink(
  path: string,
  relative: string,
  folders: Folder[],
  walk: FolderWalk,
): Promise<void> {
  try {
    if ((await stat(path)).isDirectory()) {
      folders.push({ path, relative });
      return;
    }
  } catch (error) {
    if (isModelName(path))
      walk.broken.push({ path, reason: `the link leads nowhere (${codeOf(error)})` });
    return;
  }
  if (isModelName(path)) await stampFile(path, relative, walk);
}

async function stampFile(path: string, relativePath: string, walk: FolderWalk): Promise<void> {
  try {
    const facts = await stat(path);
    if (!facts.isFile()) {
      walk.broken.push({ path, reason: "it is not a regular file" });
      return;
    }
    walk.files.push({
      path,
      relativePath,
      sizeBytes: facts.size,
      modifiedMs: facts.mtimeMs,
      inode: facts.ino,
    });
  } catch (error) {
    walk.broken.push({ path, reason: `the file cannot be read (${codeOf(error)})` });
  }
}

/** Partial downloads end in `.part`, so the ending alone passes over them. */
export function isModelName(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  return name.endsWith(".gguf") && !name.includes("mmproj");
}

/** The system's word for a failure, such as EACCES; a plain sentence otherwise. */
export function codeOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string")
    return error.code;
  return error instanceof Error ? printable(error.message) : "unknown failure";
}
