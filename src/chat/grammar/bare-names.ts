import {
  charSet,
  classOf,
  complement,
  contains,
  intersect,
  SPACE,
  type CharSet,
} from "./char-set.ts";
import { literal, sequence, type GrammarBuilder } from "./gbnf.ts";
import { MAX_EXCEPT_LENGTH, trieOf, type TrieNode } from "./literal-trie.ts";
import type { CharStyle } from "./value-style.ts";

/** Longest word of a name that is not declared, and words behind the first. */
const WORD_LENGTH = 60;
const MORE_WORDS = 3;

/** Names of members that stand without quotes. */
export interface BareNames extends CharStyle {
  /** A name that is none of `declared`, and the GBNF of what ends it. */
  other(builder: GrammarBuilder, declared: readonly string[], end: string): string;
}

const NO_NAME: CharSet = [
  [0, 0x1f],
  [0x7f, 0x9f],
  [0xd800, 0xdfff],
];

/**
 * Names without quotes and escapes.
 * @param refused Characters that no name has, beside white space and controls.
 * @param spaces Single spaces may stand between words: parsers drop those at both ends.
 */
export function bareNames(refused: string, spaces: boolean): BareNames {
  const codes = Array.from(refused, (char) => char.codePointAt(0) ?? 0);
  const chars = complement(
    charSet(...NO_NAME, ...SPACE, ...codes.map((code) => [code, code] as const)),
  );
  return {
    char: (set) => {
      const left = intersect(set, chars);
      return left.length === 0 ? null : classOf(left);
    },
    any: () => classOf(chars),
    other: (builder, declared, end) =>
      new NameWriter(builder, chars, spaces, end).node(trieOf(builder, declared), "", 0),
  };
}

/** Names of elements, and of arguments that a tag holds. */
export const TAG_NAMES = bareNames("\"'`<>&/=", true);

class NameWriter {
  readonly #builder: GrammarBuilder;
  readonly #chars: CharSet;
  readonly #spaces: boolean;
  readonly #end: string;
  readonly #rest: string;

  constructor(builder: GrammarBuilder, chars: CharSet, spaces: boolean, end: string) {
    this.#builder = builder;
    this.#chars = chars;
    this.#spaces = spaces;
    this.#end = end;
    const char = classOf(chars);
    builder.spend(WORD_LENGTH * 2);
    const word = builder.add("word", `" " ${char}{1,${WORD_LENGTH}}`);
    const more = spaces ? `${word}{0,${MORE_WORDS}}` : "";
    this.#rest = builder.add("name-rest", sequence(`${char}{0,${WORD_LENGTH}}`, more, end));
  }

  /** Behind `written`, the way to this place among the declared names: what makes it another name. */
  node(node: TrieNode, written: string, depth: number): string {
    const { next } = node;
    const known = [...next.keys()].map((char) => char.codePointAt(0) ?? 0);
    const others = complement(charSet(...known.map((code) => [code, code] as const)));
    const isInside = written !== "" && written !== " ";
    const options = [sequence(classOf(intersect(others, this.#chars)), this.#rest)];
    if (isInside && !node.ends) options.push(this.#end);
    if (isInside && this.#spaces && !next.has(" ")) {
      options.push(sequence('" "', classOf(this.#chars), this.#rest));
    }
    for (const [char, child] of next) {
      const isSpace = char === " " && this.#spaces && isInside;
      if (!isSpace && !contains(this.#chars, char.codePointAt(0) ?? 0)) continue;
      if (depth >= MAX_EXCEPT_LENGTH) continue;
      options.push(sequence(literal(char), this.node(child, char, depth + 1)));
    }
    return this.#builder.add("other-name", options.join(" | "));
  }
}
