import { expect, test } from "bun:test";
import { schemaGrammar } from "../../../../src/chat/grammar/schema-grammar.ts";
import { LmError } from "../../../../src/lib/errors.ts";

/** What becomes of a schema: the message of its refusal, or null when it is converted. */
function refusal(schema: unknown): string | null {
  try {
    const { gbnf } = schemaGrammar(schema, "format");
    expect(gbnf.length).toBeLessThanOrEqual(256 * 1024 + 16);
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(LmError);
    expect((error as LmError).code).toBe("invalid_request");
    expect((error as LmError).details).toEqual({ param: "format", reason: "invalid_json_schema" });
    return (error as LmError).message;
  }
}

function nested(levels: number, wrap: (inner: unknown) => unknown): unknown {
  let schema: unknown = { type: "string" };
  for (let level = 0; level < levels; level++) schema = wrap(schema);
  return schema;
}

function numbered(count: number, make: (index: number) => [string, unknown]): object {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => make(index)));
}

const chain = (branch: (next: object) => unknown) => ({
  $ref: "#/$defs/d0",
  $defs: numbered(60, (index) => [
    `d${index}`,
    index === 59 ? { type: "string" } : branch({ $ref: `#/$defs/d${index + 1}` }),
  ]),
});

const refused: [name: string, schema: unknown, message: RegExp][] = [
  ["a reference to itself", { $ref: "#" }, /begins with itself/],
  [
    "references in a ring",
    { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } } },
    /begins with itself/,
  ],
  ["allOf of itself", { type: "object", allOf: [{ $ref: "#" }] }, /refers to itself/],
  ["an alternative of itself", { anyOf: [{ $ref: "#" }, { type: "null" }] }, /begins with itself/],
  [
    "a value that never ends",
    { type: "object", required: ["a"], properties: { a: { $ref: "#" } } },
    /never ends/,
  ],
  ["a reference to another host", { $ref: "https://example.com/schema" }, /another document/],
  ["a reference to a file", { $ref: "file:///etc/passwd" }, /another document/],
  ["a reference into nothing", { $ref: "#/$defs/none" }, /leads nowhere/],
  ["a reference to a prototype", { $ref: "#/constructor" }, /leads nowhere/],
  ["a reference that is no URI", { $ref: "#/%zz" }, /not a URI fragment/],
  ["a reference that is no text", { $ref: 5 }, /not a string/],
  ["65 levels of arrays", nested(65, (items) => ({ type: "array", items })), /64 levels/],
  ["10,000 levels", nested(10_000, (items) => ({ type: "array", items })), /64 levels/],
  ["doubling alternatives", nested(40, (inner) => ({ anyOf: [inner, inner] })), /1 MiB/],
  ["a doubling chain of references", chain((next) => ({ anyOf: [next, { items: next }] })), /./],
  [
    "a product of alternatives",
    {
      allOf: numberedList(40, (index) => ({ anyOf: [{ minLength: index }, { maxLength: index }] })),
    },
    /1,024 alternatives/,
  ],
  ["100,000 alternatives", { anyOf: numberedList(100_000, (value) => ({ const: value })) }, /./],
  ["100,000 values of text", { enum: numberedList(100_000, (index) => `value ${index}`) }, /./],
  ["30,000 properties", { properties: numbered(30_000, (index) => [`p${index}`, {}]) }, /./],
  ["a megabyte of text", { description: "x".repeat(1024 * 1024) }, /1 MiB/],
  ["no schema", 7, /must be an object or a boolean/],
  ["a list", [], /must be an object or a boolean/],
  ["nothing allowed", false, /never be satisfied/],
  ["contradicting bounds", { type: "integer", minimum: 3, maximum: 2 }, /never be satisfied/],
  ["contradicting types", { allOf: [{ type: "null" }, { type: "string" }] }, /never be satisfied/],
  ["an unknown type", { properties: { a: { type: "text" } } }, /\/properties\/a\/type/],
  ["a wrong keyword", { type: "array", items: { minItems: -1 } }, /\/items\/minItems/],
  ["enum that is no list", { enum: "a" }, /\/enum/],
  ["anyOf that is no list", { anyOf: {} }, /\/anyOf/],
  ["properties that are no schemas", { properties: { a: 1 } }, /\/properties\/a/],
];

function numberedList(count: number, make: (index: number) => unknown): unknown[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

test.each(refused)("refused with a reason: %s", (_, schema, message) => {
  expect(refusal(schema)).toMatch(message);
});

const converted: [name: string, schema: unknown][] = [
  ["a shared chain of properties", nestedShared()],
  ["counts without sense", { type: "array", items: {}, maxItems: 1e9, minItems: 1e6 }],
  ["a length without sense", { type: "string", maxLength: 1e15 }],
  ["a pattern that explodes in a backtracker", { type: "string", pattern: "^(a+)+(b|b)*$" }],
  ["nested counts", { type: "string", pattern: "^((((a{1,1000}){1,1000}){1,1000}){1,1000})$" }],
  ["10,000 values", { enum: numberedList(10_000, (index) => `value ${index}`) }],
  ["64 levels", nested(63, (items) => ({ type: "array", items }))],
  [
    "a name of 1,000 characters",
    { properties: { ["k".repeat(1000)]: {} }, additionalProperties: {} },
  ],
  [
    "__proto__ everywhere",
    JSON.parse(
      '{"__proto__":{"type":"integer"},"$defs":{"__proto__":{}},"properties":{"__proto__":{"$ref":"#/$defs/__proto__"},"constructor":{},"toString":{}}}',
    ),
  ],
];

/** The same object at 2^40 places. */
function nestedShared(): unknown {
  return {
    $ref: "#/$defs/d0",
    $defs: numbered(30, (index) => [
      `d${index}`,
      index === 29
        ? { type: "string" }
        : {
            properties: {
              a: { $ref: `#/$defs/d${index + 1}` },
              b: { $ref: `#/$defs/d${index + 1}` },
            },
          },
    ]),
  };
}

test.each(converted)("converted within the limits: %s", (_, schema) => {
  expect(refusal(schema)).toBeNull();
});

test("a subschema that a conjunction names a million times says what it says once", () => {
  const leaf = { type: "integer", minimum: 1, maximum: 1_000_000 };
  const ways = (inner: string) => ({ allOf: [{ $ref: inner }, { title: "again", $ref: inner }] });
  const $defs = numbered(26, (level) => [
    `d${level}`,
    level === 25 ? leaf : ways(`#/$defs/d${level + 1}`),
  ]);
  const tower = schemaGrammar({ $ref: "#/$defs/d0", $defs }, "format");
  expect(tower).toEqual(schemaGrammar(leaf, "format"));
});

test("what one alternative satisfies is not taken for what another does", () => {
  const [a, b] = [{ minLength: 3 }, { maxLength: 5 }];
  const $defs = { a, b };
  const [toA, toB] = [{ $ref: "#/$defs/a" }, { $ref: "#/$defs/b" }];
  const schema = { type: "string", anyOf: [toA, toB], allOf: [toA], $defs };
  const plain = { type: "string", anyOf: [{ minLength: 3 }, { minLength: 3, maxLength: 5 }] };
  expect(schemaGrammar(schema, "format").gbnf).toBe(schemaGrammar(plain, "format").gbnf);
});

test("no schema changes the prototypes of the program", () => {
  for (const prototype of [Object.prototype, Array.prototype, Function.prototype]) {
    expect(Object.keys(prototype)).toEqual([]);
    expect(Object.hasOwn(prototype, "type")).toBe(false);
  }
});
