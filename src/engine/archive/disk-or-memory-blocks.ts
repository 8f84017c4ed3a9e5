import type { Block, BlockFacts } from "./block.ts";
import type { BlockLookup, BlockStore } from "./block-store.ts";

/**
 * Blocks on disk, and in memory while the disk takes none: a full disk costs the next start what it
 * would have found, and this one nothing.
 */
export class DiskOrMemoryBlocks implements BlockStore {
  readonly index: BlockLookup;
  /** Memory takes blocks at any time. */
  readonly isPaused = false;
  readonly #disk: BlockStore;
  readonly #memory: BlockStore;

  constructor(disk: BlockStore, memory: BlockStore) {
    this.#disk = disk;
    this.#memory = memory;
    this.index = new JoinedLookup(disk.index, memory.index);
  }

  get isFull(): boolean {
    return !this.#disk.isPaused && this.#disk.isFull;
  }

  tokensOf(key: string): Int32Array | null {
    return this.#disk.tokensOf(key) ?? this.#memory.tokensOf(key);
  }

  has(key: string): boolean {
    return this.#disk.has(key) || this.#memory.has(key);
  }

  read(key: string): Block | null {
    return this.#disk.read(key) ?? this.#memory.read(key);
  }

  write(block: Block): boolean {
    if (!this.#disk.isPaused && this.#disk.write(block)) return true;
    // A disk at its cap makes room later; one that fails does not.
    return this.#disk.isPaused && this.#memory.write(block);
  }

  touch(keys: readonly string[]): void {
    this.#disk.touch(keys);
    this.#memory.touch(keys);
  }

  remove(key: string): void {
    this.#disk.remove(key);
    this.#memory.remove(key);
  }

  async settled(): Promise<void> {
    await this.#disk.settled();
  }
}

class JoinedLookup implements BlockLookup {
  readonly #parts: readonly [BlockLookup, BlockLookup];

  constructor(...parts: [BlockLookup, BlockLookup]) {
    this.#parts = parts;
  }

  get version(): number {
    return this.#parts[0].version + this.#parts[1].version;
  }

  get size(): number {
    return this.#parts[0].size + this.#parts[1].size;
  }

  get bytes(): number {
    return this.#parts[0].bytes + this.#parts[1].bytes;
  }

  get(key: string): BlockFacts | null {
    return this.#parts[0].get(key) ?? this.#parts[1].get(key);
  }

  following(parent: string, head: string): BlockFacts[] {
    return this.#parts.flatMap((part) => part.following(parent, head));
  }
}
