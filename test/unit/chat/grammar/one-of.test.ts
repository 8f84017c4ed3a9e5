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

const open = (name: string, more: object = {}) => ({
  type: "object",
  properties: { [name]: { type: "string" } },
  required: [name],
  ...more,
});

/** Says what properties an object has, not that it is one. */
const untyped = (name: string) => ({
  properties: { [name]: { type: "string" } },
  required: [name],
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
  [
    "a kind, in a union of unions",
    {
      oneOf: [
        shape("a"),
        { oneOf: [shape("b", { j: { const: 1 } }), { $ref: "#/$defs/c" }], title: "inner" },
        { $ref: "#/$defs/d" },
      ],
      $defs: { c: shape("c"), d: { anyOf: [shape("d"), { type: "null" }] } },
    },
  ],
  ["names that the other may not have", { oneOf: [closed("a"), closed("b")] }],
  ["names, where the grammar writes only declared ones", { oneOf: [open("a"), open("b")] }],
  [
    "required names and a kind with a default",
    {
      oneOf: [
        { type: "object", properties: { t: { const: "c", default: "c" }, n: {} }, required: ["n"] },
        { type: "object", properties: { t: { const: "d", default: "d" }, m: {} }, required: ["m"] },
      ],
    },
  ],
  [
    "names that only one of two parts declares",
    {
      description: "x",
      properties: { id: { type: "integer" } },
      required: ["id"],
      oneOf: [{ $ref: "#/$defs/a" }, { allOf: [open("b")] }],
      $defs: { a: open("a") },
    },
  ],
  ["required names", { oneOf: [{ required: ["a"] }, { required: ["b"] }] }],
  ["names, of objects without a type", { oneOf: [untyped("a"), untyped("b")] }],
  [
    "a property that names the kind, of objects without a type",
    { oneOf: ["a", "b", "c"].map((kind) => ({ ...shape(kind), type: undefined })) },
  ],
  ["names beside a type that only one of two has", { oneOf: [open("a"), untyped("b")] }],
  [
    "ranges",
    {
      oneOf: [
        { type: "integer", minimum: 0, maximum: 5 },
        { type: "number", minimum: 10 },
        { type: "integer", exclusiveMinimum: 5, maximum: 10, exclusiveMaximum: true },
      ],
    },
  ],
  [
    "ranges, beside the type",
    { type: "number", oneOf: [{ minimum: 3 }, { exclusiveMaximum: 3, minimum: 0 }] },
  ],
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
  [
    "names that only differ in what is required",
    ["a", "b"].map((name) => ({ ...open("a"), ...open("b"), required: [name] })),
  ],
  ["names where others are allowed", [open("a", { additionalProperties: true }), open("b")]],
  ["names that a pattern gives", [open("a", { patternProperties: { "^x": {} } }), open("b")]],
  ["names of an alternative", [{ ...open("a"), anyOf: [{ required: ["b"] }, {}] }, open("b")]],
  ["an alternative without names", [{ type: "object", anyOf: [{}, open("a")] }, open("b")]],
  ["listed objects", [{ enum: [{ a: "x", b: "y" }], ...open("a") }, open("b")]],
  [
    "numbers or objects in both",
    ["a", "b"].map((kind) => ({ ...shape(kind), type: ["object", "integer"] })),
  ],
  [
    "ranges of what need not be a number",
    [{ type: ["string", "number"], maximum: 5 }, { minimum: 10 }],
  ],
  ["equal objects", [{ const: { a: 1, b: 2 } }, { const: { b: 2, a: 1 } }]],
  ["a type, and properties of what need not be an object", [{ type: "integer" }, untyped("a")]],
  ["values, and properties of what need not be an object", [{ enum: ["a"] }, untyped("a")]],
  ["numbers, and lists of what need not be one", [{ type: "number" }, { items: {} }]],
];

test.each(overlapping)("oneOf with %s is reported", (_, oneOf) => {
  expect(reported({ oneOf })).toEqual(["/oneOf"]);
  expect(
    reported({ description: "x", type: ["integer", "number", "string", "object"], oneOf }),
  ).toEqual(["/oneOf"]);
});

test.each([
  ["more names", { properties: { b: { type: "string" } } }],
  ["any name", { additionalProperties: true }],
  ["names by a pattern", { patternProperties: { "^b": true } }],
  ["another name in an alternative", { anyOf: [{ required: ["b"] }, { minProperties: 1 }] }],
])("oneOf beside what allows %s is reported", (_, beside) => {
  const schema = { type: "object", ...beside, oneOf: [open("a"), open("b")] };
  expect(reported(schema)).toContain("/oneOf");
  const nested = { allOf: [{ oneOf: schema.oneOf }, { ...schema, oneOf: undefined }] };
  expect(reported(nested)).toContain("/allOf/0/oneOf");
});

test.each([
  ["values", { enum: ["a", ["a"], 1] }],
  ["values of an alternative", { anyOf: [{ enum: ["a"] }, { type: "object" }] }],
])("oneOf beside properties without a type, and %s, is reported", (_, beside) => {
  const schema = { ...open("a"), type: undefined, ...beside };
  const oneOf = [{ required: ["a"] }, { properties: { a: { const: 1 } } }];
  expect(reported({ ...schema, oneOf })).toContain("/oneOf");
});

test("a member that says nothing, beside properties without a type, satisfies what others do", () => {
  expect(reported({ properties: {}, oneOf: [{}, { type: "integer" }] })).toEqual(["/oneOf"]);
});

test("a schema of 100^8 ways is read once, and counts as overlapping", () => {
  const levels = Array.from({ length: 8 }, (_, level) => {
    const next = level === 7 ? { type: "string" } : { $ref: `#/$defs/d${level + 1}` };
    return [`d${level}`, { allOf: Array.from({ length: 100 }, () => ({ ...next })) }] as const;
  });
  const list = [{ $ref: "#/$defs/d0" }, { $ref: "#/$defs/d0" }];
  const schema = { $defs: Object.fromEntries(levels), oneOf: list };
  const members = list.map((member, index) => ({ schema: member, pointer: `/oneOf/${index}` }));
  const budget = new WorkBudget(20_000);
  const union = { list, members, beside: [] };
  expect(areExclusive(union, new SchemaDocument(schema, "format"), budget)).toBeFalse();
  expect(budget.left).toBeGreaterThan(1000);
});

test("a spent budget counts as overlapping", () => {
  const list = [open("a"), open("b")];
  const members = list.map((member, index) => ({ schema: member, pointer: `/oneOf/${index}` }));
  const document = new SchemaDocument({ oneOf: list }, "format");
  const union = { list, members, beside: [] };
  expect(areExclusive(union, document, new WorkBudget(200))).toBeTrue();
  expect(areExclusive(union, document, new WorkBudget(20))).toBeFalse();
});
