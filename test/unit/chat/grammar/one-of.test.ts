import { expect, test } from "bun:test";
import { areExclusive } from "../../../../src/chat/grammar/one-of.ts";
import { schemaGrammar } from "../../../../src/chat/grammar/schema-grammar.ts";
import { SchemaDocument } from "../../../../src/chat/grammar/schema-source.ts";
import { WorkBudget } from "../../../../src/chat/grammar/work-budget.ts";

const reported = (schema: unknown): string[] =>
  schemaGrammar(schema, "format").unsupported.map(({ pointer }) => pointer);

const shape = (kind: string, more: object = {}) => ({
  type: "object",
  properties: { kind: { const: kind }, ...more },
  required: ["kind"],
});
const closed = (name: string) => ({
  type: "object",
  properties: { [name]: { type: "string" } },
  required: [name],
  additionalProperties: false,
});

const exclusive: [name: string, schema: object][] = [
  ["types", { oneOf: [{ type: "string" }, { type: ["integer", "null"] }, { type: "array" }] }],
  ["values", { oneOf: [{ const: "a", title: "A" }, { enum: ["b", 1] }] }],
  [
    "a thousand values",
    { oneOf: Array.from({ length: 1000 }, (_, index) => ({ const: `value ${index}` })) },
  ],
  ["a property that names the kind", { oneOf: [shape("a"), shape("b", { x: {} }), shape("c")] }],
  [
    "a property that names the kind of a hundred",
    { oneOf: Array.from({ length: 100 }, (_, index) => shape(`k${index}`)) },
  ],
  [
    "a kind that one of two requires",
    { oneOf: [shape("a"), { type: "object", properties: { kind: { enum: ["b", "c"] } } }] },
  ],
  [
    "a kind behind references",
    {
      oneOf: [{ $ref: "#/$defs/a" }, { $ref: "#/$defs/b" }, { type: "null" }],
      $defs: {
        a: { type: "object", properties: { kind: { $ref: "#/$defs/kind" } }, required: ["kind"] },
        b: { allOf: [shape("b"), { properties: { x: { $ref: "#" } } }] },
        kind: { const: "a" },
      },
    },
  ],
  ["names that the other may not have", { oneOf: [closed("a"), closed("b")] }],
  ["one member", { oneOf: [{ minLength: 3 }] }],
  [
    "types, beside other keywords",
    { title: "t", minLength: 1, oneOf: [{ type: "string" }, { type: "null" }] },
  ],
];

test.each(exclusive)("oneOf whose members differ by %s is enforced", (_, schema) => {
  expect(reported(schema)).toEqual([]);
});

const overlapping: [name: string, oneOf: object[]][] = [
  ["integers and numbers", [{ type: "integer" }, { type: "number" }]],
  ["a value in two lists", [{ enum: ["a", "b"] }, { enum: ["b"] }]],
  ["a value and its type", [{ const: "a" }, { type: "string" }]],
  [
    "bounds that overlap",
    [
      { type: "integer", minimum: 0 },
      { type: "integer", maximum: 10 },
    ],
  ],
  [
    "a kind that none requires",
    [
      { type: "object", properties: { kind: { const: "a" } } },
      { type: "object", properties: { kind: { const: "b" } } },
    ],
  ],
  ["names that only differ in what is required", [{ required: ["a"] }, { required: ["b"] }]],
  ["equal objects", [{ const: { a: 1, b: 2 } }, { const: { b: 2, a: 1 } }]],
];

test.each(overlapping)("oneOf with %s is reported", (_, oneOf) => {
  expect(reported({ oneOf })).toEqual(["/oneOf"]);
  expect(
    reported({ description: "x", type: ["integer", "number", "string", "object"], oneOf }),
  ).toEqual(["/oneOf"]);
});

test("a schema that asks for 100^8 comparisons ends early, and counts as overlapping", () => {
  const levels = Array.from({ length: 8 }, (_, level) => {
    const next = level === 7 ? { type: "string" } : { $ref: `#/$defs/d${level + 1}` };
    return [`d${level}`, { allOf: Array.from({ length: 100 }, () => next) }] as const;
  });
  const member = { $ref: "#/$defs/d0" };
  const schema = { $defs: Object.fromEntries(levels), oneOf: [member, member] };
  const located = [0, 1].map((index) => ({ schema: member, pointer: `/oneOf/${index}` }));
  const budget = new WorkBudget(1000);
  expect(areExclusive(located, new SchemaDocument(schema, "format"), budget)).toBeFalse();
  expect(budget.left).toBe(0);
});
