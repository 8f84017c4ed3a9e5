import { charSet, classOf, complement } from "./char-set.ts";
import { countedUntil } from "./counted-text.ts";
import { literal, sequence, type GrammarBuilder } from "./gbnf.ts";
import { BLANKS, leadingBlanks, remaining } from "./leading-blanks.ts";
import type { JsonType } from "./schema-shape.ts";
import { NO_CHARACTERS, type TextLength } from "./until-grammar.ts";
import type { ValueStyle } from "./value-style.ts";

/** As `style`, whose texts end with `close`, but free text never reads as a JSON value of `types`. */
export function untypedStyle(
  style: ValueStyle,
  close: string,
  types: ReadonlySet<JsonType>,
): ValueStyle {
  const unlike = (builder: GrammarBuilder, length: TextLength): string | null =>
    textUnlikeJson(builder, { close, length }, types);
  return {
    ...style,
    text: {
      ...style.text,
      free: (builder) => unlike(builder, { min: 0, max: null }) ?? "",
      counted: unlike,
    },
  };
}

/** Characters a value of each type may begin with, and words that are one. */
const BEGINNINGS: readonly (readonly [JsonType, chars: string, words: readonly string[]])[] = [
  ["number", "-0123456789", []],
  ["integer", "-0123456789", []],
  ["object", "{", []],
  ["array", "[(", []],
  ["boolean", "", ["true", "false", "True", "False"]],
  ["null", "", ["null", "None"]],
];

/** A text that is being written: up to what, and how long. */
interface Writing {
  close: string;
  length: TextLength;
}

/** Null when no such text is that long. */
function textUnlikeJson(
  builder: GrammarBuilder,
  writing: Writing,
  types: ReadonlySet<JsonType>,
): string | null {
  const relevant = BEGINNINGS.filter(([type]) => types.has(type));
  const words = relevant.flatMap(([, , list]) => list);
  const initials = words.map((word) => word.charAt(0)).join("");
  const refused = `${relevant.map(([, chars]) => chars).join("")}${initials}`;
  return leadingBlanks(builder, {
    ...writing,
    kind: [refused, ...words].join(" "),
    rest: (length, except) => {
      const left = { ...writing, length };
      // Where the end begins with a blank, what follows that blank tells whether it is one.
      const write = BLANKS.includes(writing.close.charAt(0)) ? unended : goingOn;
      const first = write(builder, left, "", refused + BLANKS + except);
      return [...first, ...unlikeWords(builder, left, words)];
    },
  });
}

/** Text that begins like one of `words` and is none. */
function unlikeWords(
  builder: GrammarBuilder,
  writing: Writing,
  words: readonly string[],
): string[] {
  const options: string[] = [];
  for (const word of words) {
    // The word stops being one at any of its places, or goes on as a longer word or several.
    for (let length = 1; length < word.length; length++) {
      const start = word.slice(0, length);
      const others = words.filter((other) => other.startsWith(start));
      const next = others.map((other) => other.charAt(length)).join("");
      options.push(...goingOn(builder, writing, start, next));
    }
    const ends = BLANKS + writing.close.slice(0, 1);
    for (const gap of ["", " "]) {
      options.push(...unended(builder, writing, word + gap, ends));
    }
  }
  return [...new Set(options)];
}

/** `start`, then the end of the text or a character that is none of `except`, and the rest. The end begins with none of these. */
function goingOn(
  builder: GrammarBuilder,
  writing: Writing,
  start: string,
  except: string,
): string[] {
  const first = writing.close.slice(0, 1);
  const options = unended(builder, writing, start, except + first);
  const left = remaining(writing.length, start.length);
  if (left === null) return options;
  // Where the first character of the end may stand, what follows tells whether it is one.
  const rest = countedUntil(builder, writing.close, left, 1);
  return rest === null ? options : [...options, sequence(lead(start + first), rest)];
}

/** `start`, then one more character that is none of `except`, and the rest. */
function unended(
  builder: GrammarBuilder,
  { close, length }: Writing,
  start: string,
  except: string,
): string[] {
  const left = remaining(length, start.length + 1);
  const rest = left === null ? null : countedUntil(builder, close, left);
  const ranges = Array.from(except, (char) => char.codePointAt(0) ?? 0);
  const taken = charSet(...NO_CHARACTERS, ...ranges.map((code) => [code, code] as const));
  return rest === null ? [] : [sequence(lead(start), classOf(complement(taken)), rest)];
}

const lead = (start: string): string => (start === "" ? "" : literal(start));
