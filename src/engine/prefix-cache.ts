import { assert } from "../lib/assert.ts";
import type { Archive } from "./archive/archive.ts";
import type { KvCache } from "./kv-cache.ts";
import { SHORT_TOKENS, type StoredPrefix } from "./stored-prefix.ts";
import { PrefixTree, type TreeMatch } from "./prefix-tree.ts";
import { commonPrefixLength } from "./token-buffer.ts";

/** Tokens that a prefix must share with a prompt to be kept for it. */
const WORTH_KEEPING = 32;
/** Tokens that short prefixes may hold in all while a request begins. */
const SHORT_TOTAL = 512;

function isShort(entry: StoredPrefix): boolean {
  return entry.tokens.length < SHORT_TOKENS;
}

/**
 * Finished sequences, kept for prompts that begin alike: one tree per scope. They share cells with
 * each other and with running slots; the least recently used one goes first when cells or sequence
 * ids are needed.
 */
export class PrefixCache {
  readonly #kv: KvCache;
  readonly #isCuttable: boolean;
  readonly #archive: Archive | null;
  /** Least recently used first. */
  readonly #stored = new Set<StoredPrefix>();
  readonly #trees = new Map<string, PrefixTree<StoredPrefix>>();
  #version = 0;

  /**
   * @param isCuttable sequences can be cut and shared at any length.
   * @param archive keeps what leaves the cells; null = it is lost.
   */
  constructor(kv: KvCache, isCuttable: boolean, archive: Archive | null = null) {
    this.#kv = kv;
    this.#archive = archive;
    this.#isCuttable = isCuttable;
  }

  get size(): number {
    return this.#stored.size;
  }

  /** Grows with every change. */
  get version(): number {
    return this.#version;
  }

  /** Nodes and tokens of the trees. */
  get extent(): { nodes: number; tokens: number } {
    let nodes = 0;
    let tokens = 0;
    for (const tree of this.#trees.values()) {
      nodes += tree.nodes;
      tokens += tree.tokens;
    }
    return { nodes, tokens };
  }

  /**
   * Takes over a slot's sequence, which holds exactly `tokens`. What it makes redundant is dropped:
   * stored prefixes of it, or itself when it is a prefix of a stored one. Where sequences cannot be
   * cut, each stays of use.
   */
  store(scope: string, sequence: number, tokens: Int32Array): void {
    assert(this.#kv.length(sequence) === tokens.length, "a stored prefix holds its tokens");
    if (tokens.length === 0) return this.#kv.close(sequence);
    const tree = this.#trees.get(scope) ?? new PrefixTree<StoredPrefix>();
    this.#trees.set(scope, tree);
    const same = tree.get(tokens);
    if (same !== null) this.touch(same);
    if (same !== null || (this.#isCuttable && tree.continues(tokens))) {
      return this.#kv.close(sequence);
    }
    const shorter = this.#isCuttable ? tree.prefixesOf(tokens, tokens.length) : [];
    this.#kv.unpin(sequence);
    const entry = { scope, sequence, tokens: tokens.slice() };
    tree.set(entry.tokens, entry);
    this.#stored.add(entry);
    this.#version++;
    this.#archive?.add(entry);
    for (const { value } of shorter) this.#drop(value);
  }

  /**
   * The stored sequence of a scope that shares most leading tokens, at most `limit` of them. Where
   * sequences cannot be cut: the longest that is used to its end.
   */
  longest(scope: string, tokens: Int32Array, limit: number): TreeMatch<StoredPrefix> | null {
    const tree = this.#trees.get(scope);
    if (tree === undefined) return null;
    return this.#isCuttable ? tree.longest(tokens, limit) : tree.longestWhole(tokens, limit);
  }

  /** It is of use: others go before it. */
  touch(entry: StoredPrefix): void {
    this.#stored.delete(entry);
    this.#stored.add(entry);
  }

  /** How many leading tokens some stored sequence shares, usable or not. */
  sharedLength(scope: string, tokens: Int32Array, limit: number): number {
    return this.#trees.get(scope)?.longest(tokens, limit)?.length ?? 0;
  }

  /** Whether anything is stored for a scope. */
  isIn(scope: string): boolean {
    return this.#trees.has(scope);
  }

  has(entry: StoredPrefix): boolean {
    return this.#stored.has(entry);
  }

  /** Gives the sequence itself to a slot: pinned, and no longer stored. */
  adopt(entry: StoredPrefix): void {
    this.#archive?.finish(entry);
    this.#forget(entry);
    this.#kv.pin(entry.sequence);
  }

  /** Gives up the cells of the least recently used prefix. @returns false when there is none. */
  evictOne(): boolean {
    for (const entry of this.#stored) {
      this.#archive?.finish(entry);
      this.#drop(entry);
      return true;
    }
    return false;
  }

  /**
   * Gives up prefixes that are cheap to have again: archived ones, which are read back, and the least
   * recently used of the short ones, which are soon computed, until at most `most` of these and few
   * tokens are left. Every cell in use costs each row of each decode a look at its mask: a thousand of
   * them take three to five parts in a hundred of a small model's step.
   * @param wanted prefixes of these tokens stay, whatever they cost.
   */
  evictCheap(most: number, wanted: { scope: string; tokens: Int32Array } | null = null): void {
    const isOurs = ({ scope, tokens }: StoredPrefix): boolean =>
      scope === wanted?.scope &&
      commonPrefixLength(tokens, wanted.tokens, tokens.length) >= WORTH_KEEPING;
    const archive = this.#archive;
    const stored = [...this.#stored].filter((entry) => !isOurs(entry));
    for (const entry of stored) if (archive?.isSaved(entry) === true) this.#drop(entry);
    let count = 0;
    let tokens = 0;
    for (const entry of stored.toReversed()) {
      if (!isShort(entry) || !this.#stored.has(entry)) continue;
      count += 1;
      tokens += entry.tokens.length;
      if (count > most || tokens > SHORT_TOTAL) this.#drop(entry);
    }
  }

  /** Gives up everything, at the end. */
  clear(): void {
    for (const entry of this.#stored) {
      this.#drop(entry);
    }
  }

  #drop(entry: StoredPrefix): void {
    this.#archive?.forget(entry);
    this.#forget(entry);
    this.#kv.close(entry.sequence);
  }

  #forget(entry: StoredPrefix): void {
    const tree = this.#trees.get(entry.scope);
    assert(tree?.delete(entry.tokens) === true, "a stored prefix is in its tree");
    if (tree.size === 0) this.#trees.delete(entry.scope);
    this.#stored.delete(entry);
    this.#version++;
  }
}
