import { charSet, contains, type CharSet } from "./char-set.ts";

/** The classes into which some sets of characters divide all characters: the letters of a language. */
export class Alphabet {
  /** The characters of each letter. */
  readonly letters: readonly CharSet[];
  readonly #starts: readonly number[];

  constructor(sets: readonly CharSet[]) {
    const distinct = [...new Map(sets.map((set) => [set.join(), set])).values()];
    const edges = distinct.flatMap((set) => set.flatMap(([from, to]) => [from, to + 1]));
    const starts = [...new Set([0, ...edges])].toSorted((a, b) => a - b);
    const classes = new Map<string, (readonly [number, number])[]>();
    for (const [index, start] of starts.entries()) {
      if (start > LAST) continue;
      const range = [start, (starts[index + 1] ?? LAST + 1) - 1] as const;
      const key = distinct.map((set) => (contains(set, start) ? "1" : "0")).join("");
      const known = classes.get(key);
      if (known === undefined) classes.set(key, [range]);
      else known.push(range);
    }
    this.letters = [...classes.values()].map((ranges) => charSet(...ranges));
    this.#starts = this.letters.map((set) => set[0]?.[0] ?? 0);
  }

  /** The letters of a set that the alphabet was made for, as a bit mask. */
  maskOf(set: CharSet): bigint {
    let mask = 0n;
    for (const [index, start] of this.#starts.entries()) {
      if (contains(set, start)) mask |= 1n << BigInt(index);
    }
    return mask;
  }

  /** The characters of the letters in a bit mask. */
  charsOf(mask: bigint): CharSet {
    const ranges = this.letters.filter((_, index) => (mask >> BigInt(index)) & 1n).flat();
    return charSet(...ranges);
  }
}

const LAST = 0x10ffff;
