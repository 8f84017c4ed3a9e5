import type { CacheLoad } from "../protocol/events.ts";
import type { Archive } from "./archive/archive.ts";
import { restoreNext } from "./archive/restore-next.ts";
import { CacheCounts } from "./cache-counts.ts";
import type { Choice } from "./choice.ts";
import type { KvCache } from "./kv-cache.ts";
import { PrefixCache } from "./prefix-cache.ts";
import {
  type AdoptShare,
  type CopyShare,
  explainMiss,
  findShare,
  type Share,
  type ShareSources,
} from "./prefix-share.ts";
import { Slot } from "./slot.ts";

/** Free cells between used ones that a request may begin with. */
const MOST_HOLES = 256;
/** Archived pieces that are read back per step beside running streams. */
const PIECES_BESIDE_STREAMS = 2;

export interface ReuseOptions {
  /** Sequences can be cut and shared at any length. */
  isCuttable: boolean;
  /** Keeps what leaves the KV cache; null = it is lost. */
  archive: Archive | null;
}

/** How prompts come by tokens that were computed before, and how finished sequences are kept for them. */
export class PrefixReuse {
  readonly #kv: KvCache;
  readonly #options: ReuseOptions;
  readonly #prefixes: PrefixCache;
  readonly #counts = new CacheCounts();

  constructor(kv: KvCache, options: ReuseOptions) {
    this.#kv = kv;
    this.#options = options;
    this.#prefixes = new PrefixCache(kv, options.isCuttable, options.archive);
  }

  /** Stored sequences in the KV cache. */
  get stored(): number {
    return this.#prefixes.size;
  }

  /** Grows with every change of `load`. */
  get version(): number {
    return this.#prefixes.version + this.#counts.version + (this.#options.archive?.version ?? 0);
  }

  get load(): CacheLoad {
    const { nodes, tokens } = this.#prefixes.extent;
    const archived = this.#options.archive?.size;
    return {
      storedSequences: this.#prefixes.size,
      treeNodes: nodes,
      treeTokens: tokens,
      archivedBlocks: archived?.blocks ?? 0,
      archivedBytes: archived?.bytes ?? 0,
      ...this.#counts.snapshot(),
    };
  }

  /** @param slots those at work, whose tokens may be shared. */
  find(choice: Choice, slots: readonly Slot[]): Share {
    return findShare(choice, this.#sources(slots));
  }

  /** Cells of a share that no slot needs yet: they cannot be taken back any more. */
  unpinnedCells(share: Share): number {
    const source = share.kind === "restore" ? share.base : share;
    if (source?.kind === "copy") return this.#kv.unpinnedCells(source.sequence, source.length);
    if (source?.kind !== "adopt") return 0;
    return this.#kv.unpinnedCells(source.entry.sequence, source.length);
  }

  /** A slot that goes on with a stored sequence itself. */
  adopt(choice: Choice, share: AdoptShare): Slot {
    const slot = new Slot(choice, share.entry.sequence);
    slot.miss = explainMiss(choice, share, this.#sources([]));
    this.#prefixes.adopt(share.entry);
    slot.computed = share.length;
    slot.cached = share.length;
    slot.source = "stored";
    return slot;
  }

  /** Applies a share to a slot that has computed nothing. */
  begin(slot: Slot, share: Share, slots: readonly Slot[]): void {
    slot.waitsFor = null;
    if (share.kind === "wait") {
      slot.waitsFor = { slot: share.slot, length: share.length };
      return;
    }
    slot.miss = explainMiss(slot.choice, share, this.#sources(slots));
    if (share.kind === "copy") this.#copy(slot, share);
    if (share.kind !== "restore") return;
    if (share.base !== null && !this.#copy(slot, share.base)) return;
    slot.pieces = share.pieces;
    this.#options.archive?.touch(share.pieces);
  }

  /**
   * Reads archived pieces back for the slots that wait for them: all at once when nobody streams, a
   * few per step beside streams.
   * @param makeRoom whether so many cells are free now.
   * @returns the slots that now begin to compute.
   */
  restore(slots: readonly Slot[], makeRoom: (cells: number) => boolean): Slot[] {
    const { archive } = this.#options;
    const restoring = slots.filter((slot) => slot.pieces.length > 0);
    const isStreaming = slots.some((slot) => slot.isDecoding);
    let left = isStreaming ? PIECES_BESIDE_STREAMS : Infinity;
    for (const slot of restoring) {
      for (; left > 0 && slot.pieces.length > 0; left--) {
        const hasRoom = makeRoom(slot.pieces[0]?.count ?? 0);
        restoreNext(slot, hasRoom ? archive : null);
      }
    }
    return restoring.filter((slot) => !slot.isWaiting);
  }

  /** Counts what the first slot of a job reused. */
  count({ source, miss }: Slot): void {
    if (source !== null) this.#counts.hit(source);
    if (miss !== null) this.#counts.miss(miss.reason);
  }

  /** Takes over the sequence of a slot that is at its end, for others if its job allows. */
  keep({ choice, computed, sequence }: Slot): void {
    const { spec, prefixScope } = choice.job;
    // Guesses that nobody came to check.
    this.#kv.truncate(sequence, computed);
    if (!spec.cachePrompt || computed === 0) return this.#kv.close(sequence);
    this.#prefixes.store(prefixScope, sequence, choice.tokens.view(computed));
  }

  /** Gives up the cells of the least recently used sequence. @returns false when there is none. */
  evictOne(): boolean {
    return this.#prefixes.evictOne();
  }

  /** Gives up cells of what is cheap to have again, until `most` of each kind are left. */
  evictCheap(most: number): void {
    this.#prefixes.evictCheap(most);
  }

  /**
   * Before a choice begins and while no other runs: gives up what is cheap to have again, as
   * `evictCheap`, but for what the choice can use; all of it where much of the cache would be holes.
   */
  compact({ job, tokens }: Choice, most: number): void {
    if (!this.#options.isCuttable) return;
    const wanted = { scope: job.prefixScope, tokens: tokens.view() };
    this.#prefixes.evictCheap(most, wanted);
    if (this.#kv.holes >= MOST_HOLES) this.#prefixes.evictCheap(0, wanted);
  }

  /** Gives up everything, at the end. */
  clear(): void {
    this.#prefixes.clear();
  }

  #sources(slots: readonly Slot[]): ShareSources {
    return { slots, prefixes: this.#prefixes, ...this.#options };
  }

  #copy(slot: Slot, { entry, sequence, length }: CopyShare): boolean {
    if (entry !== null) {
      // It may have had to give up its sequence id for this very slot.
      if (!this.#prefixes.has(entry)) return false;
      this.#prefixes.touch(entry);
    }
    if (!this.#kv.share(sequence, slot.sequence, length)) return false;
    slot.computed = length;
    slot.cached = length;
    slot.source = entry === null ? "running" : "stored";
    return true;
  }
}
