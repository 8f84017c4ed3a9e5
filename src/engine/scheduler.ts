import { assert, defined } from "../lib/assert.ts";
import type { ModelContext } from "../llama/backend.ts";
import { AdapterTurns } from "./adapter-turns.ts";
import { CellBudget } from "./cell-budget.ts";
import type { Choice } from "./choice.ts";
import type { KvCache } from "./kv-cache.ts";
import type { PrefillPacer } from "./prefill-pacer.ts";
import type { PrefixReuse } from "./prefix-reuse.ts";
import { type Share, withoutPart } from "./prefix-share.ts";
import { insertByAge } from "./age-order.ts";
import { NO_DRAFTS, Slot, wantsScores } from "./slot.ts";
import type { Speculator } from "./speculation/speculator.ts";

/** Rows per step that need scores of their own: each costs a pass over the vocabulary. */
const SCORED_ROWS = 32;

/** The part of a slot's tokens that is in the current batch. */
export interface PackedSlot {
  readonly slot: Slot;
  /** Batch row of its first token. */
  readonly row: number;
  readonly count: number;
  readonly isDecoding: boolean;
}

export interface SchedulerOptions {
  /** Slots. */
  parallel: number;
  /** Guesses tokens of running sequences; null = one token per step. */
  speculator: Speculator | null;
}

/**
 * Who computes next: admits choices to slots in order of arrival, sends the newest back when cells
 * run out, and packs each batch. Running sequences come first, then prompts, the oldest first.
 */
export class Scheduler {
  readonly #context: ModelContext;
  readonly #kv: KvCache;
  readonly #reuse: PrefixReuse;
  readonly #options: SchedulerOptions;
  readonly #cells: CellBudget;
  readonly #turns = new AdapterTurns();
  /** Oldest first. */
  readonly #queue: Choice[] = [];
  /** Oldest first. */
  readonly #slots: Slot[] = [];

  /** The last decode found no cells with guesses: the next one does without. */
  #isTight = false;

  constructor(context: ModelContext, kv: KvCache, reuse: PrefixReuse, options: SchedulerOptions) {
    this.#context = context;
    this.#kv = kv;
    this.#reuse = reuse;
    this.#options = options;
    this.#cells = new CellBudget(kv, reuse, options.parallel);
    assert(options.parallel <= context.sequences, "each slot needs a sequence");
    assert(options.parallel <= context.batch.capacity, "a batch holds a token of every slot");
  }

  get isIdle(): boolean {
    return this.#slots.length === 0 && this.#queue.length === 0;
  }

  get slots(): readonly Slot[] {
    return this.#slots;
  }

  get queue(): readonly Choice[] {
    return this.#queue;
  }

  enqueue(choice: Choice): void {
    insertByAge(this.#queue, choice, (queued) => queued.age);
  }

  /**
   * Gives free slots to the oldest choices, and their shared prefix to slots that waited for it.
   * @param opens whether queued choices get slots while others have some.
   * @returns the slots that begin to compute.
   */
  admit(opens: boolean): Slot[] {
    const started = this.#resumeWaiting();
    while (this.#slots.length < this.#options.parallel) {
      if (!opens && this.#slots.length > 0) break;
      const choice = this.#queue[0];
      if (choice === undefined) break;
      if (this.#slots.length === 0) this.#reuse.compact(choice, this.#options.parallel - 1);
      const share = this.#reuse.find(choice, this.#slots);
      const fitting = this.#cells.hasRoomFor(choice, share, this.#slots)
        ? share
        : withoutPart(share);
      // In order: a newcomer that does not fit makes those behind it wait, or it would starve.
      if (fitting === null || !this.#cells.hasRoomFor(choice, fitting, this.#slots)) break;
      this.#queue.shift();
      const slot = this.#open(choice, fitting);
      if (fitting !== share) slot.miss = { reason: "full", atToken: fitting.length };
      if (!slot.isWaiting) started.push(slot);
    }
    return [
      ...started,
      ...this.#reuse.restore(this.#slots, (cells) => this.#cells.makeRoom(cells)),
    ];
  }

  /** Fills the context's batch. May send the newest slots back to the queue to find cells. */
  pack(pacer: PrefillPacer): PackedSlot[] {
    const { batch } = this.#context;
    batch.clear();
    const adapters = this.#turns.next(this.#slots.filter((slot) => !slot.isWaiting));
    this.#context.setAdapters(adapters.scales);
    const isIncluded = (slot: Slot): boolean => slot.choice.job.adapters.key === adapters.key;
    const decoding = this.#decodingWithRoom(isIncluded);
    this.#draft(decoding);
    const packed = decoding.map((slot) => this.#pack(slot, 1));
    // Streams of other adapters wait for this decode as well.
    const streams = this.#slots.filter((slot) => slot.isDecoding).length;
    // A decode without any stream of its own has at least a token.
    const least = decoding.length === 0 ? 1 : 0;
    let paced = Math.min(Math.max(pacer.allowance(streams), least), batch.capacity - batch.length);
    let unpaced = Math.min(pacer.shortPromptTokens, batch.capacity - batch.length);
    for (const slot of this.#slots) {
      if (slot.isDecoding || slot.isWaiting || !isIncluded(slot)) continue;
      const isShort = slot.choice.tokens.length - slot.cached <= pacer.shortPromptTokens;
      const allowance = isShort ? Math.max(paced, unpaced) : paced;
      if (allowance === 0) continue;
      this.#cells.makeRoom(batch.length + Math.min(slot.remaining, allowance));
      const rows = wantsScores(slot) ? Math.min(allowance, SCORED_ROWS) : allowance;
      const count = Math.min(slot.remaining, rows, this.#kv.free - batch.length);
      if (count === 0) break;
      packed.push(this.#pack(slot, count));
      paced = Math.max(paced - count, 0);
      unpaced = Math.max(unpaced - count, 0);
    }
    if (batch.length > 0 || this.#slots.every((slot) => slot.isWaiting)) return packed;
    this.#preemptNewest();
    return this.pack(pacer);
  }

  /** Records a successful decode. */
  advance(packed: readonly PackedSlot[]): void {
    this.#isTight = false;
    this.#turns.record(this.#context.batch.length);
    for (const { slot, count } of packed) {
      this.#kv.append(slot.sequence, count + slot.drafts.length);
      slot.computed += count;
      slot.reserved = Math.max(slot.reserved - count, 0);
    }
  }

  /** The first `accepted` guesses of the slot were right; the others leave the cache. */
  settle(slot: Slot, accepted: number): void {
    this.#options.speculator?.verified(slot, accepted);
    slot.computed += accepted;
    slot.reserved = Math.max(slot.reserved - accepted, 0);
    this.#kv.truncate(slot.sequence, slot.computed);
  }

  /**
   * The library found no cells where the books have some: gives some back, for the next try.
   * @returns the slot that has the cache to itself and cannot be helped, or null.
   */
  relieve(): Slot | null {
    // Guesses go first: nobody misses them.
    if (this.#slots.some((slot) => slot.drafts.length > 0)) {
      this.#isTight = true;
      return null;
    }
    if (this.#reuse.evictOne()) return null;
    if (this.#slots.length === 1) return this.#slots[0] ?? null;
    this.#preemptNewest();
    return null;
  }

  /**
   * Starts the other choices of a job whose prompt is computed, as copies of its sequence. What
   * finds no slot or no cells stays in the queue.
   */
  fork(slot: Slot): Slot[] {
    const forks: Slot[] = [];
    for (const choice of slot.choice.siblings) {
      if (choice === slot.choice || choice.generated > 0) continue;
      const fork = this.#siblingSlot(slot, choice);
      if (fork === null || !this.#kv.share(slot.sequence, fork.sequence, slot.computed)) continue;
      fork.waitsFor = null;
      fork.computed = slot.computed;
      forks.push(fork);
    }
    return forks;
  }

  /** Frees a slot. What it computed is kept as a stored prefix, if its job allows. */
  release(slot: Slot): void {
    this.#remove(slot);
    this.#reuse.keep(slot);
  }

  /** Takes a choice out of the queue, or its slot from it. */
  withdraw(choice: Choice): void {
    const index = this.#queue.indexOf(choice);
    if (index >= 0) this.#queue.splice(index, 1);
    const slot = this.#slots.find((candidate) => candidate.choice === choice);
    if (slot !== undefined) this.release(slot);
  }

  /** The empty slot of a sibling that waits for `leader`, opened if there is room. */
  #siblingSlot(leader: Slot, choice: Choice): Slot | null {
    const waiting = this.#slots.find((slot) => slot.choice === choice);
    if (waiting !== undefined) return waiting.waitsFor?.slot === leader ? waiting : null;
    const index = this.#queue.indexOf(choice);
    const share: Share = { kind: "wait", slot: leader, length: leader.computed };
    if (index < 0 || this.#slots.length >= this.#options.parallel) return null;
    if (!this.#cells.hasRoomFor(choice, share, this.#slots)) return null;
    this.#queue.splice(index, 1);
    return this.#open(choice, share);
  }

  #resumeWaiting(): Slot[] {
    const resumed: Slot[] = [];
    for (const slot of this.#slots) {
      const wait = slot.waitsFor;
      if (wait === null) continue;
      const isLeaderAtWork = this.#slots.includes(wait.slot);
      if (isLeaderAtWork && wait.slot.computed < wait.length) continue;
      this.#reuse.begin(slot, this.#reuse.find(slot.choice, this.#slots), this.#slots);
      if (!slot.isWaiting) resumed.push(slot);
    }
    return resumed;
  }

  #open(choice: Choice, share: Share): Slot {
    const slot =
      share.kind === "adopt"
        ? this.#reuse.adopt(choice, share)
        : new Slot(choice, this.#openSequence());
    if (share.kind !== "adopt") this.#reuse.begin(slot, share, this.#slots);
    slot.reserved = this.#cells.cellsFor(choice, share);
    insertByAge(this.#slots, slot, (other) => other.choice.age);
    // As many are remembered in the KV cache as could run at once.
    this.#reuse.evictCheap(Math.max(this.#options.parallel - this.#slots.length, 0));
    return slot;
  }

  #openSequence(): number {
    let sequence = this.#kv.open();
    while (sequence === null) {
      assert(this.#reuse.evictOne(), "more sequences are in use than there are slots");
      sequence = this.#kv.open();
    }
    return sequence;
  }

  #decodingWithRoom(isIncluded: (slot: Slot) => boolean): Slot[] {
    for (;;) {
      const decoding = this.#slots.filter((slot) => slot.isDecoding && isIncluded(slot));
      if (this.#cells.makeRoom(decoding.length)) return decoding;
      this.#preemptNewest();
    }
  }

  /** Chooses guesses. Stored prefixes make room for them, other slots do not. */
  #draft(decoding: readonly Slot[]): void {
    for (const slot of this.#slots) slot.drafts = NO_DRAFTS;
    const { speculator } = this.#options;
    if (speculator === null || this.#isTight) return;
    const rows = this.#context.batch.capacity - decoding.length;
    const cells = this.#kv.total - this.#kv.pinned - decoding.length;
    speculator.propose(decoding, Math.min(rows, cells));
    const drafted = decoding.reduce((sum, slot) => sum + slot.drafts.length, 0);
    const hasRoom = this.#cells.makeRoom(decoding.length + drafted);
    assert(hasRoom, "what no slot needs can be freed");
  }

  /** Takes the slot of the newest choice; it is computed again when there is room. */
  #preemptNewest(): void {
    assert(this.#slots.length > 1, "one sequence alone always has room");
    const newest = defined(this.#slots.at(-1), "there is a newest slot");
    this.#remove(newest);
    this.#reuse.keep(newest);
    this.enqueue(newest.choice);
  }

  #remove(slot: Slot): void {
    const index = this.#slots.indexOf(slot);
    assert(index >= 0, "a slot is released once");
    this.#slots.splice(index, 1);
    this.#options.speculator?.release(slot.choice);
  }

  #pack(slot: Slot, count: number): PackedSlot {
    const { batch } = this.#context;
    const { tokens } = slot.choice;
    const first = batch.length;
    const scored = wantsScores(slot);
    for (let index = 0; index < count; index++) {
      const position = slot.computed + index;
      const isLast = position === tokens.length - 1;
      batch.add(tokens.at(position), position, slot.sequence, isLast || scored);
    }
    for (const [index, token] of slot.drafts.entries()) {
      batch.add(token, slot.computed + count + index, slot.sequence, true);
    }
    return { slot, row: first, count, isDecoding: slot.isDecoding };
  }
}
