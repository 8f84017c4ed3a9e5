import { choice, classChar } from "./gbnf.ts";

/** Inclusive code point ranges, sorted, apart from each other. */
export type CharSet = readonly (readonly [from: number, to: number])[];

const LAST = 0x10ffff;

export function charSet(...ranges: readonly (readonly [number, number])[]): CharSet {
  const merged: [number, number][] = [];
  for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** Remembers what it made of each set: classes of 700 ranges are met again and again. */
function onceEach<Made extends object | string | null>(
  make: (set: CharSet) => Made,
): (set: CharSet) => Made {
  const known = new WeakMap<CharSet, Made>();
  return (set) => {
    const found = known.get(set);
    if (found !== undefined) return found;
    const made = make(set);
    known.set(set, made);
    return made;
  };
}

export const complement = onceEach((set): CharSet => {
  const gaps: [number, number][] = [];
  let next = 0;
  for (const [from, to] of set) {
    if (from > next) gaps.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= LAST) gaps.push([next, LAST]);
  return gaps;
});

export function intersect(a: CharSet, b: CharSet): CharSet {
  return intersections(b)(a);
}

const intersections = onceEach((b) =>
  onceEach((a): CharSet => complement(charSet(...complement(a), ...complement(b)))),
);

/** Tells sets of different characters apart. */
export const keyOf = onceEach((set) => set.join());

export function contains(set: CharSet, code: number): boolean {
  let low = 0;
  let high = set.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const [from, to] = set[middle] ?? [0, -1];
    if (code < from) high = middle - 1;
    else if (code > to) low = middle + 1;
    else return true;
  }
  return false;
}

export const DIGITS = charSet([0x30, 0x39]);
export const WORD = charSet([0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]);
/** What \s means. Source: ECMA-262, WhiteSpace and LineTerminator. */
export const SPACE = charSet(
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
);
/** What the dot means without the s flag. */
export const DOT = complement(charSet([0x0a, 0x0a], [0x0d, 0x0d], [0x2028, 0x2029]));

/** Characters that stand for themselves inside a JSON string. */
const PLAIN = charSet([0x20, 0x21], [0x23, 0x5b], [0x5d, 0x7e], [0x80, 0xd7ff], [0xe000, LAST]);
const SHORT_ESCAPES: readonly (readonly [number, string])[] = [
  [0x22, '\\"'],
  [0x5c, "\\\\"],
  [0x08, "b"],
  [0x0c, "f"],
  [0x0a, "n"],
  [0x0d, "r"],
  [0x09, "t"],
];

/**
 * One character of the set as it is written inside a JSON string.
 * @returns null when the set holds nothing that can be written there.
 */
export const jsonCharOf = onceEach((set): string | null => {
  const plain = intersect(set, PLAIN);
  const options: string[] = [];
  if (plain.length > 0) options.push(classOf(plain));
  const escapes = SHORT_ESCAPES.filter(([code]) => contains(set, code)).map(([, text]) => text);
  if (escapes.length > 0) options.push(`"\\\\" [${escapes.join("")}]`);
  return options.length === 0 ? null : choice(options);
});

/** A GBNF class of these ranges. */
export const classOf = onceEach((set): string => {
  const parts = set.map(([from, to]) =>
    from === to ? classChar(from) : `${classChar(from)}-${classChar(to)}`,
  );
  return `[${parts.join("")}]`;
});
