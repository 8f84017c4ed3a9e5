import { assert } from "../../lib/assert.ts";
import type { KvCache } from "../kv-cache.ts";
import type { StoredPrefix } from "../stored-prefix.ts";
import { commonPrefixLength } from "../token-buffer.ts";
import type { Archive, ArchivedPrefix, Piece, Restored } from "./archive.ts";
import { type BlockFacts, blockKey, factsOf, HEAD_TOKENS, headOf, rootKey } from "./block.ts";
import { fileBytes } from "./block-file.ts";
import type { BlockStore } from "./block-store.ts";

export interface ArchiveOptions {
  store: BlockStore;
  /** See model-identity.ts. */
  fingerprint: string;
  /** Tokens per block, where sequences can be cut. */
  blockTokens: number;
  /** Shorter prefixes are computed again: reading them back would save little. */
  leastTokens: number;
}

/** How far a stored prefix is saved. */
interface Saving {
  readonly entry: StoredPrefix;
  at: number;
  parent: string;
  keys: string[];
}

/**
 * Stored prefixes outside the KV cache, so that they outlive their cells and the process. A sequence is
 * kept as blocks that are addressed by their content, so that sequences which begin alike
 * share them; memory that cannot be cut is kept whole. Saving goes block by block, in the
 * background or when a sequence must leave its cells.
 */
export class PrefixArchive implements Archive {
  readonly #options: ArchiveOptions;
  readonly #kv: KvCache;
  readonly #isCuttable: boolean;
  /** Not saved yet, or not wholly; the newest last. */
  readonly #pending = new Map<StoredPrefix, Saving>();
  /** Wholly saved, while their cells are in the KV cache too. */
  readonly #saved = new WeakSet<StoredPrefix>();

  constructor(options: ArchiveOptions, kv: KvCache, isCuttable: boolean) {
    assert(options.blockTokens >= 2 * HEAD_TOKENS, "a block is longer than its head");
    this.#options = options;
    this.#kv = kv;
    this.#isCuttable = isCuttable;
  }

  get version(): number {
    return this.#options.store.index.version;
  }

  get size(): { blocks: number; bytes: number } {
    const { index } = this.#options.store;
    return { blocks: index.size, bytes: index.bytes };
  }

  get isFull(): boolean {
    return this.#pending.size > 0 && this.#options.store.isFull;
  }

  get hasWork(): boolean {
    return this.#pending.size > 0 && !this.#isBusy;
  }

  isSaved(entry: StoredPrefix): boolean {
    return this.#saved.has(entry);
  }

  add(entry: StoredPrefix): void {
    if (entry.tokens.length < this.#options.leastTokens) return;
    const parent = rootKey(this.#options.fingerprint, entry.scope);
    this.#pending.set(entry, { entry, at: 0, parent, keys: [] });
  }

  finish(entry: StoredPrefix): void {
    const saving = this.#pending.get(entry);
    if (saving === undefined) return;
    while (!this.#options.store.isPaused && this.#saveBlock(saving) === "saved");
    this.#pending.delete(entry);
  }

  forget(entry: StoredPrefix): void {
    this.#pending.delete(entry);
  }

  saveSome(): void {
    const saving = [...this.#pending.values()].at(-1);
    if (saving === undefined || this.#isBusy) return;
    const outcome = this.#saveBlock(saving);
    if (outcome === "saved") return;
    this.#pending.delete(saving.entry);
    if (outcome === "whole") this.#saved.add(saving.entry);
  }

  async settled(): Promise<void> {
    await this.#options.store.settled();
  }

  find(scope: string, tokens: Int32Array, limit: number): ArchivedPrefix | null {
    const root = rootKey(this.#options.fingerprint, scope);
    const pieces = this.#isCuttable
      ? this.#findPieces(root, tokens, limit)
      : this.#findWhole(root, tokens, limit);
    const length = pieces.reduce((sum, piece) => sum + piece.used, 0);
    return length === 0 ? null : { pieces, length };
  }

  touch(pieces: readonly Piece[]): void {
    this.#options.store.touch(pieces.map((piece) => piece.key).toReversed());
  }

  restore(sequence: number, piece: Piece): Restored {
    const { store } = this.#options;
    if (this.#kv.free < piece.count) return "full";
    if (!store.has(piece.key)) return "gone";
    const block = store.read(piece.key);
    if (block === null) return "lost";
    const isIn = this.#isCuttable
      ? this.#kv.restore(sequence, block.state, piece.count, piece.used)
      : this.#kv.restoreWhole(sequence, block.state, piece.count);
    // It would fail again each time, and keep a good one from being written.
    if (!isIn) store.remove(piece.key);
    return isIn ? "restored" : "lost";
  }

  /** Whether the piece is one of its blocks, still. */
  holds({ key }: Piece): boolean {
    return this.#options.store.index.get(key) !== null;
  }

  get #isBusy(): boolean {
    const { store } = this.#options;
    return store.isPaused || store.isFull;
  }

  #findPieces(root: string, tokens: Int32Array, limit: number): Piece[] {
    const { store, blockTokens } = this.#options;
    const pieces: Piece[] = [];
    let parent = root;
    for (let start = 0; start < limit; start += blockTokens) {
      const ahead = tokens.subarray(start, start + blockTokens);
      const key = blockKey(parent, ahead);
      if (ahead.length < blockTokens || store.index.get(key) === null) {
        const part = this.#bestPart(parent, tokens, start, limit);
        if (part !== null) pieces.push(part);
        break;
      }
      const used = Math.min(blockTokens, limit - start);
      pieces.push({ key, start, count: blockTokens, used });
      parent = key;
    }
    return pieces;
  }

  /** The block after `parent` that agrees longest with the prompt, if not to its end. */
  #bestPart(parent: string, tokens: Int32Array, start: number, limit: number): Piece | null {
    const { store } = this.#options;
    const ahead = tokens.subarray(start, limit);
    const head = headOf(ahead);
    if (head === null) return null;
    let best: Piece | null = null;
    for (const { key, count } of store.index.following(parent, head)) {
      const own = store.tokensOf(key);
      if (own === null) continue;
      const used = commonPrefixLength(own, ahead, ahead.length);
      if (used > (best?.used ?? 0)) best = { key, start, count, used };
    }
    return best;
  }

  #findWhole(root: string, tokens: Int32Array, limit: number): Piece[] {
    const { index } = this.#options.store;
    const head = headOf(tokens);
    if (head === null) return [];
    const candidates = index.following(root, head).filter(({ count }) => count <= limit);
    for (const { key, count } of candidates.toSorted((a, b) => b.count - a.count)) {
      if (key !== blockKey(root, tokens.subarray(0, count))) continue;
      return [{ key, start: 0, count, used: count }];
    }
    return [];
  }

  /** Saves the next block that is missing; `whole`: none is, `refused`: there is no room for it. */
  #saveBlock(saving: Saving): "saved" | "whole" | "refused" {
    const { store } = this.#options;
    for (;;) {
      const { entry, at, parent } = saving;
      const end = this.#isCuttable ? at + this.#options.blockTokens : entry.tokens.length;
      const tokens = entry.tokens.subarray(at, end);
      if (tokens.length < HEAD_TOKENS || this.#isCovered(parent, tokens)) {
        store.touch(saving.keys.toReversed());
        return "whole";
      }
      const key = blockKey(parent, tokens);
      const isKnown = store.index.get(key) !== null;
      if (!isKnown && !this.#write(saving, tokens)) return "refused";
      saving.at += tokens.length;
      saving.parent = key;
      saving.keys.push(key);
      if (!isKnown) return "saved";
    }
  }

  #write({ entry, at, parent }: Saving, tokens: Int32Array): boolean {
    const { store } = this.#options;
    const state = this.#isCuttable
      ? this.#kv.save(entry.sequence, at, at + tokens.length)
      : this.#kv.saveWhole(entry.sequence);
    const facts = factsOf(parent, tokens, fileBytes(tokens.length, state.length));
    const shorter = this.#isCuttable ? this.#beginningsOf(facts, tokens) : [];
    if (!store.write({ facts, tokens: tokens.slice(), state })) return false;
    for (const { key } of shorter) store.remove(key);
    return true;
  }

  /** Ends of other sequences that are beginnings of a block: it holds all they hold. */
  #beginningsOf({ parent, head }: BlockFacts, tokens: Int32Array): BlockFacts[] {
    const { store } = this.#options;
    return store.index.following(parent, head).filter(({ key, count }) => {
      const own = count < tokens.length ? store.tokensOf(key) : null;
      return own !== null && commonPrefixLength(own, tokens, count) === count;
    });
  }

  /** The end of a sequence that another block begins with. */
  #isCovered(parent: string, tokens: Int32Array): boolean {
    const { store, blockTokens } = this.#options;
    if (!this.#isCuttable || tokens.length === blockTokens) return false;
    const head = headOf(tokens) ?? "";
    return store.index.following(parent, head).some(({ key, count }) => {
      const own = count > tokens.length ? store.tokensOf(key) : null;
      return own !== null && commonPrefixLength(own, tokens, tokens.length) === tokens.length;
    });
  }
}
