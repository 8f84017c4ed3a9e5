import { jsonCharOf, type CharSet } from "./char-set.ts";
import { literal, sequence, type GrammarBuilder } from "./gbnf.ts";
import { jsonRule } from "./json-rules.ts";
import { stringExcept } from "./literal-trie.ts";
import { repeat } from "./repeat.ts";
import type { JsonType } from "./schema-shape.ts";
import type { TextLength } from "./until-grammar.ts";

/** How characters are written inside a string or a name. */
export interface CharStyle {
  /** One character of the set; null when none of it can be written. */
  char(set: CharSet): string | null;
  /** The rule or class of one character of any kind. */
  any(builder: GrammarBuilder): string;
  /** A pattern of the texts that would be read as something else than a text; absent = there are none. */
  readonly unlike?: string;
}

/** How characters are written between the delimiters of a string. */
export interface TextStyle extends CharStyle {
  /** GBNF of the delimiters; "" = none. */
  readonly open: string;
  readonly close: string;
  /** A whole string without rules, delimiters included, that is none of `except`. */
  free(builder: GrammarBuilder, except: readonly string[]): string;
  /** A whole string of that length, delimiters included; null when there is none. */
  counted(builder: GrammarBuilder, length: TextLength): string | null;
  /** Whether `free` keeps to `except`. */
  readonly excludes: boolean;
}

/** How a family of models writes values: JSON, Python, or a notation of its own. */
export interface ValueStyle {
  /** Part of rule names. */
  readonly id: string;
  readonly text: TextStyle;
  /** Names of members. */
  readonly names: CharStyle;
  /**
   * The ways to write one fixed value, as texts; none when it cannot be written.
   * @param types of the values that could be meant instead, its own among them.
   */
  texts(value: unknown, types: ReadonlySet<JsonType>): readonly string[];
  /** Rules of JSON that differ; the others hold as they are. */
  null(builder: GrammarBuilder): string;
  boolean(builder: GrammarBuilder): string;
  /** A value of which nothing is known, with its `end`. */
  anyValue(builder: GrammarBuilder): string;
  /** An object of which nothing is known; null = its members are written as those of others. */
  anyObject(builder: GrammarBuilder): string | null;
  readonly object: { readonly open: string; readonly close: string };
  readonly array: { readonly open: string; readonly close: string };
  comma(builder: GrammarBuilder): string;
  ws(builder: GrammarBuilder): string;
  member(builder: GrammarBuilder, name: string, value: string): string;
  item(builder: GrammarBuilder, value: string): string;
  /** A member whose name is not declared. */
  extra(builder: GrammarBuilder, declared: readonly string[], value: string): string;
  /** A member whose name matches `key`, an expression of characters as `names` writes them. */
  keyed(builder: GrammarBuilder, key: string, value: string): string;
  /** Members stand in alphabetical order instead of the declared one. */
  readonly sorted: boolean;
  /** The style of a value that may be of other types as well; absent = it is written the same. */
  readonly beside?: (types: ReadonlySet<JsonType>) => ValueStyle;
  /** Follows every value that is not a string; strings have it as their `close`. */
  readonly end: string;
}

const QUOTE = literal('"');

const jsonText: TextStyle = {
  open: QUOTE,
  close: QUOTE,
  char: jsonCharOf,
  any: (builder) => jsonRule(builder, "char"),
  free: stringExcept,
  counted: (builder, { min, max }) =>
    sequence(QUOTE, repeat(builder, jsonRule(builder, "char"), min, max), QUOTE),
  excludes: true,
};

export const JSON_STYLE: ValueStyle = {
  id: "json",
  text: jsonText,
  names: jsonText,
  texts: (value) => [JSON.stringify(value)],
  null: (builder) => jsonRule(builder, "null"),
  boolean: (builder) => jsonRule(builder, "boolean"),
  anyValue: (builder) => jsonRule(builder, "value"),
  anyObject: (builder) => jsonRule(builder, "object"),
  object: { open: literal("{"), close: literal("}") },
  array: { open: literal("["), close: literal("]") },
  comma: (builder) => jsonRule(builder, "comma"),
  ws: (builder) => jsonRule(builder, "ws"),
  member: (builder, name, value) =>
    sequence(literal(JSON.stringify(name)), jsonRule(builder, "colon"), value),
  item: (_, value) => value,
  extra: (builder, declared, value) =>
    sequence(stringExcept(builder, declared), jsonRule(builder, "colon"), value),
  keyed: (builder, key, value) => sequence(QUOTE, key, QUOTE, jsonRule(builder, "colon"), value),
  sorted: false,
  end: "",
};
