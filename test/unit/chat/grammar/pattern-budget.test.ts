import { expect, test } from "bun:test";
import type { Tool } from "../../../../src/chat/conversation.ts";
import { findFormat } from "../../../../src/chat/formats/format-table.ts";
import { judgeWays } from "../../../../src/chat/grammar/grammar-ways.ts";
import { planFormat, planGrammar } from "../../../../src/chat/grammar/plan-grammar.ts";
import { schemaGrammar } from "../../../../src/chat/grammar/schema-grammar.ts";
import {
  RequestBudgets,
  WAYS_STEPS,
  WorkBudget,
} from "../../../../src/chat/grammar/work-budget.ts";
import { defined } from "../../../../src/lib/assert.ts";

const withPatterns = (patterns: readonly string[]) => ({
  type: "object",
  properties: Object.fromEntries(
    patterns.map((pattern, index) => [`k${index}`, { type: "string", pattern }]),
  ),
});

const many = (count: number, make: (index: number) => string): string[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** The patterns that are not enforced, and the steps that the schema took. */
function convert(patterns: readonly string[]): { missed: string[]; steps: number } {
  const budgets = new RequestBudgets();
  const { unsupported } = schemaGrammar(withPatterns(patterns), "format", budgets);
  return {
    missed: unsupported.map(({ pointer }) => pointer),
    steps: WAYS_STEPS - budgets.patterns.left,
  };
}

/** Patterns as they are written for dates, names, numbers and addresses. */
const USUAL = [
  String.raw`^[\w.-]+@[\w-]+\.\w+$`,
  String.raw`^\d{4}-\d{2}-\d{2}$`,
  String.raw`^\+?[1-9]\d{1,14}$`,
  String.raw`^https?://[^\s/$.?#].[^\s]*$`,
  String.raw`^v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`,
  "^[a-z0-9]+(-[a-z0-9]+)*$",
  "^.{3,80}$",
  "foo.*bar",
];

test("the usual patterns together take a fifth of what a request may spend", () => {
  const { missed, steps } = convert(USUAL);
  expect(missed).toEqual([]);
  expect(steps).toBeLessThan(WAYS_STEPS / 5);
});

test("patterns share what a request may spend: those it does not last for are not enforced", () => {
  const { missed, steps } = convert(many(200, (index) => `start${index}.*middle.*end`));
  expect(steps).toBe(WAYS_STEPS);
  expect(missed.length).toBeGreaterThan(100);
  expect(missed).not.toContain("/properties/k0/pattern");
});

test("a pattern for which the others leave nothing is refused for all of them", () => {
  const schema = withPatterns(many(200, (index) => `start${index}.*middle.*end`));
  expect(() => planFormat({ kind: "json", schema, strict: true })).toThrow(
    "is too large together with the other patterns for strict mode",
  );
});

test("the same pattern at a hundred places is read and searched once", () => {
  const { steps } = convert(["foo.*bar"]);
  expect(convert(many(100, () => "foo.*bar"))).toEqual({ missed: [], steps });
});

test("forty patterns of 650 groups are not all read", () => {
  const budgets = new RequestBudgets();
  const patterns = many(40, (index) => `^${"(a|b)?".repeat(650)}c${index}$`);
  const { unsupported } = schemaGrammar(withPatterns(patterns), "format", budgets);
  expect(unsupported).toHaveLength(40);
  expect(budgets.patterns.left).toBe(0);
});

test("patterns that no grammar expresses cost their length", () => {
  expect(convert(many(50, (index) => `${"x".repeat(4000)}(?=${index})`)).steps).toBe(WAYS_STEPS);
});

/** A pattern of many classes, each of its own and of 700 ranges. */
const manyClasses = (count: number): string =>
  `^${many(count, (index) => `[\\p{L}${String.fromCodePoint(0x2500 + index)}]?`).join("")}$`;

test("a class of hundreds of ranges is written, read and paid for once", () => {
  const sizeOf = (count: number) => {
    const patterns = many(count, (index) => `^[\\p{L} '-]{1,${20 + index}}$`);
    const { gbnf, unsupported } = schemaGrammar(withPatterns(patterns), "format");
    expect(unsupported).toEqual([]);
    return gbnf.length;
  };
  expect(sizeOf(60)).toBeLessThan(3 * sizeOf(1));
});

test("texts of large classes cost more than those of small ones", () => {
  const cost = (chars: string) => {
    const budgets = new RequestBudgets();
    const schema = { type: "string", pattern: `^${chars}+x?$`, minLength: 2 };
    expect(schemaGrammar(schema, "format", budgets).unsupported).toEqual([]);
    return new RequestBudgets().texts.left - budgets.texts.left;
  };
  expect(cost("[\\p{L}\\p{N}]")).toBeGreaterThan(3 * cost("[a-z]"));
});

test("a pattern whose own grammar would be too large is not enforced", () => {
  expect(convert([manyClasses(50)]).missed).toEqual(["/properties/k0/pattern"]);
});

const warningsOf = (tools: Tool[]) =>
  planGrammar({
    format: defined(findFormat("hermes"), "hermes"),
    tools,
    choice: { kind: "auto", allowed: null },
    parallel: true,
    answerFormat: { kind: "text" },
    reasoning: null,
  }).warnings;

test("the tools of a request share it", () => {
  const tools: Tool[] = many(10, String).map((name) => ({
    name: `tool${name}`,
    description: null,
    parameters: withPatterns(many(10, (index) => `start${name}${index}.*middle.*end`)),
    strict: false,
  }));
  const warnings = warningsOf(tools);
  expect(warnings.some(({ param }) => param === "tools[0].parameters")).toBeFalse();
  expect(warnings.filter(({ param }) => param === "tools[9].parameters")).toHaveLength(10);
});

test.each([
  ["six hundred options", `^${"(a|b)?".repeat(600)}c$`],
  ["four hundred optional letters", `^${"a?".repeat(400)}b$`],
  ["nested counts", "^(a{1,20}){1,20}$"],
])("a pattern with %s is not enforced", (_, pattern) => {
  expect(convert([pattern]).missed).toEqual(["/properties/k0/pattern"]);
});

test.each(["^a{2}{3}$", "^a*{3}$", "^{3}$"])("%s is no pattern of ECMA-262", (pattern) => {
  expect(convert([pattern]).missed).toEqual(["/properties/k0/pattern"]);
});

test("a brace that is no count stands for itself", () => {
  expect(convert(["{a}"]).missed).toEqual([]);
});

test.each([
  ["sixty optional letters", `^${"a?".repeat(60)}b$`],
  ["equal alternatives", "^(a|a)*$"],
  ["an optional separator", "^([a-z]+ ?)+$"],
])("a pattern with %s becomes an automaton, which reads a text in one way", (_, pattern) => {
  const { gbnf, unsupported } = schemaGrammar(withPatterns([pattern]), "format");
  expect(unsupported).toEqual([]);
  expect(judgeWays(gbnf, new WorkBudget(WAYS_STEPS))).toBe("few");
});

test("a tool whose patterns take all of it costs another tool neither oneOf nor listed values", () => {
  const costly = many(
    12,
    (index) => `^([a-zA-Z0-9]([a-zA-Z0-9-]{0,5${index}}[a-zA-Z0-9])?\\.)+[a-zA-Z]{2,}$`,
  );
  const kind = (name: string) => ({
    type: "object",
    properties: { k: { const: name } },
    required: ["k"],
    additionalProperties: false,
  });
  const tools: Tool[] = [
    { name: "a", description: null, parameters: withPatterns(costly), strict: false },
    {
      name: "b",
      description: null,
      parameters: {
        type: "object",
        properties: {
          union: { oneOf: [kind("a"), kind("b")] },
          listed: { enum: [{ x: 1 }], properties: { x: { type: "integer" } } },
        },
      },
      strict: true,
    },
  ];
  const warnings = warningsOf(tools);
  expect(warnings.map(({ keyword }) => keyword)).toContain("pattern");
});

test("every look at a place in the grammar counts", () => {
  const budget = new WorkBudget(1000);
  expect(judgeWays(`root ::= ${'"a"? '.repeat(60)}"b"`, budget)).toBe("unknown");
  expect(budget.left).toBeLessThan(10);
  expect(judgeWays(`root ::= ${'"a"? '.repeat(60)}"b"`, new WorkBudget(WAYS_STEPS))).toBe("many");
});
