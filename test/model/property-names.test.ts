import { expect, test } from "bun:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { PatternMatcher } from "../../src/chat/grammar/regex-match.ts";
import { schemaGrammar } from "../../src/chat/grammar/schema-grammar.ts";
import { LmError } from "../../src/lib/errors.ts";
import { matched } from "../support/grammar-matcher.ts";

const NAMES = ["a", "b", "c"];

/** Objects with every choice of names and of two values, members in the order of the alphabet. */
const OBJECTS = [...NAMES, "d"].reduce<string[][]>(
  (found, name) =>
    found.flatMap((members) => [
      members,
      [...members, `"${name}":1`],
      [...members, `"${name}":"x"`],
    ]),
  [[]],
);
const TEXTS = OBJECTS.map((members) => `{${members.join()}}`);

const value = fc.constantFrom({ const: 1 }, { const: "x" }, { enum: [1, "x"] }, true);
const rest = fc.constantFrom(false, true, { const: 1 });
const keywords = {
  type: fc.constant("object"),
  properties: fc
    .subarray(NAMES)
    .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, value])))),
  required: fc.subarray(NAMES, { maxLength: 1 }),
  additionalProperties: rest,
  unevaluatedProperties: rest,
  patternProperties: fc.record({ "^[ab]$": value }),
  propertyNames: fc.constantFrom({ pattern: "^[bc]$" }, { enum: ["a", "d"] }, { minLength: 1 }),
};
const parts = (level: number): fc.Arbitrary<Record<string, unknown>> => {
  const some =
    level === 0 ? fc.constant([{}]) : fc.array(parts(level - 1), { minLength: 1, maxLength: 2 });
  const all = { ...keywords, allOf: some, anyOf: some };
  return fc.record(all, { requiredKeys: ["type"] });
};

test("objects that a grammar without reports accepts keep every rule about their names", () => {
  const ajv = new Ajv2020({ strict: false, ownProperties: true, logger: false });
  const wrong = (schema: Record<string, unknown>): unknown => {
    const validate = ajv.compile(schema);
    const valid = TEXTS.filter((text) => validate(JSON.parse(text)));
    try {
      const { gbnf, unsupported } = schemaGrammar(schema, "format");
      if (unsupported.length > 0) return [];
      return matched(gbnf, TEXTS).filter((text) => !valid.includes(text));
    } catch (error) {
      if (!(error instanceof LmError)) throw error;
      return valid;
    }
  };
  fc.assert(
    fc.property(parts(2), (schema) => {
      expect(wrong(schema)).toEqual([]);
    }),
    { numRuns: 150, seed: 1, endOnFailure: true },
  );
});

test("a pattern is tried as JavaScript tries it, in bounded work", () => {
  const patterns = [
    "",
    "^a",
    "b$",
    "^(a|ab)c?$",
    "^(a*)*$",
    "[^a]",
    "^a{2,3}$",
    "^(aa|aaa){2}$",
    "(?=.b)a",
    "^(?!.*c)",
  ];
  const texts = ["", "a", "b", "ab", "abc", "aa", "aaa", "aaaa", "aaaaa", "aaaaaaa", "cab"];
  for (const pattern of patterns) {
    const matcher = new PatternMatcher(pattern);
    expect(texts.filter((text) => matcher.match(text).matches === true)).toEqual(
      texts.filter((text) => new RegExp(pattern).test(text)),
    );
  }
  const hostile = new PatternMatcher("^((a{0,999}){0,999}){0,999}$").match("a".repeat(5000) + "b");
  expect(hostile.matches).toBeNull();
  expect(hostile.steps).toBeLessThan(100_000);
  expect(new PatternMatcher("(?<=a)").match("a").matches).toBeNull();
});
