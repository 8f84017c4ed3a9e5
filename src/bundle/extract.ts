import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { reasonOf, unusable } from "./cache-folder.ts";
import type { BundledFile } from "./manifest.ts";
import { findDamage } from "./verify.ts";

/** How often damaged files are replaced before the folder counts as one that cannot be used. */
const REPAIRS = 2;

/**
 * Puts `files` into `folder` unless they are there, and returns when every byte there was read and
 * found right. A folder with damage of any kind (a flipped byte, a link, a file too many, another
 * owner) is replaced as a whole. Two processes may do this at the same time.
 * @param read gives the uncompressed bytes of a file.
 * @throws LmError engine_unavailable when the folder cannot be written or stays damaged.
 */
export function extractFiles(
  folder: string,
  files: readonly BundledFile[],
  read: (file: BundledFile) => Uint8Array,
): void {
  for (let repairs = 0; ; repairs += 1) {
    if (inodeOf(folder) === null) writeFolder(folder, files, read);
    const judged = inodeOf(folder);
    const damage = findDamage(folder, files);
    if (damage === null) return;
    if (repairs === REPAIRS) throw unusable(dirname(folder), `in its engine folder ${damage}`);
    // Another process may have replaced it since: that one is judged anew.
    if (inodeOf(folder) === judged) discard(folder);
  }
}

/** All or nothing: written under a temporary name beside it and renamed at once. */
function writeFolder(
  folder: string,
  files: readonly BundledFile[],
  read: (file: BundledFile) => Uint8Array,
): void {
  const temporary = `${folder}.${process.pid}.${crypto.randomUUID()}.tmp`;
  try {
    for (const file of files) writeDurably(join(temporary, file.path), read(file));
    rename(temporary, folder);
  } catch (error) {
    throw unusable(dirname(folder), `writing the libraries failed (${reasonOf(error)})`, error);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Deletes what a killed process left: temporary folders older than `olderThanMs`. */
export function sweepTemporary(cacheDir: string, nowMs: number, olderThanMs: number): void {
  for (const name of readdirSync(cacheDir)) {
    if (!/\.(tmp|old)$/.test(name)) continue;
    const path = join(cacheDir, name);
    const facts = lstatSync(path, { throwIfNoEntry: false });
    if (facts !== undefined && nowMs - facts.mtimeMs > olderThanMs) remove(path);
  }
}

function writeDurably(path: string, bytes: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const descriptor = openSync(path, flags, 0o500);
  try {
    for (let offset = 0; offset < bytes.length;) offset += writeSync(descriptor, bytes, offset);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Renames, unless another process was faster. */
function rename(temporary: string, folder: string): void {
  try {
    renameSync(temporary, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
  }
}

/** Moves a damaged folder aside before deleting it, so that nobody sees it half gone. */
function discard(folder: string): void {
  const aside = `${folder}.${process.pid}.${crypto.randomUUID()}.old`;
  try {
    renameSync(folder, aside);
  } catch (error) {
    if (lstatSync(folder, { throwIfNoEntry: false }) === undefined) return; // somebody else did
    throw unusable(dirname(folder), `damaged files stay there (${reasonOf(error)})`, error);
  }
  remove(aside);
}

/** What another user's folder keeps from being deleted stays: nobody loads anything from it. */
function remove(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    return; // the next sweep tries again
  }
}

const inodeOf = (path: string): bigint | null =>
  lstatSync(path, { throwIfNoEntry: false, bigint: true })?.ino ?? null;
