import type { TokenBuffer } from "../token-buffer.ts";

/** Tokens that must repeat before a continuation is guessed. */
const NGRAM = 3;
/** Longest repetition that is told apart. */
const LONGEST_MATCH = 32;
const FIRST_SLOTS = 1024;
/** Places with the same hash that are looked at, the latest first. */
const MOST_PLACES = 12;

/** Where a text went on the last time it read as it does now. */
export interface Continuation {
  /** Index of the token that followed. */
  at: number;
  /** How many tokens before it repeat; NGRAM to LONGEST_MATCH. */
  match: number;
}

/**
 * Finds in a growing list of tokens where its last few stood before. Each token enters a hash table
 * once, so a look costs a constant however long the text is. A continuation that proves right is
 * followed until a token differs: in a text with many alike places it is the one that was meant.
 */
export class NgramLookup {
  readonly #tokens: TokenBuffer;
  /** By hash of NGRAM tokens: index of the token after their last occurrence, 0 = none. */
  #after = new Int32Array(FIRST_SLOTS);
  /** By such an index: the one before it with the same hash, 0 = none. */
  #before = new Int32Array(FIRST_SLOTS);
  /** Continuations below this index are in the table. */
  #indexed = NGRAM;
  /** The continuation that is followed, for a list of `#seen` tokens; 0 = none. */
  #source = 0;
  #seen = 0;

  constructor(tokens: TokenBuffer) {
    this.#tokens = tokens;
  }

  /** Null when the last tokens never stood before. */
  find(): Continuation | null {
    const { length } = this.#tokens;
    if (length < NGRAM) return null;
    this.#index(length);
    this.#follow(length);
    if (this.#source === 0) this.#source = this.#search(length);
    if (this.#source === 0) return null;
    return { at: this.#source, match: this.#matchLength(this.#source, length) };
  }

  /** Up to `most` tokens that followed at `at`; a text that repeats itself goes on repeating. */
  read(at: number, most: number): Int32Array {
    const { length } = this.#tokens;
    const period = length - at;
    return Int32Array.from({ length: most }, (_, index) => this.#tokens.at(at + (index % period)));
  }

  #index(length: number): void {
    if (2 * length > this.#after.length) {
      const slots = 2 ** Math.ceil(Math.log2(4 * length));
      this.#after = new Int32Array(slots);
      this.#before = new Int32Array(slots);
      this.#indexed = NGRAM;
    }
    // The last tokens have no continuation yet.
    for (; this.#indexed < length; this.#indexed++) {
      const slot = this.#slotOf(this.#indexed);
      this.#before[this.#indexed] = this.#after[slot] ?? 0;
      this.#after[slot] = this.#indexed;
    }
  }

  #follow(length: number): void {
    for (; this.#seen < length && this.#source > 0; this.#seen++, this.#source++) {
      if (this.#tokens.at(this.#source) !== this.#tokens.at(this.#seen)) this.#source = -1;
    }
    this.#source = Math.max(this.#source, 0);
    this.#seen = length;
  }

  /** The place with the longest repetition, the latest of equals. */
  #search(length: number): number {
    let best = 0;
    let longest = NGRAM - 1;
    let place = this.#after[this.#slotOf(length)] ?? 0;
    for (let looks = 0; place > 0 && looks < MOST_PLACES; looks++) {
      const match = this.#matchLength(place, length);
      if (match > longest) {
        best = place;
        longest = match;
      }
      place = this.#before[place] ?? 0;
    }
    return best;
  }

  #matchLength(at: number, length: number): number {
    const most = Math.min(at, LONGEST_MATCH);
    let match = 0;
    while (
      match < most &&
      this.#tokens.at(at - 1 - match) === this.#tokens.at(length - 1 - match)
    ) {
      match++;
    }
    return match;
  }

  /** The table's place for the NGRAM tokens before `end`. */
  #slotOf(end: number): number {
    let hash = 0;
    for (let back = NGRAM; back > 0; back--) {
      hash = Math.imul(hash ^ this.#tokens.at(end - back), 0x9e37_79b1);
      hash ^= hash >>> 15;
    }
    return (hash >>> 0) & (this.#after.length - 1);
  }
}
