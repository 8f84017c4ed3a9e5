import { readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../lib/clock.ts";
import { readFileName } from "./block-file.ts";

/** Names of files that are not whole yet. */
export const TEMPORARY_PREFIX = ".tmp-";
/** Left behind by an engine that was killed. */
const STALE_MS = 3_600_000;
/** Room is made for more than the next file, so that it is not made again at once. */
const SPARE = 0.1;

interface Found {
  path: string;
  /** null = not a block. */
  key: string | null;
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

  /** Whether so many bytes fit without a look at the folder, as far as this engine knows by now. */
  hasRoom(bytes: number): boolean {
    return (this.#bytes ?? 0) + bytes <= this.#maxBytes;
  }

  /**
   * Removes what was used longest ago until `bytes` more fit, sequences from their ends.
   * @returns keys of the removed blocks.
   * @throws Error when they never fit.
   */
  async makeRoom(bytes: number): Promise<string[]> {
    if (bytes > this.#maxBytes) throw new Error(`the cap of ${this.#maxBytes} bytes is too small`);
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
        await unlink(file.path).catch(() => undefined);
        left -= file.bytes;
        if (file.key !== null) removed.push(file.key);
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
        const facts = await stat(path).catch(() => null);
        if (facts === null) continue;
        const block = readFileName(name, facts.size);
        if (block !== null) {
          const { key, parent } = block;
          found.push({ path, key, parent, bytes: facts.size, usedMs: facts.mtimeMs });
        } else if (
          name.startsWith(TEMPORARY_PREFIX) &&
          this.#clock.now() - facts.mtimeMs > STALE_MS
        ) {
          await unlink(path).catch(() => undefined);
        }
      }
    }
    return found;
  }
}

async function names(folder: string): Promise<string[]> {
  return await readdir(folder).catch(() => []);
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
