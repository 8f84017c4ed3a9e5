import type { Block } from "./block.ts";
import { BlockIndex } from "./block-index.ts";
import type { BlockStore } from "./block-store.ts";

/** Blocks in main memory, for where there is no disk to keep them on. */
export class MemoryBlocks implements BlockStore {
  readonly index = new BlockIndex();
  readonly isPaused = false;
  readonly isFull = false;
  readonly #blocks = new Map<string, Block>();
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  tokensOf(key: string): Int32Array | null {
    return this.#blocks.get(key)?.tokens ?? null;
  }

  has(key: string): boolean {
    return this.#blocks.has(key);
  }

  read(key: string): Block | null {
    return this.#blocks.get(key) ?? null;
  }

  write(block: Block): boolean {
    const { facts } = block;
    if (facts.bytes > this.#maxBytes) return false;
    this.#blocks.set(facts.key, block);
    this.index.add(facts);
    // What the new block follows must not go for it.
    for (let key = facts.parent; ;) {
      const parent = this.index.get(key);
      if (parent === null) break;
      this.index.touch(key);
      key = parent.parent;
    }
    while (this.index.bytes > this.#maxBytes) this.#removeOldest();
    return true;
  }

  touch(keys: readonly string[]): void {
    for (const key of keys) this.index.touch(key);
  }

  remove(key: string): void {
    this.index.delete(key);
    this.#blocks.delete(key);
  }

  async settled(): Promise<void> {
    // Everything is done at once.
  }

  /** A block that nothing follows: each sequence goes from its end. */
  #removeOldest(): void {
    for (const { key } of this.index.all()) {
      if (!this.index.isLeaf(key)) continue;
      return this.remove(key);
    }
  }
}
