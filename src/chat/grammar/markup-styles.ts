import { TAG_NAMES } from "./bare-names.ts";
import { charSet, complement, intersect } from "./char-set.ts";
import { countedUntil } from "./counted-text.ts";
import { choice, literal, sequence, type GrammarBuilder } from "./gbnf.ts";
import { jsonRule } from "./json-rules.ts";
import { otherValues, rawText, rawTexts } from "./raw-text.ts";
import { UnsupportedPattern } from "./regex-parse.ts";
import { repeat } from "./repeat.ts";
import type { JsonType } from "./schema-shape.ts";
import { shapedText } from "./shaped-text.ts";
import { textUntil, type TextLength } from "./until-grammar.ts";
import { untypedStyle } from "./untyped-style.ts";
import { JSON_STYLE, type CharStyle, type TextStyle, type ValueStyle } from "./value-style.ts";

/** Nested elements, each tag behind `prefix`; list items are elements of their own. */
export function elementsStyle(prefix: string, itemTag: string): ValueStyle {
  const close = `${prefix}</`;
  const element = (name: string, value: string): string =>
    sequence(literal(`${prefix}<${name}>`), value, literal(`${name}>`));
  // That the closing tag repeats the name is left to the model.
  const named = (builder: GrammarBuilder, name: string, value: string): string =>
    sequence(literal(`${prefix}<`), name, value, TAG_NAMES.other(builder, [], '">"'));
  const style: ValueStyle = {
    ...JSON_STYLE,
    id: "elements",
    text: rawText("", close),
    names: TAG_NAMES,
    texts: (value, types) => rawTexts(value, prefix, types),
    anyValue: (builder) => anyElement(builder, style, prefix),
    anyObject: () => null,
    object: { open: "", close: "" },
    array: { open: "", close: "" },
    comma: (builder) => jsonRule(builder, "ws"),
    member: (_, name, value) => element(name, value),
    item: (_, value) => element(itemTag, value),
    extra: (builder, declared, value) =>
      named(builder, TAG_NAMES.other(builder, declared, '">"'), value),
    keyed: (builder, key, value) => named(builder, sequence(key, '">"'), value),
    beside: (types) => ({
      ...untypedStyle({ ...style, text: besideText(style.text, types) }, close, types),
      texts: (value, own) => rawTexts(value, prefix, types.union(own)),
    }),
    end: literal(close),
  };
  return style;
}

/** Text that reads as a string or as another scalar, since nothing tells them apart; or elements. */
function anyElement(builder: GrammarBuilder, style: ValueStyle, prefix: string): string {
  const name = "any-element";
  if (builder.has(name)) return name;
  // Up to any tag, so that text never takes the tags of an element for its own.
  const text = sequence(textUntil(builder, prefix), '"</"');
  const ws = style.ws(builder);
  const member = builder.add("any-member", sequence(ws, style.extra(builder, [], name)));
  builder.define(name, `${text} | ${member}+ ${ws} ${style.end}`);
  return name;
}

/**
 * Bare strings that `close` ends; any other value is JSON, ended the same way.
 * @param others Types that are written beside the values of this style.
 */
export function taggedStyle(close: string, others: ReadonlySet<JsonType> = NONE): ValueStyle {
  return {
    ...JSON_STYLE,
    id: "tagged",
    text: besideText(rawText("", close), others),
    texts: (value, types) => rawTexts(value, close, types.union(others)),
    anyValue: (builder) => textUntil(builder, close),
    end: literal(close),
  };
}

const NONE: ReadonlySet<JsonType> = new Set();

/** Where values of these types may stand, too. */
function besideText(text: TextStyle, types: ReadonlySet<JsonType>): TextStyle {
  const unlike = otherValues(types);
  return unlike === undefined ? text : { ...text, unlike };
}

/** As `taggedStyle`, but strings with `<` or `&` stand in a CDATA section. */
export function cdataStyle(close: string, others: ReadonlySet<JsonType> = NONE): ValueStyle {
  const style = taggedStyle(close, others);
  const markup = charSet([0x26, 0x26], [0x3c, 0x3c]);
  const any = style.text.char(complement(markup)) ?? "";
  const chars: CharStyle = {
    ...style.text,
    char: (set) => style.text.char(intersect(set, complement(markup))),
    any: () => any,
  };
  const whole = (builder: GrammarBuilder, section: string, length: TextLength): string => {
    const plain = plainText(builder, chars, length);
    const quoted = sequence(literal("<![CDATA["), section);
    return builder.add("cdata", sequence(choice([quoted, ...plain]), literal(close)));
  };
  const free = (builder: GrammarBuilder): string =>
    whole(builder, textUntil(builder, CDATA_END), { min: 0, max: null });
  return {
    ...style,
    text: {
      ...style.text,
      ...chars,
      free,
      counted: (builder, length) => {
        const section = countedUntil(builder, CDATA_END, length);
        return section === null ? null : whole(builder, section, length);
      },
    },
    texts: (value, types) => {
      const plain = rawTexts(value, close, types.union(others));
      const texts = plain.filter((text) => !/[<&]/.test(text));
      const mayQuote = typeof value === "string" && !value.includes(CDATA_END);
      return texts.length > 0 || !mayQuote ? texts : [`<![CDATA[${value}${CDATA_END}`];
    },
    anyValue: free,
  };
}

const CDATA_END = "]]>";

/** Text outside of a section, if it is read as text; none where that is too much for a grammar. */
function plainText(builder: GrammarBuilder, chars: CharStyle, length: TextLength): string[] {
  const { min, max } = length;
  if (chars.unlike === undefined) return [repeat(builder, chars.any(builder), min, max)];
  const shape = { patterns: [ANY_TEXT], formats: [], length, except: [] };
  try {
    return [shapedText(builder, chars, shape)].filter((text) => text !== null);
  } catch (error) {
    if (error instanceof UnsupportedPattern) return [];
    throw error;
  }
}

/** A length takes the place of the star. */
const ANY_TEXT = "^[\\s\\S]*$";
