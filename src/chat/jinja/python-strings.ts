/** Code points as Python counts them, where JavaScript counts UTF-16 units. */

const HAS_SURROGATE = /[\ud800-\udfff]/;
const BLANK =
  "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const IS_BLANK = new RegExp(`[${BLANK}]`);
const WORD = new RegExp(`[^${BLANK}]+`, "g");
const TITLE_WORD = new RegExp(`[^${BLANK}({[<\\-]+`, "g");
const LINE_ENDS = "\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029";
const LINE_END = new RegExp(`\\r\\n|[${LINE_ENDS}]`, "g");

export function lengthOf(text: string): number {
  return HAS_SURROGATE.test(text) ? Array.from(text).length : text.length;
}

/** The position in code points of the UTF-16 position `index`; -1 stays. */
export function pointIndex(text: string, index: number): number {
  return index <= 0 ? index : lengthOf(text.slice(0, index));
}

/** Code points when the text has any beyond 16 bits, else the text itself: both can be sliced. */
export function points(text: string): string | readonly string[] {
  return HAS_SURROGATE.test(text) ? Array.from(text) : text;
}

/** Python's `strip` family. @param chars The set to strip; null = white space. */
export function strip(text: string, chars: string | null, left: boolean, right: boolean): string {
  const set = chars === null ? null : new Set(chars);
  const drops = (char: string): boolean => (set === null ? IS_BLANK.test(char) : set.has(char));
  const start = left ? firstKept(text, drops) : 0;
  return text.slice(start, right ? endOfKept(text, start, drops) : text.length);
}

function firstKept(text: string, drops: (char: string) => boolean): number {
  let start = 0;
  while (start < text.length && drops(charAt(text, start))) start += charAt(text, start).length;
  return start;
}

function endOfKept(text: string, start: number, drops: (char: string) => boolean): number {
  let end = text.length;
  while (end > start && drops(charBefore(text, end))) end -= charBefore(text, end).length;
  return end;
}

const charAt = (text: string, index: number): string =>
  String.fromCodePoint(text.codePointAt(index) ?? 0);

function charBefore(text: string, end: number): string {
  const last = text.charCodeAt(end - 1);
  const isLow = last >= 0xdc00 && last <= 0xdfff && end > 1;
  const pair = isLow ? charAt(text, end - 2) : "";
  return pair.length === 2 ? pair : text.charAt(end - 1);
}

/** Python's `split(separator, limit)`; a negative limit is none. */
export function split(text: string, separator: string | null, limit: number): string[] {
  if (separator === "") throw new Error("empty separator");
  if (separator === null) return splitWords(text, limit);
  const parts = text.split(separator);
  if (limit < 0 || parts.length <= limit + 1) return parts;
  return [...parts.slice(0, limit), parts.slice(limit).join(separator)];
}

function splitWords(text: string, limit: number): string[] {
  const words: string[] = [];
  for (const match of text.matchAll(WORD)) {
    if (limit >= 0 && words.length >= limit) {
      words.push(strip(text.slice(match.index), null, false, limit === 0));
      break;
    }
    words.push(match[0]);
  }
  return words;
}

/** Python's `rsplit(separator, limit)`. */
export function splitRight(text: string, separator: string | null, limit: number): string[] {
  if (separator === "") throw new Error("empty separator");
  if (limit < 0) return split(text, separator, -1);
  if (separator === null) {
    const words = [...text.matchAll(WORD)];
    const kept = words.slice(Math.max(0, words.length - limit));
    const first = kept[0];
    const rest = strip(first === undefined ? text : text.slice(0, first.index), null, true, true);
    return [...(rest === "" ? [] : [rest]), ...kept.map((match) => match[0])];
  }
  const parts = text.split(separator);
  const cut = parts.length - limit;
  return cut <= 1 ? parts : [parts.slice(0, cut).join(separator), ...parts.slice(cut)];
}

export function splitLines(text: string, keepEnds: boolean): string[] {
  const lines: string[] = [];
  let start = 0;
  for (const match of text.matchAll(LINE_END)) {
    const end = match.index + match[0].length;
    lines.push(text.slice(start, keepEnds ? end : match.index));
    start = end;
  }
  if (start < text.length) lines.push(text.slice(start));
  return lines;
}

/** Python's `replace(old, new, count)`; a negative count is all. */
export function replace(text: string, old: string, next: string, count: number): string {
  if (count < 0) return text.replaceAll(old, () => next);
  return old === "" ? text : split(text, old, count).join(next);
}

export function countOf(text: string, part: string): number {
  return part === "" ? lengthOf(text) + 1 : text.split(part).length - 1;
}

/** Python's `title()`: every word begins with a capital; a word starts after anything that is no letter. */
export function title(text: string): string {
  return text.toLowerCase().replace(/(?<!\p{L})\p{L}/gu, (letter) => letter.toUpperCase());
}

/** Jinja's `|title`: a word starts after blanks, dashes and opening brackets only. */
export const titleWords = (text: string): string => text.replace(TITLE_WORD, capitalize);

export function capitalize(text: string): string {
  const [first = ""] = text;
  return first.toUpperCase() + text.slice(first.length).toLowerCase();
}

export const swapCase = (text: string): string =>
  Array.from(text, (char) =>
    char === char.toUpperCase() ? char.toLowerCase() : char.toUpperCase(),
  ).join("");
