import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { reasonOf, unusable } from "./cache-folder.ts";
import type { BundledFile } from "./manifest.ts";
import { isStamped, stamp } from "./verified-stamp.ts";

/**
 * Puts `files` into `folder`, all or nothing, and returns when every byte there is known to be right:
 * verified now, or earlier and untouched since.
 * They are written under a temporary name beside it and renamed at once, so two processes may do
 * this at the same time: one wins, the other verifies the winner's files. A folder whose contents
 * differ (a flipped byte, a missing file) is replaced.
 * @param read gives the uncompressed bytes of a file.
 * @throws LmError engine_unavailable when the folder cannot be written.
 */
export function extractFiles(
  folder: string,
  files: readonly BundledFile[],
  read: (file: BundledFile) => Uint8Array,
): void {
  if (existsSync(folder)) {
    if (isStamped(folder, files)) return;
    if (isIntact(folder, files)) return stamp(folder, files);
    discard(folder);
  }
  const temporary = `${folder}.${process.pid}.${crypto.randomUUID()}.tmp`;
  try {
    for (const file of files) writeDurably(join(temporary, file.path), read(file));
    rename(temporary, folder, files);
    stamp(folder, files);
  } catch (error) {
    throw unusable(dirname(folder), `writing the libraries failed (${reasonOf(error)})`, error);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Whether every file is there with the recorded size and SHA-256. Reads all of them. */
export function isIntact(folder: string, files: readonly BundledFile[]): boolean {
  return files.every((file) => {
    try {
      const path = join(folder, file.path);
      const facts = lstatSync(path);
      if (!facts.isFile() || facts.size !== file.sizeBytes) return false;
      return sha256(readFileSync(path)) === file.sha256;
    } catch {
      return false; // missing or unreadable counts as not intact
    }
  });
}

/** SHA-256 as 64 lower-case hexadecimal digits. */
export function sha256(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}

/** Deletes what a killed process left: temporary folders older than `olderThanMs`. */
export function sweepTemporary(cacheDir: string, nowMs: number, olderThanMs: number): void {
  for (const name of readdirSync(cacheDir)) {
    if (!/\.(tmp|old)$/.test(name)) continue;
    const path = join(cacheDir, name);
    const facts = lstatSync(path, { throwIfNoEntry: false });
    if (facts !== undefined && nowMs - facts.mtimeMs > olderThanMs) {
      rmSync(path, { recursive: true, force: true });
    }
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

/** Renames; when another process was faster, its files count if they are intact. */
function rename(temporary: string, folder: string, files: readonly BundledFile[]): void {
  try {
    renameSync(temporary, folder);
  } catch (error) {
    if (!existsSync(folder) || !isIntact(folder, files)) throw error;
  }
}

/** Moves a damaged folder aside before deleting it, so that nobody sees it half gone. */
function discard(folder: string): void {
  const aside = `${folder}.${process.pid}.${crypto.randomUUID()}.old`;
  try {
    renameSync(folder, aside);
    rmSync(aside, { recursive: true, force: true });
  } catch (error) {
    if (existsSync(folder)) {
      throw unusable(dirname(folder), `damaged files stay there (${reasonOf(error)})`, error);
    }
  }
}
