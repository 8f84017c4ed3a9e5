import type { Choice } from "./choice.ts";
import type { KvCache } from "./kv-cache.ts";
import type { PrefixReuse } from "./prefix-reuse.ts";
import { heldTokens, readTokens, type Share } from "./prefix-share.ts";
import type { Slot } from "./slot.ts";

/**
 * Most cells promised for generation at admission; a longer answer takes more as it grows. In a
 * small cache a slot is promised a quarter of its even share, so that slots do not stand empty.
 */
const GENERATION_PAGE = 256;
const PAGES_PER_SLOT = 4;

/** Which cells of the KV cache slots are promised, and how free ones are found for them. */
export class CellBudget {
  readonly #kv: KvCache;
  readonly #reuse: PrefixReuse;
  readonly #page: number;

  /** @param parallel slots. */
  constructor(kv: KvCache, reuse: PrefixReuse, parallel: number) {
    this.#kv = kv;
    this.#reuse = reuse;
    const share = Math.floor(kv.total / (parallel * PAGES_PER_SLOT));
    this.#page = Math.min(share, GENERATION_PAGE);
  }

  /** Cells to promise a choice that begins with a share. */
  cellsFor(choice: Choice, share: Share): number {
    return choice.tokens.length - heldTokens(share) + Math.min(choice.budget, this.#page);
  }

  /** Whether a choice may begin beside the slots at work; alone it always may. */
  hasRoomFor(choice: Choice, share: Share, slots: readonly Slot[]): boolean {
    const pinned = this.#reuse.unpinnedCells(share);
    const reading = readTokens(share) - heldTokens(share);
    const cells = Math.max(this.cellsFor(choice, share), reading);
    return slots.length === 0 || this.#hasCells(cells + pinned, slots);
  }

  /** Evicts stored prefixes until `count` cells are free. @returns false when slots hold too many. */
  makeRoom(count: number): boolean {
    while (this.#kv.free < count) if (!this.#reuse.evictOne()) return false;
    return true;
  }

  /** Whether `count` cells are neither in use by a slot nor promised to one. */
  #hasCells(count: number, slots: readonly Slot[]): boolean {
    let promised = 0;
    for (const slot of slots) promised += slot.reserved;
    return count <= this.#kv.total - this.#kv.pinned - promised;
  }
}
