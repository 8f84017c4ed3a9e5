import { charSet, complement, intersect } from "./char-set.ts";
import { countedUntil } from "./counted-text.ts";
import { literal, sequence, type GrammarBuilder } from "./gbnf.ts";
import { jsonRule } from "./json-rules.ts";
import { rawText, rawTexts } from "./raw-text.ts";
import { repeat } from "./repeat.ts";
import { textUntil } from "./until-grammar.ts";
import { JSON_STYLE, type ValueStyle } from "./value-style.ts";

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

/** As `taggedStyle`, but strings with `<` or `&` stand in a CDATA section. */
export function cdataStyle(close: string): ValueStyle {
  const style = taggedStyle(close);
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
    texts: (value) => style.texts(value).filter((text) => !/[<&]/.test(text)),
    anyValue: free,
  };
}

const CDATA_END = "]]>";
