import { expect, test } from "bun:test";
import fc from "fast-check";
import { jsonErrorPlace } from "../../../src/http/json-error-place.ts";

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

test.each([
  ["", 1, 1],
  ["[1,]", 1, 4],
  ["[1 2]", 1, 4],
  ["{,}", 1, 2],
  ['{"a":1,}', 1, 8],
  ['{"a" 1}', 1, 6],
  ["[01]", 1, 3],
  ['["a\\q"]', 1, 2],
  ['{\n  "a": tru\n}', 2, 8],
  ["[1]]", 1, 4],
  ["[}", 1, 2],
])("%j breaks at line %d, column %d", (text, line, column) => {
  expect(jsonErrorPlace(text)).toEqual({ line, column });
});

test("JSON has no such place, whatever it holds", () => {
  const spaced = fc.tuple(fc.json(), fc.constantFrom(undefined, 1, "\t"));
  fc.assert(
    fc.property(spaced, ([text, indent]) => {
      const value: unknown = JSON.parse(text);
      expect(jsonErrorPlace(`${JSON.stringify(value, null, indent)} \r\n`)).toBeNull();
    }),
  );
});

test("it finds a place exactly where the parser refuses", () => {
  const pieces = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"a"',
    "-1.5e3",
    "0",
    "true",
    "null",
    " ",
    "x",
    '"',
  ];
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 8 }).map((all) => all.join(""));
  fc.assert(
    fc.property(text, (each) => {
      expect(jsonErrorPlace(each) === null).toBe(isJson(each));
    }),
    { numRuns: 2_000 },
  );
});

test("long texts of escapes and brackets are read to their end", () => {
  expect(jsonErrorPlace(`["${"\\n".repeat(500_000)}" x`)).toEqual({ line: 1, column: 1_000_005 });
  // Ten times more than a pattern can remember.
  const column = 10_000_005;
  expect(jsonErrorPlace(`["${"\\n".repeat(5_000_000)}" x`)).toEqual({ line: 1, column });
  expect(jsonErrorPlace("[".repeat(1_000_000))).toEqual({ line: 1, column: 1_000_001 });
});
