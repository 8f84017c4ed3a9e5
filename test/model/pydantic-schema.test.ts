import { expect, test } from "bun:test";
import { planFormat } from "../../src/chat/grammar/plan-grammar.ts";
import { defined } from "../../src/lib/assert.ts";
import { matched } from "../support/grammar-matcher.ts";

/** What Pydantic 2.14 writes for a type, values of the type, others, and what is only told. */
type Case = [type: string, schema: object, valid: unknown[], invalid: unknown[], told?: string[]];

const format = (name: string, more: object = {}) => ({ type: "string", format: name, ...more });
const DECIMAL = "^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$";

const cases: Case[] = [
  ["datetime", format("date-time"), ["2024-02-29T10:00:00Z"], ["2024-02-30T10:00:00Z", "now"]],
  ["date", format("date"), ["2024-02-29"], ["2023-02-29"]],
  ["time", format("time"), ["10:00:00Z"], ["25:00:00Z"]],
  ["timedelta", format("duration"), ["P3DT12H30M5S", "PT1H30M", "P2W"], ["1h", "P", "PT"]],
  ["UUID", format("uuid"), ["550e8400-e29b-41d4-a716-446655440000"], ["550e8400"]],
  [
    "UUID4",
    format("uuid4"),
    ["550e8400-e29b-41d4-a716-446655440000"],
    ["550e8400-e29b-11d4-a716-446655440000"],
  ],
  ["EmailStr", format("email"), ["ada@example.org"], ["ada", "a b@example.org"]],
  ["EmailStr, bounded", format("email", { maxLength: 254 }), ["ada@example.org"], ["ada"]],
  ["AnyUrl", format("uri", { minLength: 1 }), ["https://example.org/a"], ["", "example"]],
  [
    "HttpUrl",
    format("uri", { minLength: 1, maxLength: 2083 }),
    ["https://example.org/a?b=c"],
    ["", "example"],
  ],
  ["IPv4Address", format("ipv4"), ["127.0.0.1"], ["127.0.0.256"]],
  ["IPv6Address", format("ipv6"), ["2001:db8::8a2e:370:7334"], ["2001:db8:::1"]],
  ["IPv4Network", format("ipv4network"), ["10.0.0.0/8", "192.168.1.0/24"], ["10.0.0.1/8", "10"]],
  ["IPv4Interface", format("ipv4interface"), ["10.0.0.1/8"], ["10.0.0.1/33"]],
  ["IPvAnyAddress", format("ipvanyaddress"), ["127.0.0.1", "::1"], ["localhost"]],
  ["Base64Str", format("base64"), ["YWI=", ""], ["YWI", "a-"]],
  ["Base64UrlStr", format("base64url"), ["YW-_"], ["YW+/"]],
  ["SecretStr", format("password", { writeOnly: true }), ["x"], [1], ["/format"]],
  ["bytes", format("binary"), ["x"], [1], ["/format"]],
  ["Path", format("path"), ["/tmp"], [1], ["/format"]],
  ["Json", { type: "string", contentMediaType: "application/json", contentSchema: {} }, ["1"], [1]],
  [
    "Decimal",
    { anyOf: [{ type: "number" }, { type: "string", pattern: DECIMAL }] },
    [1.5, "1.5", "-0.25", "+3."],
    ["", ".", "1e5", "-"],
  ],
  [
    "a string with strip, lower case and lengths",
    { type: "string", minLength: 2, maxLength: 4, pattern: "^[a-z]" },
    ["ab", "a1-!"],
    ["a", "Ab", "abcde"],
  ],
  [
    "set[str]",
    { type: "array", items: { type: "string" }, uniqueItems: true },
    [["a", "b"]],
    [[1]],
    ["/uniqueItems"],
  ],
  [
    "dict[UUID, int]",
    { type: "object", propertyNames: format("uuid"), additionalProperties: { type: "integer" } },
    [{}, { "550e8400-e29b-41d4-a716-446655440000": 1 }],
    [{ a: 1 }],
  ],
  [
    "a model with an enum, an optional and a default",
    {
      $defs: { Color: { enum: ["red", "blue"], title: "Color", type: "string" } },
      properties: {
        color: { $ref: "#/$defs/Color", description: "of the thing", default: "red" },
        size: { anyOf: [{ exclusiveMaximum: 10, minimum: 0, type: "integer" }, { type: "null" }] },
        price: { exclusiveMinimum: 0, multipleOf: 0.01, title: "Price", type: "number" },
      },
      required: ["size", "price"],
      additionalProperties: false,
      title: "Thing",
      type: "object",
    },
    [{ color: "blue", size: null, price: 0.99 }],
    [
      { color: "green", size: 1, price: 1 },
      { size: 10, price: 1 },
      { size: 1, price: 0.001 },
    ],
  ],
];

test.each(cases)(
  "strict mode takes what Pydantic writes for %s",
  (_, schema, valid, invalid, told = []) => {
    const { grammar, warnings } = planFormat({ kind: "json", schema, strict: true });
    const { gbnf } = defined(grammar, "a grammar");
    const texts = (values: unknown[]): string[] => values.map((value) => JSON.stringify(value));
    expect(matched(gbnf, texts(valid))).toEqual(texts(valid));
    expect(matched(gbnf, texts(invalid))).toEqual([]);
    expect(warnings.map(({ pointer }) => pointer)).toEqual(told);
  },
);
