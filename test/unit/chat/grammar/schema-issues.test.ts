import { expect, test } from "bun:test";
import type { SchemaIssue } from "../../../../src/chat/grammar/schema-check.ts";
import {
  CHECK_STEPS,
  schemaIssues as issuesOf,
} from "../../../../src/chat/grammar/schema-issues.ts";
import { SchemaDocument } from "../../../../src/chat/grammar/schema-source.ts";
import { WorkBudget } from "../../../../src/chat/grammar/work-budget.ts";

const schemaIssues = (schema: unknown, text: string): readonly SchemaIssue[] | null =>
  issuesOf(new SchemaDocument(schema, "format"), text);

/** Steps that the check of a value takes. */
function stepsOf(schema: unknown, value: unknown): number {
  const budget = new WorkBudget(CHECK_STEPS);
  issuesOf(new SchemaDocument(schema, "format"), JSON.stringify(value), budget);
  return CHECK_STEPS - budget.left;
}

const cases: [schema: unknown, value: unknown, broken: string[]][] = [
  [{ type: "integer" }, 1, []],
  [{ type: "integer" }, 1.5, ["/type"]],
  [{ type: ["string", "null"] }, null, []],
  [{ type: "string", nullable: true }, null, []],
  [{ not: { type: "string" } }, "a", ["/not"]],
  [
    { uniqueItems: true },
    [
      { a: 1, b: 2 },
      { b: 2, a: 1 },
    ],
    ["/uniqueItems"],
  ],
  [{ uniqueItems: true }, [1, "1"], []],
  [{ contains: { const: 1 }, minContains: 2 }, [1, 2, 1], []],
  [{ contains: { const: 1 } }, [2], ["/contains"]],
  [{ multipleOf: 0.01 }, 0.07, []],
  [{ multipleOf: 0.3 }, 1, ["/multipleOf"]],
  [{ multipleOf: 2 }, 1_000_000_000_001, ["/multipleOf"]],
  [{ multipleOf: 7 }, -7_000_000_000_007, []],
  [JSON.parse('{"if":{"required":["a"]},"then":{"required":["b"]}}'), { a: 1 }, ["/then"]],
  [{ if: { required: ["a"] }, else: { maxProperties: 0 } }, { b: 1 }, ["/else"]],
  [{ dependentRequired: { a: ["b"] } }, { a: 1 }, ["/dependentRequired"]],
  [{ dependentSchemas: { a: { required: ["c"] } } }, { a: 1 }, ["/dependentSchemas/a"]],
  [{ oneOf: [{ type: "number" }, { minimum: 2 }] }, 3, ["/oneOf"]],
  [{ oneOf: [{ type: "number" }, { minimum: 2 }] }, 1, []],
  [{ minLength: 2 }, "😀", ["/minLength"]],
  [
    { properties: { "a/b": { items: { maximum: 3 } } } },
    { "a/b": [1, 9] },
    ["/properties/a~1b/items/maximum"],
  ],
  [{ additionalProperties: false }, { x: 1 }, ["/additionalProperties"]],
  [{ $defs: { n: { maximum: 1 } }, items: { $ref: "#/$defs/n" } }, [2], ["/items/$ref"]],
  [{ prefixItems: [{ const: 1 }], items: false }, [1, 2], ["/items"]],
  [{ enum: [{ a: [1] }] }, { a: [1] }, []],
  [{ propertyNames: { maxLength: 2 } }, { abc: 1 }, ["/propertyNames"]],
  [{ not: { pattern: "^b" } }, "a", []],
  [{ not: { type: "string", pattern: "^b" } }, 1, []],
  [{ oneOf: [{ pattern: "^a" }, { pattern: "^b" }] }, "a", []],
  [{ oneOf: [{ pattern: "^a" }, { minLength: 1 }, { maxLength: 5 }] }, "a", ["/oneOf"]],
  [{ anyOf: [{ pattern: "^a" }, { type: "null" }] }, "b", ["/anyOf"]],
  [{ anyOf: [{ pattern: "(?<=a)" }, { type: "null" }] }, "b", []],
  [{ not: { pattern: "(?<=a)" } }, "a", []],
  [{ properties: { a: { pattern: "^x" } } }, { a: "y" }, ["/properties/a/pattern"]],
  [{ pattern: "^a*$" }, "b".repeat(1001), []],
  [{ pattern: "^(?!.*x)(?=a)" }, "ab", []],
  [{ pattern: "^(?!.*x)(?=a)" }, "ax", ["/pattern"]],
  [{ not: { format: "telephone" } }, "a", []],
  [{ not: { format: "date" } }, "2024-02-29", ["/not"]],
  [{ format: "date" }, "2023-02-29", ["/format"]],
  [{ format: "email" }, "o'neil@example.com", []],
  [{ format: "time" }, "23:59:60+02:00", []],
  [{ format: "email" }, ":,cacekkkkkkkkkkkk@k", ["/format"]],
  [{ format: "email" }, '"a b"@[192.0.2.1]', []],
  [{ format: "hostname" }, "a-.example", ["/format"]],
  [{ format: "ipv6" }, "1:2", ["/format"]],
  [{ format: "ipv6" }, "::ffff:192.0.2.1", []],
  [{ format: "uri" }, "http://a/%zz", ["/format"]],
  [{ format: "uri" }, "urn:isbn:0451450523", []],
  [{ format: "uri" }, "http://u@[::1]:80/a?b#c", []],
  [{ format: "base64" }, "YQ=", ["/format"]],
  [{ format: "telephone" }, "", []],
  [
    { properties: { a: true }, patternProperties: { "^a": { type: "null" } } },
    { a: 1 },
    ["/patternProperties/^a/type"],
  ],
  [
    { patternProperties: { "^a": { type: "null" } }, additionalProperties: false },
    { ab: null, b: 1 },
    ["/additionalProperties"],
  ],
  [{ patternProperties: { "(?<=a)": false }, additionalProperties: false }, { a: 1 }, []],
  [{ contains: { pattern: "^a" }, maxContains: 1 }, ["b", "c"], ["/contains"]],
  [{ contains: { pattern: "^a" } }, [1], []],
  [JSON.parse('{"if":{"pattern":"^a"},"then":{"minLength":9}}'), "b", []],
  [{ pattern: "^(a+)+$", patternProperties: { "^(a+)+$": false } }, "a".repeat(50), []],
];

test.each(cases)("%j of %j breaks %j", (schema, value, broken) => {
  expect(schemaIssues(schema, JSON.stringify(value))?.map((issue) => issue.schema)).toEqual(broken);
});

test("a broken place is named in the value, too", () => {
  const schema = { items: { properties: { a: { type: "null" } } } };
  expect(schemaIssues(schema, '[{},{"a":1}]')).toEqual([
    { instance: "/1/a", schema: "/items/properties/a/type" },
  ]);
});

test("text that is no JSON has no answer", () => {
  expect(schemaIssues({}, '{"a":')).toBeNull();
});

test("a schema that asks for 2^40 comparisons ends early", () => {
  const definitions = Array.from({ length: 40 }, (_, index) => {
    const next = { $ref: `#/$defs/d${index + 1}` };
    return [`d${index}`, { anyOf: [next, next] }] as const;
  });
  const schema = {
    $ref: "#/$defs/d0",
    $defs: { ...Object.fromEntries(definitions), d40: { type: "null" } },
  };
  expect(schemaIssues(schema, "1")).toBeArray();
});

test("a schema that refers to itself ends early", () => {
  expect(schemaIssues({ allOf: [{ $ref: "#" }] }, "1")).toBeArray();
});

const large = Array.from({ length: 60_000 }, () => ({}));
const numbers = Array.from({ length: 300 }, (_, index) => index);

test.each([
  ["not", { items: { not: { const: large } } }, numbers],
  ["enum", { items: { enum: [large, 1] } }, numbers.map(String)],
  ["a value that is as large", { items: { not: { const: large } } }, [[], [], []]],
])("a constant of 180 kB is written out once at most: %s", (_, schema, values) => {
  expect(stepsOf(schema, values)).toBeLessThan(20_000);
});

test.each([
  ["names that are required", { items: { required: large.map((_, index) => `p${index}`) } }, [{}]],
  ["names that need others", { dependentRequired: Object.fromEntries(large.entries()) }, {}],
  ["a long text", { minLength: 2 }, "x".repeat(900_000)],
  ["a value to write out", { uniqueItems: true }, [large]],
  [
    "texts to try a pattern on",
    { items: { pattern: "^(a*b?)*c$" } },
    Array(99).fill("ab".repeat(400)),
  ],
])("its length counts: %s", (_, schema, value) => {
  expect(stepsOf(schema, value)).toBeGreaterThan(10_000);
});

test("a text is measured once, however many limits it has", () => {
  const limits = Array.from({ length: 100 }, () => ({ minLength: 2 }));
  expect(stepsOf({ allOf: limits }, "x".repeat(100_000))).toBeLessThan(7000);
});
