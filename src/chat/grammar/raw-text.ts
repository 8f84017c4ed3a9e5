import { charSet, classOf, complement, intersect } from "./char-set.ts";
import { countedUntil } from "./counted-text.ts";
import { literal, sequence } from "./gbnf.ts";
import { textUntil } from "./until-grammar.ts";
import type { TextStyle } from "./value-style.ts";

/**
 * Text without escapes: it ends where `close` first occurs. In a pattern, where each character
 * stands for itself, none of them may begin `close`.
 */
export function rawText(open: string, close: string): TextStyle {
  const first = close.codePointAt(0) ?? 0;
  const allowed = intersect(
    complement(charSet([first, first], [0xd800, 0xdfff], [0x7f, 0x7f], [0, 8], [11, 31])),
    charSet([0, 0x10ffff]),
  );
  const opened = (text: string): string => sequence(open === "" ? "" : literal(open), text);
  return {
    open: open === "" ? "" : literal(open),
    close: literal(close),
    char: (set) => {
      const left = intersect(set, allowed);
      return left.length === 0 ? null : classOf(left);
    },
    any: () => classOf(allowed),
    free: (builder) => opened(textUntil(builder, close)),
    counted: (builder, length) => {
      const text = countedUntil(builder, close, length);
      return text === null ? null : opened(text);
    },
    excludes: false,
  };
}

/** Strings as they are, everything else as JSON, unless the text would end early. */
export function rawTexts(value: unknown, close: string): string[] {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.includes(close) ? [] : [text];
}
