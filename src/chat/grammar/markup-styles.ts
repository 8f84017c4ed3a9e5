import { charSet, complement, intersect } from "./char-set.ts";
import { literal, sequence, type GrammarBuilder } from "./gbnf.ts";
import { jsonRule } from "./json-rules.ts";
import { rawText, rawTexts } from "./raw-text.ts";
import type { JsonType } from "./schema-shape.ts";
import { textUntil } from "./until-grammar.ts";
import { JSON_STYLE, type TextStyle, type ValueStyle } from "./value-style.ts";

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
