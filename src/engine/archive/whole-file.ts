import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { open, rename, unlink } from "node:fs/promises";
import { strangerOf } from "../../lib/stranger.ts";
import { systemCode } from "../../lib/system-code.ts";

/** No link is followed, and a pipe is opened without waiting for a writer. Windows has no such flags. */
const READ_OWN = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * A file that only this user can read, and that appears under its name whole or not at all.
 * @param temporary path on the same file system, for as long as it is not whole.
 * @throws Error of the system, such as ENOSPC; nothing is left behind then.
 */
export async function writeWhole(
  path: string,
  temporary: string,
  parts: readonly Uint8Array[],
): Promise<void> {
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      for (const part of parts) {
        // On a full disk a write ends early without an error; the next one has it.
        for (let at = 0; at < part.length;) at += (await file.write(part, at)).bytesWritten;
      }
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}

/** As `writeWhole`, before it returns. */
export function writeWholeSync(
  path: string,
  temporary: string,
  parts: readonly Uint8Array[],
): void {
  try {
    const file = openSync(temporary, "wx", 0o600);
    try {
      for (const part of parts) {
        for (let at = 0; at < part.length;) at += writeSync(file, part, at, part.length - at);
      }
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    removeQuietly(temporary);
    throw error;
  }
}

/** It is not a plain file, or others than this user can write to it. */
export class StrangersFile extends Error {}

/**
 * The first bytes of a file, fewer where it ends before.
 * @throws StrangersFile; Error of the system.
 */
export function readOwn(path: string, most: number): Uint8Array {
  const file = openOwn(path);
  try {
    const facts = fstatSync(file);
    const stranger = strangerOf(facts, "file");
    if (stranger !== null) throw new StrangersFile(`${path} ${stranger}`);
    const bytes = new Uint8Array(Math.min(most, facts.size));
    let at = 0;
    for (let read = -1; at < bytes.length && read !== 0; at += read) {
      read = readSync(file, bytes, at, bytes.length - at, at);
    }
    return bytes.subarray(0, at);
  } finally {
    closeSync(file);
  }
}

function openOwn(path: string): number {
  try {
    return openSync(path, READ_OWN);
  } catch (error) {
    // What READ_OWN does not follow, and what cannot be opened at all.
    const isOther = ["ELOOP", "ENXIO"].includes(systemCode(error) ?? "");
    throw isOther ? new StrangersFile(`${path} is not a plain file`) : error;
  }
}

export function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It may be gone already, or was never written.
  }
}
