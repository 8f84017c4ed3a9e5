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

/**
 * Lists the model files below a folder. Follows links, each folder once, so loops end. Projector
 * files (`mmproj`) and hidden folders are passed over; a folder that cannot be read is reported.
 */
export async function walkFolder(root: string): Promise<FolderWalk> {
  const walk: FolderWalk = { files: [], broken: [] };
  const seen = new Set<string>();
  let level: { path: string; relative: string }[] = [{ path: root, relative: "" }];
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth += 1) {
    const next: typeof level = [];
    const found = await Promise.all(level.map((folder) => readFolder(folder, seen, walk)));
    for (const folders of found) next.push(...folders);
    level = seen.size < MAX_FOLDERS && walk.files.length < MAX_FILES ? next : [];
  }
  walk.files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return walk;
}

async function readFolder(
  folder: { path: string; relative: string },
  seen: Set<string>,
  walk: FolderWalk,
): Promise<{ path: string; relative: string }[]> {
  try {
    const facts = await stat(folder.path);
    const identity = `${facts.dev}:${facts.ino}`;
    if (seen.has(identity)) return [];
    seen.add(identity);
    const entries = await readdir(folder.path, { withFileTypes: true });
    const folders: { path: string; relative: string }[] = [];
    const files: Promise<void>[] = [];
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      const path = join(folder.path, entry.name);
      const relative = folder.relative === "" ? entry.name : `${folder.relative}/${entry.name}`;
      if (entry.isDirectory()) folders.push({ path, relative });
      else if (entry.isSymbolicLink()) files.push(followLink(path, relative, folders, walk));
      else if (isModelName(entry.name)) files.push(stampFile(path, relative, walk));
    }
    await Promise.all(files);
    return folders;
  } catch (error) {
    if (folder.relative !== "" || !isMissing(error))
      walk.broken.push({
        path: folder.path,
        reason: `the folder cannot be read (${codeOf(error)})`,
      });
    return [];
  }
}

async function followLink(
  path: string,
  relative: string,
  folders: { path: string; relative: string }[],
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
function isModelName(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  return name.endsWith(".gguf") && !name.includes("mmproj");
}

const isMissing = (error: unknown): boolean => codeOf(error) === "ENOENT";

/** The system's word for a failure, such as EACCES; a plain sentence otherwise. */
export function codeOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string")
    return error.code;
  return error instanceof Error ? printable(error.message) : "unknown failure";
}
