import { lstatSync, lutimesSync, readdirSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../lib/clock.ts";
import { strangerOf } from "../../lib/stranger.ts";
import { systemCode } from "../../lib/system-code.ts";
import type { EngineTrouble } from "../../protocol/events.ts";
import type { Block, BlockFacts } from "./block.ts";
import {
  decodeBlock,
  decodeTokens,
  encodeBlock,
  fileName,
  readFileName,
  tokenBytes,
} from "./block-file.ts";
import { openBlockFolder } from "./block-folder.ts";
import { BlockIndex } from "./block-index.ts";
import type { BlockStore } from "./block-store.ts";
import { DiskSpace, TEMPORARY_PREFIX } from "./disk-space.ts";
import { readOwn, removeQuietly, StrangersFile, writeWhole, writeWholeSync } from "./whole-file.ts";

/** Bytes that may wait to be written, where nothing else is said. */
const MOST_WAITING_BYTES = 64 * 1024 * 1024;
/** A file is marked as used at most so often. */
const TOUCH_EVERY_MS = 60_000;
/** After a failed write, as on a full disk, none is tried for so long. */
const PAUSE_MS = 60_000;

export interface DiskBlocksOptions {
  /** Holds a folder per fingerprint; shared by every engine of the user. */
  folder: string;
  /** Of the model and everything that decides its states; see model-identity.ts. */
  fingerprint: string;
  /** Of all folders together. */
  maxBytes: number;
  /** Of one block: a larger file is none; absent = `maxBytes`. */
  maxBlockBytes?: number;
  /** Bytes that may wait to be written; absent = 64 MiB. */
  maxWaitingBytes?: number;
  clock: Clock;
  /** Told once per trouble. */
  onTrouble: (trouble: EngineTrouble) => void;
  /** Given each block that was to be written later and could not be. */
  onLost?: (block: Block) => void;
}

/**
 * Blocks as files that only this user can read, one per block, named by content. A file appears
 * whole or not at all, and one that is damaged is removed and counts as never written. Files are
 * written in the background, one at a time; what is still on its way can be read already.
 */
export class DiskBlocks implements BlockStore {
  readonly index = new BlockIndex();
  readonly #options: DiskBlocksOptions;
  readonly #folder: string;
  readonly #space: DiskSpace;
  readonly #waiting = new Map<string, Block>();
  readonly #tokens = new Map<string, Int32Array>();
  readonly #touched = new Map<string, number>();
  #waitingBytes = 0;
  #writes: Promise<void> = Promise.resolve();
  #pausedUntilMs = 0;
  #temporaries = 0;

  /** @throws Error when the folder is not there and cannot be made, or is not the user's alone. */
  constructor(options: DiskBlocksOptions) {
    this.#options = options;
    this.#folder = join(options.folder, options.fingerprint);
    this.#space = new DiskSpace(options.folder, options.maxBytes, options.clock);
    this.#openFolder();
    for (const facts of this.#list()) this.index.add(facts);
  }

  get isPaused(): boolean {
    return this.#options.clock.monotonicMs() < this.#pausedUntilMs;
  }

  get isFull(): boolean {
    return this.#waitingBytes >= (this.#options.maxWaitingBytes ?? MOST_WAITING_BYTES);
  }

  tokensOf(key: string): Int32Array | null {
    const known = this.#waiting.get(key)?.tokens ?? this.#tokens.get(key);
    if (known !== undefined) return known;
    const tokens = this.#attempt(key, (facts) => {
      return decodeTokens(readOwn(this.#pathOf(facts), tokenBytes(facts)), facts);
    });
    if (tokens !== null) this.#tokens.set(key, tokens);
    return tokens;
  }

  has(key: string): boolean {
    if (this.#waiting.has(key)) return true;
    this.#attempt(key, (facts) => lstatSync(this.#pathOf(facts)));
    return this.index.get(key) !== null;
  }

  read(key: string): Block | null {
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) return waiting;
    return this.#attempt(key, (facts) => {
      // One byte more tells that the file grew.
      return decodeBlock(readOwn(this.#pathOf(facts), facts.bytes + 1), facts);
    });
  }

  write(block: Block): boolean {
    const { key, bytes } = block.facts;
    if (!this.#space.canHold(bytes)) {
      this.#failed(new Error(`a block of ${bytes} bytes is larger than the cap of all`));
      return false;
    }
    if (this.isFull) return this.#writeNow(block);
    this.index.add(block.facts);
    this.#waiting.set(key, block);
    this.#waitingBytes += bytes;
    this.#tokens.set(key, block.tokens);
    this.#writes = this.#writes.then(() => this.#writeNext(block));
    return true;
  }

  touch(keys: readonly string[]): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const key of keys) {
      const facts = this.index.get(key);
      if (facts === null || this.#waiting.has(key)) continue;
      if (nowMs - (this.#touched.get(key) ?? -Infinity) < TOUCH_EVERY_MS) continue;
      this.#touched.set(key, nowMs);
      const now = new Date(this.#options.clock.now());
      this.#attempt(key, () => (lutimesSync(this.#pathOf(facts), now, now), true));
    }
  }

  remove(key: string): void {
    const facts = this.index.get(key);
    if (facts === null) return;
    this.#forget(key);
    removeQuietly(this.#pathOf(facts));
  }

  async settled(): Promise<void> {
    await this.#writes;
  }

  async #writeNext(block: Block): Promise<void> {
    const { key, bytes } = block.facts;
    try {
      // Removed meanwhile, or another engine wrote the same.
      if (this.index.get(key) === null) return this.#forget(key);
      if (this.isPaused) return this.#lose(block);
      if (await this.#space.makeRoom(bytes)) await this.#forgetGone();
      this.#openFolder();
      await writeWhole(this.#pathOf(block.facts), this.#temporary(), encodeBlock(block));
      this.#space.add(bytes);
    } catch (error) {
      this.#failed(error);
      this.#lose(block);
    } finally {
      this.#waiting.delete(key);
      this.#waitingBytes -= bytes;
    }
  }

  /** Without a wait in the queue, where there is room without removing others. */
  #writeNow(block: Block): boolean {
    const { facts, tokens } = block;
    if (this.isPaused || !this.#space.hasRoom(this.#waitingBytes + facts.bytes)) return false;
    try {
      this.#openFolder();
      writeWholeSync(this.#pathOf(facts), this.#temporary(), encodeBlock(block));
      this.#space.add(facts.bytes);
      this.index.add(facts);
      this.#tokens.set(facts.key, tokens);
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  #failed(error: unknown): void {
    this.#pausedUntilMs = this.#options.clock.monotonicMs() + PAUSE_MS;
    this.#options.onTrouble(troubleOf(error, this.#options.folder));
  }

  #lose(block: Block): void {
    this.#forget(block.facts.key);
    this.#options.onLost?.(block);
  }

  /** Path of a file that is not whole yet. */
  #temporary(): string {
    this.#temporaries++;
    return join(this.#folder, `${TEMPORARY_PREFIX}${process.pid}-${this.#temporaries}`);
  }

  #openFolder(): void {
    openBlockFolder(this.#options.folder);
    openBlockFolder(this.#folder);
  }

  /**
   * What `body` finds in a file. One that is gone, damaged or no block any more is forgotten; one that
   * the system does not give right now, as where no descriptor is free, is whole and stays.
   */
  #attempt<Value>(key: string, body: (facts: BlockFacts) => Value | null): Value | null {
    const facts = this.index.get(key);
    if (facts === null) return null;
    try {
      const value = body(facts);
      if (value === null) this.remove(key);
      return value;
    } catch (error) {
      const code = systemCode(error);
      const isStranger = error instanceof StrangersFile;
      if (code === null && !isStranger) throw error;
      if (isStranger || code === "ENOENT") this.remove(key);
      return null;
    }
  }

  /** This engine and others remove what was used longest ago. */
  async #forgetGone(): Promise<void> {
    const names = new Set(await readdir(this.#folder).catch(() => null));
    for (const facts of this.index.all()) if (!names.has(fileName(facts))) this.has(facts.key);
  }

  #forget(key: string): void {
    this.index.delete(key);
    this.#tokens.delete(key);
    this.#touched.delete(key);
  }

  #list(): BlockFacts[] {
    const { maxBytes, maxBlockBytes = maxBytes } = this.#options;
    return readdirSync(this.#folder).flatMap((name) => {
      const facts = lstatSync(join(this.#folder, name), { throwIfNoEntry: false });
      if (facts === undefined || strangerOf(facts, "file") !== null) return [];
      if (facts.size > maxBlockBytes) return [];
      return readFileName(name, facts.size) ?? [];
    });
  }

  #pathOf(facts: BlockFacts): string {
    return join(this.#folder, fileName(facts));
  }
}

/** What the server is told about a folder that cannot be used. */
export function troubleOf(error: unknown, folder: string): EngineTrouble {
  const said = error instanceof Error ? error.message : String(error);
  // A failed write names no file.
  const reason = said.includes(folder) ? said : `${said} (in ${folder})`;
  return { cause: systemCode(error) ?? "unusable", reason };
}
