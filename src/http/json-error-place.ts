const STRING = /"[^"\\\0-\x1f]*(?:\\(?:["\\/bfnrt]|u[\da-fA-F]{4})[^"\\\0-\x1f]*)*"/;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/;
const TOKEN = new RegExp(
  `[ \\t\\n\\r]*(?:[{}[\\],:]|${STRING.source}|${NUMBER.source}|true|false|null)`,
  "y",
);
const SPACE = /[ \t\n\r]*/y;

type Expected = "value" | "item" | "key" | "firstKey" | "colon" | "next" | "nothing";

/**
 * Where a text stops being JSON: the parser does not say.
 * @returns Line and column from 1, columns in UTF-16 units; null when the text is JSON.
 */
export function jsonErrorPlace(text: string): { line: number; column: number } | null {
  const open: ("{" | "[")[] = [];
  let expected: Expected = "value";
  for (TOKEN.lastIndex = 0; ;) {
    const start = TOKEN.lastIndex;
    const token = TOKEN.exec(text)?.[0].trimStart() ?? "";
    const after = follow(expected, token, open);
    if (after === null) {
      const place = afterSpace(text, start);
      return place === text.length && expected === "nothing" ? null : lineAndColumn(text, place);
    }
    expected = after;
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

function afterSpace(text: string, index: number): number {
  SPACE.lastIndex = index;
  SPACE.exec(text);
  return SPACE.lastIndex;
}

function lineAndColumn(text: string, index: number): { line: number; column: number } {
  const before = text.slice(0, index).split("\n");
  return { line: before.length, column: (before.at(-1) ?? "").length + 1 };
}
