import { assert } from "../lib/assert.ts";
import type { KvCache } from "./kv-cache.ts";
import { commonPrefixLength } from "./token-buffer.ts";

/** A finished sequence whose cells stay in the KV cache until they are needed. */
export interface StoredPrefix {
  readonly sequence: number;
  readonly tokens: Int32Array;
  /** Key of the adapters it was computed with: it is of no use to others. */
  readonly adapters: string;
}

/** Tokens below which a prefix is short. */
const SHORT_TOKENS = 256;

function isShort(entry: StoredPrefix): boolean {
  return entry.tokens.length < SHORT_TOKENS;
}

/**
 * Finished sequences, kept for prompts that begin alike. They share cells with each other and with
 * running slots; the least recently used one goes first when cells or sequence ids are needed.
 */
export class PrefixCache {
  readonly #kv: KvCache;
  /** Least recently used first. */
  readonly #stored = new Set<StoredPrefix>();

  constructor(kv: KvCache) {
    this.#kv = kv;
  }

  get size(): number {
    return this.#stored.size;
  }

  /**
   * Takes over a slot's sequence, which holds exactly `tokens`. What it makes redundant is dropped:
   * stored prefixes of it, or itself when it is a prefix of a stored one.
   * @param adapters key of the adapters it was computed with.
   */
  store(sequence: number, tokens: Int32Array, adapters: string): void {
    assert(this.#kv.length(sequence) === tokens.length, "a stored prefix holds its tokens");
    if (tokens.length === 0) return this.#kv.close(sequence);
    for (const entry of this.#stored) {
      if (entry.adapters !== adapters) continue;
      const common = commonPrefixLength(entry.tokens, tokens, tokens.length);
      if (common === tokens.length) {
        this.#touch(entry);
        return this.#kv.close(sequence);
      }
      if (common === entry.tokens.length) this.#drop(entry);
    }
    this.#kv.unpin(sequence);
    this.#stored.add({ sequence, tokens: tokens.slice(), adapters });
  }

  /**
   * The stored sequence that shares most leading tokens, at most `limit` of them.
   * @param adapters only sequences computed with these.
   * @param whole only sequences that are used to their end, for memory that cannot be cut.
   */
  longest(
    tokens: Int32Array,
    limit: number,
    adapters: string,
    whole: boolean,
  ): { entry: StoredPrefix; length: number } | null {
    let best: StoredPrefix | null = null;
    let bestLength = 0;
    for (const entry of this.#stored) {
      // Only an entry that also matches one token further can be better.
      if (entry.tokens[bestLength] !== tokens[bestLength]) continue;
      if (entry.adapters !== adapters) continue;
      const length = commonPrefixLength(entry.tokens, tokens, limit);
      if (length <= bestLength || (whole && length < entry.tokens.length)) continue;
      best = entry;
      bestLength = length;
    }
    if (best === null) return null;
    this.#touch(best);
    return { entry: best, length: bestLength };
  }

  has(entry: StoredPrefix): boolean {
    return this.#stored.has(entry);
  }

  /** Gives the sequence itself to a slot: pinned, and no longer stored. */
  adopt(entry: StoredPrefix): void {
    this.#stored.delete(entry);
    this.#kv.pin(entry.sequence);
  }

  /** Forgets the least recently used prefix. @returns false when there is none. */
  evictOne(): boolean {
    for (const entry of this.#stored) {
      this.#drop(entry);
      return true;
    }
    return false;
  }

  /**
   * Forgets short prefixes, least recently used first, until `most` of them are left. Every cell in
   * use costs each row of each decode a look at its mask; computing a short prompt again costs less.
   */
  evictShort(most: number): void {
    let count = 0;
    for (const entry of this.#stored) if (isShort(entry)) count++;
    for (const entry of this.#stored) {
      if (count <= most) return;
      if (!isShort(entry)) continue;
      this.#drop(entry);
      count--;
    }
  }

  clear(): void {
    while (this.evictOne());
  }

  #drop(entry: StoredPrefix): void {
    this.#stored.delete(entry);
    this.#kv.close(entry.sequence);
  }

  #touch(entry: StoredPrefix): void {
    this.#stored.delete(entry);
    this.#stored.add(entry);
  }
}
