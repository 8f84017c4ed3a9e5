import { escapeJson } from "../parser/json-value.ts";
import { rawToJson } from "../parser/tagged-value.ts";
import { charSet, classOf, complement, intersect } from "./char-set.ts";
import { countedUntil } from "./counted-text.ts";
import { literal, sequence } from "./gbnf.ts";
import type { JsonType } from "./schema-shape.ts";
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

/**
 * Strings as they are, everything else as JSON, unless the text would end early or a string would
 * be read as a value of another of these types.
 */
export function rawTexts(value: unknown, close: string, types: ReadonlySet<JsonType>): string[] {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const isWrong = text.includes(close) || (typeof value === "string" && !readsAsText(text, types));
  return isWrong ? [] : [text];
}

/** JSON, and what the parser takes for it, by the types of what is read. */
const READ_AS: readonly (readonly [types: readonly JsonType[], pattern: string])[] = [
  [["number", "integer"], "-?(0|[1-9]\\d*)(\\.\\d+)?([eE][+-]?\\d+)?"],
  [["boolean"], "true|True|false|False"],
  [["null"], "null|None"],
  [["object"], "\\{[\\s\\S]*"],
  [["array"], "[\\[(][\\s\\S]*"],
];

/** A pattern of all texts that may be read as a value of these types; undefined = there are none. */
export function otherValues(types: ReadonlySet<JsonType>): string | undefined {
  const read = READ_AS.filter(([names]) => names.some((name) => types.has(name)));
  const either = read.map(([, pattern]) => pattern).join("|");
  return either === "" ? undefined : `^[ \\t\\r\\n]*(${either})[ \\t\\r\\n]*$`;
}

/** Whether the parser takes this for a string where values of these types may stand. */
export function readsAsText(text: string, types: ReadonlySet<JsonType>): boolean {
  const known = Array.from(types, (type) => (type === "integer" ? "number" : type));
  return rawToJson(text, new Set(known)) === `"${escapeJson(text)}"`;
}
