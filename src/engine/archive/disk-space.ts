import { lstat, readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "../../lib/assert.ts";
import type { Clock } from "../../lib/clock.ts";
import { strangerOf } from "../../lib/stranger.ts";
import { systemCode } from "../../lib/system-code.ts";
import { readFileName } from "./block-file.ts";

/** Names of files that are not whole yet. */
export const TEMPORARY_PREFIX = ".tmp-";
/** Left behind by an engine that was killed. */
const STALE_MS = 3_600_000;
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
   * @returns keys of the removed blocks.
   */
  async makeRoom(bytes: number): Promise<string[]> {
    assert(this.canHold(bytes), "no room can be made for what never fits");
    const isFull = (this.#bytes ?? 0) + bytes > this.#maxBytes;
    if (this.#bytes !== null && !isFull && this.#untilLook > 0) return [];
    const found = await this.#look();
    this.#untilLook = this.#maxBytes / 16;
    let left = found.reduce((sum, file) => sum + file.bytes, 0);
    const removed: string[] = [];
    if (left + bytes > this.#maxBytes) {
      const goal = Math.max(0, Math.min(this.#maxBytes * (1 - SPARE), this.#maxBytes - bytes));
      for (const file of oldestFirst(found)) {
        if (left <= goal) break;
        if (!(await isRemoved(file.path))) continue;
        left -= file.bytes;
        removed.push(file.key);
      }
    }
    this.#bytes = left;
    return removed;
  }

  async #look(): Promise<Found[]> {
    const found: Found[] = [];
    for (const folder of await names(this.#folder)) {
      for (const name of await names(join(this.#folder, folder))) {
        const path = join(this.#folder, folder, name);
        const facts = await lstat(path).catch(() => null);
        if (facts?.isFile() !== true) continue;
        const block = readFileName(name, facts.size);
        if (block !== null) {
          const { key, parent } = block;
          found.push({ path, key, parent, bytes: facts.size, usedMs: facts.mtimeMs });
        } else if (name.startsWith(TEMPORARY_PREFIX) && this.#isStale(facts.mtimeMs)) {
          await isRemoved(path);
        }
      }
    }
    return found;
  }

  /** Where nothing is to be kept, nobody is to be writing. */
  #isStale(writtenMs: number): boolean {
    return this.#maxBytes === 0 || this.#clock.now() - writtenMs > STALE_MS;
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
