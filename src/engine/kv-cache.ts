import { assert, defined } from "../lib/assert.ts";
import type { ModelContext } from "../llama/backend.ts";

/**
 * Exact bookkeeping of the unified KV cache. A cell holds one token for every sequence that
 * references it, so copies share cells. Sequences are `pinned` while a slot works on them; the
 * others are stored prefixes, whose cells may be taken back.
 */
export class KvCache {
  readonly #context: ModelContext;
  readonly #total: number;
  readonly #references: Uint16Array;
  readonly #pins: Uint16Array;
  readonly #freeCells: number[] = [];
  readonly #freeSequences: number[] = [];
  readonly #sequences = new Map<number, { cells: number[]; pinned: boolean }>();
  readonly #scratch: number | null;
  #pinned = 0;
  /** Most cells in use since all were free. */
  #peak = 0;

  /** @param hasScratch keeps a sequence id back, which saving and restoring parts of one needs. */
  constructor(context: ModelContext, hasScratch = false) {
    this.#context = context;
    this.#total = context.contextLength;
    this.#references = new Uint16Array(this.#total);
    this.#pins = new Uint16Array(this.#total);
    for (let cell = this.#total - 1; cell >= 0; cell--) this.#freeCells.push(cell);
    const sequences = context.sequences - (hasScratch ? 1 : 0);
    for (let id = sequences - 1; id >= 0; id--) this.#freeSequences.push(id);
    this.#scratch = hasScratch ? sequences : null;
  }

  get total(): number {
    return this.#total;
  }

  get free(): number {
    return this.#freeCells.length;
  }

  get used(): number {
    return this.#total - this.#freeCells.length;
  }

  /**
   * Free cells that lie between used ones, at most. The library takes the lowest cells that are free
   * and a decode looks at all up to the highest in use, so these cost what used ones do.
   */
  get holes(): number {
    return this.#peak - this.used;
  }

  /** Cells that at least one slot needs. */
  get pinned(): number {
    return this.#pinned;
  }

  get openSequences(): number {
    return this.#sequences.size;
  }

  /** A new empty pinned sequence, or null when every id is taken. */
  open(): number | null {
    const sequence = this.#freeSequences.pop();
    if (sequence === undefined) return null;
    this.#sequences.set(sequence, { cells: [], pinned: true });
    return sequence;
  }

  length(sequence: number): number {
    return this.#get(sequence).cells.length;
  }

  /** Records that a decode appended `count` tokens to a pinned sequence. */
  append(sequence: number, count: number): void {
    const { cells, pinned } = this.#get(sequence);
    assert(pinned, `sequence ${sequence} must be pinned to grow`);
    for (let index = 0; index < count; index++) {
      const cell = defined(this.#freeCells.pop(), "the KV cache has no cell left to append");
      this.#references[cell] = 1;
      this.#pins[cell] = 1;
      this.#pinned++;
      cells.push(cell);
    }
    this.#peak = Math.max(this.#peak, this.used);
  }

  /** Forgets the tokens of a pinned sequence from `length` on; nobody else may share them. */
  truncate(sequence: number, length: number): void {
    const { cells, pinned } = this.#get(sequence);
    if (cells.length === length) return;
    assert(pinned && length < cells.length, `sequence ${sequence} cannot be cut to ${length}`);
    const removed = this.#context.removeSequence(sequence, length, -1);
    assert(removed, `the end of sequence ${sequence} could not be removed`);
    for (const cell of cells.splice(length)) this.#drop(cell, pinned);
  }

  /**
   * Makes the empty pinned sequence `to` a copy of the first `end` tokens of `from`.
   * @returns false when this memory type cannot do it; `to` is then empty.
   */
  share(from: number, to: number, end: number): boolean {
    const source = this.#get(from).cells;
    const target = this.#get(to);
    assert(target.cells.length === 0 && target.pinned, `sequence ${to} must be empty and pinned`);
    assert(end <= source.length, `sequence ${from} holds fewer than ${end} tokens`);
    this.#context.copySequence(from, to, end);
    if (this.#context.lastPosition(to) !== end - 1) {
      this.#context.removeSequence(to, 0, -1);
      return false;
    }
    target.cells = source.slice(0, end);
    for (const cell of target.cells) {
      this.#references[cell] = (this.#references[cell] ?? 0) + 1;
      this.#pin(cell);
    }
    return true;
  }

  /** The state of tokens [start, end), where sequences can be cut. */
  save(sequence: number, start: number, end: number): Uint8Array {
    assert(end <= this.length(sequence), `sequence ${sequence} holds fewer than ${end} tokens`);
    return this.#context.saveRange(sequence, start, end, this.#needScratch());
  }

  saveWhole(sequence: number): Uint8Array {
    return this.#context.saveSequence(sequence);
  }

  /**
   * Appends the first `used` of the `count` tokens that `save` gave. Needs `count` free cells.
   * @returns false when the state does not fit; nothing has changed.
   */
  restore(sequence: number, state: Uint8Array, count: number, used: number): boolean {
    const length = this.length(sequence);
    if (this.free < count) return false;
    const isIn = this.#context.restoreRange(sequence, count, state, this.#needScratch());
    if (!isIn) return false;
    if (used < count) {
      const isCut = this.#context.removeSequence(sequence, length + used, -1);
      assert(isCut, "sequences that are kept in parts can be cut");
    }
    this.append(sequence, used);
    return true;
  }

  /** Fills an empty sequence with what `saveWhole` gave. @returns false when it does not fit. */
  restoreWhole(sequence: number, state: Uint8Array, count: number): boolean {
    assert(this.length(sequence) === 0, `sequence ${sequence} must be empty`);
    if (this.free < count || !this.#context.restoreSequence(sequence, state)) return false;
    if (this.#context.lastPosition(sequence) !== count - 1) {
      this.#context.removeSequence(sequence, 0, -1);
      return false;
    }
    this.append(sequence, count);
    return true;
  }

  #needScratch(): number {
    return defined(this.#scratch, "parts are saved and restored with a scratch sequence");
  }

  /** How many of the first `end` cells no slot needs yet. */
  unpinnedCells(sequence: number, end: number): number {
    const { cells } = this.#get(sequence);
    let count = 0;
    for (let index = 0; index < end; index++) {
      if (this.#pins[cells[index] ?? -1] === 0) count++;
    }
    return count;
  }

  pin(sequence: number): void {
    const entry = this.#get(sequence);
    assert(!entry.pinned, `sequence ${sequence} is pinned already`);
    entry.pinned = true;
    for (const cell of entry.cells) this.#pin(cell);
  }

  unpin(sequence: number): void {
    const entry = this.#get(sequence);
    assert(entry.pinned, `sequence ${sequence} is not pinned`);
    entry.pinned = false;
    for (const cell of entry.cells) this.#unpin(cell);
  }

  /** Forgets the sequence; cells that nobody else references become free. */
  close(sequence: number): void {
    const { cells, pinned } = this.#get(sequence);
    const removed = this.#context.removeSequence(sequence, 0, -1);
    assert(removed, `sequence ${sequence} could not be removed`);
    for (const cell of cells) this.#drop(cell, pinned);
    this.#sequences.delete(sequence);
    this.#freeSequences.push(sequence);
  }

  #get(sequence: number): { cells: number[]; pinned: boolean } {
    return defined(this.#sequences.get(sequence), `sequence ${sequence} is not open`);
  }

  #drop(cell: number, pinned: boolean): void {
    if (pinned) this.#unpin(cell);
    const left = (this.#references[cell] ?? 0) - 1;
    this.#references[cell] = left;
    if (left === 0) this.#freeCells.push(cell);
    if (this.used === 0) this.#peak = 0;
  }

  #pin(cell: number): void {
    const pins = this.#pins[cell] ?? 0;
    if (pins === 0) this.#pinned++;
    this.#pins[cell] = pins + 1;
  }

  #unpin(cell: number): void {
    const pins = (this.#pins[cell] ?? 0) - 1;
    this.#pins[cell] = pins;
    if (pins === 0) this.#pinned--;
  }
}
