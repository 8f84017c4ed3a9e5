import { charSet, contains, keyOf, type CharSet } from "./char-set.ts";

/** The classes into which some sets of characters divide all characters: the letters of a language. */
export class Alphabet {
  /** The characters of each letter. */
  readonly letters: readonly CharSet[];
  readonly #starts: readonly number[];
  readonly #masks = new Map<CharSet, bigint>();
  readonly #chars = new Map<bigint, CharSet>();

  constructor(sets: readonly CharSet[]) {
    const distinct = new Map(sets.map((set) => [keyOf(set), set]));
    const classes = new Map<bigint, (readonly [number, number])[]>();
    const changes = [...changesOf([...distinct.values()])].toSorted(([a], [b]) => a - b);
    // In which of the sets a character is, as a bit mask.
    let within = 0n;
    for (const [index, [start, change]] of changes.entries()) {
      if (start > LAST) continue;
      within ^= change;
      const range = [start, (changes[index + 1]?.[0] ?? LAST + 1) - 1] as const;
      const known = classes.get(within);
      if (known === undefined) classes.set(within, [range]);
      else known.push(range);
    }
    this.letters = [...classes.values()].map((ranges) => charSet(...ranges));
    this.#starts = this.letters.map((set) => set[0]?.[0] ?? 0);
  }

  /** The letters of a set that the alphabet was made for, as a bit mask. */
  maskOf(set: CharSet): bigint {
    const known = this.#masks.get(set);
    if (known !== undefined) return known;
    let mask = 0n;
    for (const [index, start] of this.#starts.entries()) {
      if (contains(set, start)) mask |= 1n << BigInt(index);
    }
    this.#masks.set(set, mask);
    return mask;
  }

  /** The characters of the letters in a bit mask. */
  charsOf(mask: bigint): CharSet {
    const known = this.#chars.get(mask);
    if (known !== undefined) return known;
    const ranges = this.letters.filter((_, index) => (mask >> BigInt(index)) & 1n).flat();
    const chars = charSet(...ranges);
    this.#chars.set(mask, chars);
    return chars;
  }

  /** Ranges that `charsOf` has to put together; 0 = it was asked for these letters before. */
  rangesOf(mask: bigint): number {
    if (this.#chars.has(mask)) return 0;
    return this.letters.reduce(
      (sum, set, index) => ((mask >> BigInt(index)) & 1n ? sum + set.length : sum),
      0,
    );
  }
}

const LAST = 0x10ffff;

/** Where a set begins or ends: the characters there, each with a bit mask of those sets. */
function changesOf(sets: readonly CharSet[]): ReadonlyMap<number, bigint> {
  const changes = new Map([[0, 0n]]);
  for (const [index, set] of sets.entries()) {
    const bit = 1n << BigInt(index);
    for (const code of set.flatMap(([from, to]) => [from, to + 1])) {
      changes.set(code, (changes.get(code) ?? 0n) ^ bit);
    }
  }
  return changes;
}
