import type { Stats } from "node:fs";

/** What tells that a file is still the one that was read. */
export interface FileStamp {
  path: string;
  /** Below the models folder, with `/` between the parts. */
  relativePath: string;
  sizeBytes: number;
  modifiedMs: number;
  inode: number;
}

/** Whether the file is still as it was. */
export const isStampOf = (stamp: FileStamp, { size, mtimeMs, ino }: Stats): boolean =>
  stamp.sizeBytes === size && stamp.modifiedMs === mtimeMs && stamp.inode === ino;

export function stampOf(path: string, relativePath: string, facts: Stats): FileStamp {
  return {
    path,
    relativePath,
    sizeBytes: facts.size,
    modifiedMs: facts.mtimeMs,
    inode: facts.ino,
  };
}

/** Partial downloads end in `.part`, so the ending alone passes over them. */
export function isModelName(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  return name.endsWith(".gguf") && !name.includes("mmproj");
}
