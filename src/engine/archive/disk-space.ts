import { lstat, readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "../../lib/assert.ts";
import type { Clock } from "../../lib/clock.ts";
import { strangerOf } from "../../lib/stranger.ts";
import { systemCode } from "../../lib/system-code.ts";
import { readFileName } from "./block-file.ts";

/** Names of files that are not whole yet. */
export const TEMPORARY_PREFIX = ".tmp-";
/** Of an engine that was killed: its process is gone, or its number is another's by now. */
const STALE_MS = 3_600_000;
/** Engines of another container cannot be seen; they write a file in less. */
const UNSEEN_MS = 10_000;
/** So many engines may each write their part of what is free before they look again. */
const ENGINES = 8;
/** A look takes time, so one engine may always write this part of the cap before the next. */
const LEAST_PART = 1 / 1_024;
/** Room is made for more than the next file, so that it is not made again at once. */
const SPARE = 0.1;

interface Found {
  path: string;
  key: string;
  parent: string;
  bytes: number;
  /** When it, or anything that follows it, was last used. */
  usedMs: number;
}

/**
 * The space that the blocks of all models may take together. Engines share the folder without
 * talking to each other: each looks at all of it now and then, and removes what was used longest ago.
 */
export class DiskSpace {
  readonly #folder: string;
  readonly #maxBytes: number;
  readonly #clock: Clock;
  /** Bytes there at the last look and written by us since; null = never looked. */
  #bytes: number | null = null;
  /** Bytes of our own until the next look. */
  #untilLook = 0;

  constructor(folder: string, maxBytes: number, clock: Clock) {
    this.#clock = clock;
    this.#folder = folder;
    this.#maxBytes = maxBytes;
  }

  /** A file was written. */
  add(bytes: number): void {
    this.#bytes = (this.#bytes ?? 0) + bytes;
    this.#untilLook -= bytes;
  }

  /** Whether so many bytes fit at all. */
  canHold(bytes: number): boolean {
    return bytes <= this.#maxBytes;
  }

  /** Whether so many bytes fit without a look at the folder, as far as this engine knows by now. */
  hasRoom(bytes: number): boolean {
    return (this.#bytes ?? 0) + bytes <= this.#maxBytes;
  }

  /** The cap may be lower than when the blocks were written. @returns bytes above it that could not be removed. */
  async keepCap(): Promise<number> {
    await this.makeRoom(0);
    return Math.max(0, (this.#bytes ?? 0) - this.#maxBytes);
  }

  /**
   * Removes what was used longest ago until `bytes` more fit, sequences from their ends.
   * @returns whether it looked: files may be gone, by this engine or another.
   */
  async makeRoom(bytes: number): Promise<boolean> {
    assert(this.canHold(bytes), "no room can be made for what never fits");
    const isFull = (this.#bytes ?? 0) + bytes > this.#maxBytes;
    if (this.#bytes !== null && !isFull && this.#untilLook >= bytes) return false;
    const { found, temporaryBytes } = await this.#look();
    let left = found.reduce((sum, file) => sum + file.bytes, temporaryBytes);
    if (left + bytes > this.#maxBytes) {
      const goal = Math.max(0, Math.min(this.#maxBytes * (1 - SPARE), this.#maxBytes - bytes));
      for (const file of oldestFirst(found)) {
        if (left <= goal) break;
        if (await isRemoved(file.path)) left -= file.bytes;
      }
    }
    this.#bytes = left;
    const part = Math.max((this.#maxBytes - left) / ENGINES, this.#maxBytes * LEAST_PART);
    this.#untilLook = Math.max(part, bytes);
    return true;
  }

  /** Blocks, and the bytes of files that are not whole yet. */
  async #look(): Promise<{ found: Found[]; temporaryBytes: number }> {
    const found: Found[] = [];
    let temporaryBytes = 0;
    for (const folder of await names(this.#folder)) {
      for (const name of await names(join(this.#folder, folder))) {
        const path = join(this.#folder, folder, name);
        const facts = await lstat(path).catch(() => null);
        if (facts?.isFile() !== true) continue;
        const block = readFileName(name, facts.size);
        if (block !== null) {
          const { key, parent } = block;
          found.push({ path, key, parent, bytes: facts.size, usedMs: facts.mtimeMs });
        } else if (name.startsWith(TEMPORARY_PREFIX)) {
          const isGone = this.#isStale(name, facts.mtimeMs) && (await isRemoved(path));
          if (!isGone) temporaryBytes += facts.size;
        }
      }
    }
    return { found, temporaryBytes };
  }

  /** Where nothing is to be kept, nobody is to be writing. */
  #isStale(name: string, writtenMs: number): boolean {
    const ageMs = this.#clock.now() - writtenMs;
    if (this.#maxBytes === 0 || ageMs > STALE_MS) return true;
    const pid = Number(/^\d+/.exec(name.slice(TEMPORARY_PREFIX.length))?.[0]);
    return ageMs > UNSEEN_MS && !(pid > 0 && isRunning(pid));
  }
}

/** Whether a process of this user has the number. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // It is gone, or another user's, who does not write here.
    return false;
  }
}

/** What lies in a folder of ours; nothing in one that others may write to, or behind a link. */
async function names(folder: string): Promise<string[]> {
  const facts = await lstat(folder).catch(() => null);
  if (facts === null || strangerOf(facts, "folder") !== null) return [];
  return await readdir(folder).catch(() => []);
}

async function isRemoved(path: string): Promise<boolean> {
  return await unlink(path).then(
    () => true,
    (error: unknown) => systemCode(error) === "ENOENT",
  );
}

/** A block is as old as the youngest that follows it, and goes after it. */
function oldestFirst(found: readonly Found[]): Found[] {
  const byKey = new Map(found.map((file) => [file.key, file]));
  const depths = new Map<Found, number>();
  const depthOf = (file: Found): number => {
    const known = depths.get(file);
    if (known !== undefined) return known;
    depths.set(file, 0);
    const parent = byKey.get(file.parent);
    const depth = parent === undefined ? 0 : depthOf(parent) + 1;
    depths.set(file, depth);
    return depth;
  };
  const deepestFirst = found.toSorted((a, b) => depthOf(b) - depthOf(a));
  for (const file of deepestFirst) {
    const parent = byKey.get(file.parent);
    if (parent !== undefined) parent.usedMs = Math.max(parent.usedMs, file.usedMs);
  }
  return deepestFirst.toSorted((a, b) => a.usedMs - b.usedMs);
}
