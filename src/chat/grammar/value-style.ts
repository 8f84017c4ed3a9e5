import { charSet, classOf, complement, intersect, jsonCharOf, type CharSet } from "./char-set.ts";
import { literal, sequence, type GrammarBuilder } from "./gbnf.ts";
import { jsonRule } from "./json-rules.ts";
import { stringExcept } from "./literal-trie.ts";
import type { JsonType } from "./schema-shape.ts";
import { textUntil } from "./until-grammar.ts";

/** How characters are written between the delimiters of a string. */
export interface TextStyle {
  /** GBNF of the delimiters; "" = none. */
  readonly open: string;
  readonly close: string;
  /** One character of the set; null when none of it can be written. */
  char(set: CharSet): string | null;
  /** The rule or class of one character of any kind. */
  any(builder: GrammarBuilder): string;
  /** A whole string without rules, delimiters included, that is none of `except`. */
  free(builder: GrammarBuilder, except: readonly string[]): string;
  /** Whether `free` keeps to `except`. */
  readonly excludes: boolean;
}

/** How a family of models writes values: JSON, Python, or a notation of its own. */
export interface ValueStyle {
  /** Part of rule names. */
  readonly id: string;
  readonly text: TextStyle;
  /** The ways to write one fixed value, as texts; none when it cannot be written. */
  texts(value: unknown): readonly string[];
  /** Rules of JSON that differ; the others hold as they are. */
  null(builder: GrammarBuilder): string;
  boolean(builder: GrammarBuilder): string;
  /** A value of which nothing is known, with its `end`; an object of which nothing is known. */
  anyValue(builder: GrammarBuilder): string;
  anyObject(builder: GrammarBuilder): string;
  readonly object: { readonly open: string; readonly close: string };
  readonly array: { readonly open: string; readonly close: string };
  comma(builder: GrammarBuilder): string;
  ws(builder: GrammarBuilder): string;
  member(builder: GrammarBuilder, name: string, value: string): string;
  item(builder: GrammarBuilder, value: string): string;
  /** A member whose name is not declared; null when none can be written. */
  extra(builder: GrammarBuilder, declared: readonly string[], value: string): string | null;
  /** A member whose name matches `key`, the inside of a string; null when none can be written. */
  keyed(builder: GrammarBuilder, key: string, value: string): string | null;
  /** Members stand in alphabetical order instead of the declared one. */
  readonly sorted: boolean;
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
  excludes: true,
};

export const JSON_STYLE: ValueStyle = {
  id: "json",
  text: jsonText,
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

/** Python literals; `true`, `false` and `null` are read as well. */
export const PYTHON_STYLE: ValueStyle = {
  ...JSON_STYLE,
  id: "python",
  texts: (value) => [...new Set([pythonText(value), JSON.stringify(value)])],
  null: (builder) => named(builder, "py-null", '"None" | "null"'),
  boolean: (builder) => named(builder, "py-boolean", '"True" | "False" | "true" | "false"'),
  anyValue: (builder) => freeValue(builder, "py", PYTHON_STYLE),
  anyObject: (builder) => freeObject(builder, "py", PYTHON_STYLE),
};

/** JavaScript-like objects with bare names in alphabetical order, strings between `quote`s. */
export function dictStyle(quote: string): ValueStyle {
  const style: ValueStyle = {
    ...JSON_STYLE,
    id: "dict",
    text: rawText(quote, quote),
    texts: (value) => dictTexts(value, quote),
    anyValue: (builder) => freeValue(builder, "dict", style),
    anyObject: (builder) => freeObject(builder, "dict", style),
    member: (builder, name, value) => sequence(literal(name), jsonRule(builder, "colon"), value),
    extra: (builder, declared, value) =>
      declared.length > 0
        ? null
        : sequence("[a-zA-Z0-9_.-]{1,64}", jsonRule(builder, "colon"), value),
    keyed: () => null,
    sorted: true,
  };
  return style;
}

/** Nested elements, each tag behind `prefix`; list items are elements of their own. */
export function elementsStyle(prefix: string, itemTag: string): ValueStyle {
  const end = literal(`${prefix}</`);
  const element = (name: string, value: string): string =>
    sequence(literal(`${prefix}<${name}>`), value, literal(`${name}>`));
  const style: ValueStyle = {
    ...JSON_STYLE,
    id: "elements",
    text: rawText("", `${prefix}</`),
    texts: (value) => rawTexts(value, prefix),
    // Nothing tells a string from a number here, so it is text that reads as either.
    anyValue: (builder) => textUntil(builder, `${prefix}</`),
    anyObject: () => '""',
    object: { open: "", close: "" },
    array: { open: "", close: "" },
    comma: (builder) => jsonRule(builder, "ws"),
    member: (_, name, value) => element(name, value),
    item: (_, value) => element(itemTag, value),
    extra: () => null,
    keyed: () => null,
    end,
  };
  return style;
}

/** Bare strings that `close` ends; any other value is JSON, ended the same way. */
export function taggedStyle(close: string): ValueStyle {
  return {
    ...JSON_STYLE,
    id: "tagged",
    text: rawText("", close),
    texts: (value) => rawTexts(value, close),
    anyValue: (builder) => textUntil(builder, close),
    end: literal(close),
  };
}

/** As `taggedStyle`, but free text never reads as a JSON value of `types`. */
export function untypedStyle(close: string, types: ReadonlySet<JsonType>): ValueStyle {
  const style = taggedStyle(close);
  const free = (builder: GrammarBuilder): string =>
    textUnlikeJson(builder, style.text, close, types);
  return { ...style, text: { ...style.text, free } };
}

/** Characters a value of each type may begin with, and words that are one. */
const BEGINNINGS: readonly (readonly [JsonType, chars: string, words: readonly string[]])[] = [
  ["number", "-0123456789", []],
  ["integer", "-0123456789", []],
  ["object", "{", []],
  ["array", "[", []],
  ["boolean", "", ["true", "false", "True", "False"]],
  ["null", "", ["null", "None"]],
];

function textUnlikeJson(
  builder: GrammarBuilder,
  text: TextStyle,
  close: string,
  types: ReadonlySet<JsonType>,
): string {
  const relevant = BEGINNINGS.filter(([type]) => types.has(type));
  const words = relevant.flatMap(([, , list]) => list);
  const initials = words.map((word) => word.charAt(0)).join("");
  const refused = `${relevant.map(([, chars]) => chars).join("")}${initials}" \t\r\n`;
  const except = (chars: string): string => {
    const set = charSet(...Array.from(chars, (char) => codeRange(char)));
    return text.char(complement(set)) ?? "";
  };
  const rest = textUntil(builder, close);
  const options = [`${except(refused)} ${rest}`];
  for (const word of words) {
    // The word stops being one at any of its places, or goes on as a longer word.
    for (let length = 1; length < word.length; length++) {
      const start = literal(word.slice(0, length));
      const others = words.filter((other) => other.startsWith(word.slice(0, length)));
      const next = others.map((other) => other.charAt(length)).join("");
      options.push(`${start} ( ${text.close} | ${except(next)} ${rest} )`);
    }
    options.push(`${literal(word)} [a-zA-Z0-9_] ${rest}`);
  }
  return builder.add("words", options.join(" | "));
}

function codeRange(char: string): readonly [number, number] {
  const code = char.codePointAt(0) ?? 0;
  return [code, code];
}

/** As `taggedStyle`, but strings with `<` or `&` stand in a CDATA section. */
export function cdataStyle(close: string): ValueStyle {
  const style = taggedStyle(close);
  const markup = charSet([0x26, 0x26], [0x3c, 0x3c]);
  const any = style.text.char(complement(markup)) ?? "";
  return {
    ...style,
    text: {
      ...style.text,
      char: (set) => style.text.char(intersect(set, complement(markup))),
      any: () => any,
      free: (builder) => cdata(builder, any, close),
    },
    texts: (value) => style.texts(value).filter((text) => !/[<&]/.test(text)),
    anyValue: (builder) => cdata(builder, any, close),
  };
}

function cdata(builder: GrammarBuilder, plain: string, close: string): string {
  const section = sequence(literal("<![CDATA["), textUntil(builder, "]]>"));
  return builder.add("cdata", sequence(`( ${section} | ${plain}* )`, literal(close)));
}

/**
 * Text without escapes: it ends where `close` first occurs. Where single characters are counted,
 * none of them may begin `close`.
 */
function rawText(open: string, close: string): TextStyle {
  const first = close.codePointAt(0) ?? 0;
  const allowed = intersect(
    complement(charSet([first, first], [0xd800, 0xdfff], [0x7f, 0x7f], [0, 8], [11, 31])),
    charSet([0, 0x10ffff]),
  );
  return {
    open: open === "" ? "" : literal(open),
    close: literal(close),
    char: (set) => {
      const left = intersect(set, allowed);
      return left.length === 0 ? null : classOf(left);
    },
    any: () => classOf(allowed),
    free: (builder) => sequence(open === "" ? "" : literal(open), textUntil(builder, close)),
    excludes: false,
  };
}

function named(builder: GrammarBuilder, name: string, body: string): string {
  if (!builder.has(name)) builder.define(name, body);
  return name;
}

function freeObject(builder: GrammarBuilder, prefix: string, style: ValueStyle): string {
  const name = `${prefix}-object`;
  if (builder.has(name)) return name;
  const value = `${prefix}-value`;
  const member = style.extra(builder, [], value) ?? '""';
  const list = `( ${member} ( ${style.comma(builder)} ${member} )* ${style.ws(builder)} )?`;
  builder.define(name, `${style.object.open} ${style.ws(builder)} ${list} ${style.object.close}`);
  freeValue(builder, prefix, style);
  return name;
}

function freeValue(builder: GrammarBuilder, prefix: string, style: ValueStyle): string {
  const name = `${prefix}-value`;
  if (builder.has(name)) return name;
  const ws = style.ws(builder);
  const list = `( ${name} ( ${style.comma(builder)} ${name} )* ${ws} )?`;
  const array = `${style.array.open} ${ws} ${list} ${style.array.close}`;
  const scalars = [
    style.text.free(builder, []),
    jsonRule(builder, "number"),
    style.boolean(builder),
    style.null(builder),
  ];
  builder.define(name, [`${prefix}-object`, array, ...scalars].join(" | "));
  freeObject(builder, prefix, style);
  return name;
}

/** A value as Python's `repr` writes it, with JSON's strings. */
function pythonText(value: unknown): string {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(pythonText).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([key, member]) => `${JSON.stringify(key)}: ${pythonText(member)}`,
  );
  return `{${members.join(", ")}}`;
}

function dictTexts(value: unknown, quote: string): string[] {
  if (typeof value === "string") return value.includes(quote) ? [] : [quote + value + quote];
  if (typeof value !== "object" || value === null) return [JSON.stringify(value)];
  const inner = Object.entries(value).map(([key, member]) => {
    const [text] = dictTexts(member, quote);
    return text === undefined ? undefined : Array.isArray(value) ? text : `${key}:${text}`;
  });
  if (inner.includes(undefined)) return [];
  return [Array.isArray(value) ? `[${inner.join(",")}]` : `{${inner.join(",")}}`];
}

/** Strings as they are, everything else as JSON, unless the text would end early. */
function rawTexts(value: unknown, close: string): string[] {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.includes(close) ? [] : [text];
}
