import { statSync } from "node:fs";

/** A folder as it was when it was listed. */
export interface ListedFolder {
  path: string;
  modifiedMs: number;
  inode: number;
  /** It holds folders: a new one would show here. */
  isInner: boolean;
}

/**
 * Folders that hold files only, looked at each time. With more of them they take turns, so that a
 * look takes a millisecond however many there are; a whole walk follows within seconds anyway.
 */
const LEAVES_PER_LOOK = 256;

/** Whether the folders of a walk are still what they were. For disks that are looked at at once. */
export class FolderWatch {
  readonly #inner: readonly ListedFolder[];
  readonly #leaves: readonly ListedFolder[];
  #next = 0;

  constructor(folders: readonly ListedFolder[]) {
    this.#inner = folders.filter(({ isInner }) => isInner);
    this.#leaves = folders.filter(({ isInner }) => !isInner);
  }

  isUnchanged(): boolean {
    const from = this.#next;
    this.#next = from + LEAVES_PER_LOOK < this.#leaves.length ? from + LEAVES_PER_LOOK : 0;
    const leaves = this.#leaves.slice(from, from + LEAVES_PER_LOOK);
    return this.#inner.every(isAsListed) && leaves.every(isAsListed);
  }
}

function isAsListed({ path, modifiedMs, inode }: ListedFolder): boolean {
  try {
    const facts = statSync(path);
    return facts.mtimeMs === modifiedMs && facts.ino === inode;
  } catch {
    // It is gone, or closed to us: a walk tells which.
    return false;
  }
}
