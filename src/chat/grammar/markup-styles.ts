import { TAG_NAMES } from "./bare-names.ts";
import { charSet, complement, intersect } from "./char-set.ts";
import { countedUntil } from "./counted-text.ts";
import { literal, sequence, type GrammarBuilder } from "./gbnf.ts";
import { jsonRule } from "./json-rules.ts";
import { otherValues, rawText, rawTexts } from "./raw-text.ts";
import { repeat } from "./repeat.ts";
import type { JsonType } from "./schema-shape.ts";
import { textUntil } from "./until-grammar.ts";
import { JSON_STYLE, type ValueStyle } from "./value-style.ts";

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
  const unlike = otherValues(others);
  return {
    ...JSON_STYLE,
    id: "tagged",
    text: { ...rawText("", close), ...(unlike !== undefined && { unlike }) },
    texts: (value, types) => rawTexts(value, close, types.union(others)),
    anyValue: (builder) => textUntil(builder, close),
    end: literal(close),
  };
}

const NONE: ReadonlySet<JsonType> = new Set();

/** As `taggedStyle`, but strings with `<` or `&` stand in a CDATA section. */
export function cdataStyle(close: string, others: ReadonlySet<JsonType> = NONE): ValueStyle {
  const style = taggedStyle(close, others);
  const markup = charSet([0x26, 0x26], [0x3c, 0x3c]);
  const any = style.text.char(complement(markup)) ?? "";
  const whole = (builder: GrammarBuilder, section: string, plain: string): string =>
    builder.add(
      "cdata",
      sequence(`( ${sequence(literal("<![CDATA["), section)} | ${plain} )`, literal(close)),
    );
  const free = (builder: GrammarBuilder): string =>
    whole(builder, textUntil(builder, CDATA_END), `${any}*`);
  return {
    ...style,
    text: {
      ...style.text,
      char: (set) => style.text.char(intersect(set, complement(markup))),
      any: () => any,
      free,
      counted: (builder, length) => {
        const section = countedUntil(builder, CDATA_END, length);
        if (section === null) return null;
        return whole(builder, section, repeat(builder, any, length.min, length.max));
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
