const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
/** Space, tab, line feed, carriage return. */
const BLANKS: readonly number[] = [SPACE, 0x09, 0x0a, 0x0d];
const PLAIN_TOKEN = /[{}[\],:]|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const ESCAPE = /["\\/bfnrt]|u[\da-fA-F]{4}/y;

type Expected = "value" | "item" | "key" | "firstKey" | "colon" | "next" | "nothing";

/**
 * Where a text stops being JSON: the parser does not say. One pass: strings are read without a regular
 * expression, which would remember each escape.
 * @returns Line and column from 1, columns in UTF-16 units; null when the text is JSON.
 */
export function jsonErrorPlace(text: string): { line: number; column: number } | null {
  const open: ("{" | "[")[] = [];
  let expected: Expected = "value";
  for (let at = 0; ;) {
    at = afterSpace(text, at);
    const end = endOfToken(text, at);
    const after = follow(expected, text.slice(at, end), open);
    if (after === null) {
      return at === text.length && expected === "nothing" ? null : lineAndColumn(text, at);
    }
    expected = after;
    at = end;
  }
}

/** What may come behind `token`; null when it may not stand here. Keeps `open` up to date. */
function follow(expected: Expected, token: string, open: ("{" | "[")[]): Expected | null {
  const afterValue = (): Expected => (open.length === 0 ? "nothing" : "next");
  switch (token) {
    case "{":
    case "[":
      if (expected !== "value" && expected !== "item") return null;
      open.push(token);
      return token === "{" ? "firstKey" : "item";
    case "}":
    case "]": {
      const isEmpty = expected === (token === "}" ? "firstKey" : "item");
      const isInside = open.at(-1) === (token === "}" ? "{" : "[");
      if (!isInside || !(isEmpty || expected === "next")) return null;
      open.pop();
      return afterValue();
    }
    case ",":
      if (expected !== "next") return null;
      return open.at(-1) === "{" ? "key" : "value";
    case ":":
      return expected === "colon" ? "value" : null;
    case "":
      return null;
    default:
      if (expected === "key" || expected === "firstKey") return token[0] === '"' ? "colon" : null;
      return expected === "value" || expected === "item" ? afterValue() : null;
  }
}

function afterSpace(text: string, start: number): number {
  let at = start;
  while (BLANKS.includes(text.charCodeAt(at))) at++;
  return at;
}

/** Where the token at `start` ends; `start` when there is none. */
function endOfToken(text: string, start: number): number {
  if (text.charCodeAt(start) === QUOTE) return endOfString(text, start);
  return start + lengthAt(PLAIN_TOKEN, text, start);
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) return at + 1;
    if (unit < SPACE) return start;
    if (unit !== BACKSLASH) continue;
    const length = lengthAt(ESCAPE, text, at + 1);
    if (length === 0) return start;
    at += length;
  }
  return start;
}

/** Length of what the sticky `pattern` finds at `index`. */
function lengthAt(pattern: RegExp, text: string, index: number): number {
  pattern.lastIndex = index;
  return pattern.exec(text)?.[0].length ?? 0;
}

function lineAndColumn(text: string, index: number): { line: number; column: number } {
  const before = text.slice(0, index).split("\n");
  return { line: before.length, column: (before.at(-1) ?? "").length + 1 };
}
