import { constants } from "node:fs";
import { lstat, mkdir, open, realpath, statfs, unlink, type FileHandle } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { assert } from "../../lib/assert.ts";
import { LmError } from "../../lib/errors.ts";
import { codeOf } from "../failure-words.ts";
import { isSafeSegment } from "./model-source.ts";

/** Left free beside what a download needs: a full disk harms everyone on the machine. */
const SPARE_BYTES = 256 * 2 ** 20;

/** Windows has no such flag; there links need a privilege. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

/** Paths of one file while it arrives. All in one folder, so that renaming is atomic. */
export interface TargetFile {
  final: string;
  part: string;
  journal: string;
  lock: string;
}

export function targetFile(folder: string, path: string): TargetFile {
  const final = join(folder, ...path.split("/"));
  const part = `${final}.part`;
  return { final, part, journal: `${part}.json`, lock: `${part}.lock` };
}

/**
 * Creates the folders of a path below `root`, one after the other, and refuses links among them: the
 * result lies inside. Names come from a hub. `root` itself may be a link, its owner chose it.
 * @returns the real path of the innermost folder.
 * @throws LmError `invalid_file`.
 */
export async function makeFolders(root: string, segments: readonly string[]): Promise<string> {
  let folder = "";
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
    folder = await realpath(root);
    const inside = folder + (folder.endsWith(sep) ? "" : sep);
    for (const segment of segments) {
      assert(isSafeSegment(segment), "a folder's name was not checked");
      folder = join(folder, segment);
      await mkdir(folder, { mode: 0o700 }).catch((error: unknown) => {
        if (codeOf(error) !== "EEXIST") throw error;
      });
      if (!(await lstat(folder)).isDirectory()) throw unusable(folder, "it is not a folder");
    }
    assert((folder + sep).startsWith(inside), "a folder left the models folder");
  } catch (error) {
    if (error instanceof LmError) throw error;
    throw unusable(folder || root, `the folder cannot be used (${codeOf(error)})`);
  }
  return folder;
}

/** Size of a finished file; null when there is none. @throws LmError for a link or another thing. */
export async function finishedSize(path: string): Promise<number | null> {
  const facts = await lstat(path).catch(() => null);
  if (facts === null) return null;
  if (!facts.isFile()) throw unusable(path, "something that is no plain file is in its place");
  return facts.size;
}

/** A new file that only its owner may read. @throws EEXIST. */
export function createFile(path: string): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW;
  return open(path, flags, 0o600);
}

/** An existing plain file of ours with no other names, for reading and writing; null otherwise. */
export async function reopenFile(path: string): Promise<FileHandle | null> {
  const handle = await open(path, constants.O_RDWR | NO_FOLLOW).catch(() => null);
  if (handle === null) return null;
  const facts = await handle.stat();
  if (facts.isFile() && facts.nlink === 1) return handle;
  await handle.close();
  return null;
}

/** Removes a file that may not be there. */
export async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (codeOf(error) !== "ENOENT") throw error;
  });
}

/** Makes renames and removals in a folder last. Windows knows no such thing. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(dirname(path), constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** @throws LmError `insufficient_disk` when the folder's disk would not hold so much more. */
export async function checkDiskSpace(
  folder: string,
  neededBytes: number,
  freeBytes: (folder: string) => Promise<number>,
): Promise<void> {
  const availableBytes = (await freeBytes(folder)) - SPARE_BYTES;
  if (neededBytes <= availableBytes) return;
  throw new LmError(
    "insufficient_disk",
    { path: folder, neededBytes, availableBytes },
    `${sizeText(neededBytes)} are needed, but only ${sizeText(availableBytes)} of the disk may be used.`,
  );
}

function sizeText(bytes: number): string {
  const size = Math.max(0, bytes);
  return size < 2 ** 30
    ? `${(size / 2 ** 20).toFixed(1)} MiB`
    : `${(size / 2 ** 30).toFixed(2)} GiB`;
}

/** Of a write that the disk refused in the middle of a download. */
export const diskFull = (path: string, neededBytes: number, cause: unknown) =>
  new LmError(
    "insufficient_disk",
    { path, neededBytes, availableBytes: 0 },
    `${basename(path)}: the disk is full.`,
    { cause },
  );

/** What an ordinary user may still write there. */
export async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** Its message reaches clients, so it names the file without its folders. */
export const unusable = (path: string, reason: string, options?: ErrorOptions) =>
  new LmError("invalid_file", { path, reason }, `${basename(path)}: ${reason}.`, options);
