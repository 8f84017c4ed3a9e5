import type { BlockFacts } from "./block.ts";
import type { BlockLookup } from "./block-store.ts";

/** Blocks by key and by what they follow: the sequences kept in a store, as a tree. */
export class BlockIndex implements BlockLookup {
  readonly #blocks = new Map<string, BlockFacts>();
  readonly #children = new Map<string, Set<BlockFacts>>();
  #bytes = 0;
  #version = 0;

  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#blocks.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** In the order in which they were added or touched. */
  all(): IterableIterator<BlockFacts> {
    return this.#blocks.values();
  }

  get(key: string): BlockFacts | null {
    return this.#blocks.get(key) ?? null;
  }

  add(facts: BlockFacts): void {
    this.delete(facts.key);
    this.#blocks.set(facts.key, facts);
    this.#version++;
    const siblings = this.#children.get(facts.parent) ?? new Set();
    this.#children.set(facts.parent, siblings.add(facts));
    this.#bytes += facts.bytes;
  }

  delete(key: string): void {
    const facts = this.#blocks.get(key);
    if (facts === undefined) return;
    this.#blocks.delete(key);
    this.#version++;
    this.#bytes -= facts.bytes;
    const siblings = this.#children.get(facts.parent);
    siblings?.delete(facts);
    if (siblings?.size === 0) this.#children.delete(facts.parent);
  }

  /** Puts a block behind all others. */
  touch(key: string): void {
    const facts = this.#blocks.get(key);
    if (facts === undefined) return;
    this.#blocks.delete(key);
    this.#blocks.set(key, facts);
  }

  isLeaf(key: string): boolean {
    return !this.#children.has(key);
  }

  following(parent: string, head: string): BlockFacts[] {
    return [...(this.#children.get(parent) ?? [])].filter((facts) => facts.head === head);
  }
}
