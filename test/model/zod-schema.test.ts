import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { planFormat } from "../../src/chat/grammar/plan-grammar.ts";
import { defined } from "../../src/lib/assert.ts";
import { matched } from "../support/grammar-matcher.ts";

/** A schema of zod, values that it takes, and some that it does not. */
type Case = [name: string, schema: z.ZodType, valid: unknown[], invalid: unknown[]];

const strings: Case[] = [
  ["email", z.email(), ["a.b@example.org", "o'neil@example.com"], ["a@b", "a b@example.org"]],
  ["html5 email", z.email({ pattern: z.regexes.html5Email }), ["a@b"], ["a@", "@b"]],
  ["rfc5322 email", z.email({ pattern: z.regexes.rfc5322Email }), ["a@b.de"], ["a@b"]],
  ["unicode email", z.email({ pattern: z.regexes.unicodeEmail }), ["é@ü.de"], ["é"]],
  ["url", z.url(), ["https://example.org/a?b=c"], ["example.org", ""]],
  ["httpUrl", z.httpUrl(), ["https://example.org"], ["", "x"]],
  [
    "uuid",
    z.uuid(),
    ["550e8400-e29b-41d4-a716-446655440000"],
    ["550e8400-e29b-91d4-a716-446655440000"],
  ],
  [
    "uuidv4",
    z.uuidv4(),
    ["550e8400-e29b-41d4-a716-446655440000"],
    ["550e8400-e29b-71d4-a716-446655440000"],
  ],
  [
    "guid",
    z.guid(),
    ["550e8400-e29b-91d4-c716-446655440000"],
    ["550e8400e29b91d4c716446655440000"],
  ],
  ["ipv4", z.ipv4(), ["127.0.0.1"], ["256.0.0.1", "1.2.3"]],
  ["ipv6", z.ipv6(), ["::", "fe80::1", "2001:db8::8a2e:370:7334"], ["fe80:::1", "1:2"]],
  ["cidrv4", z.cidrv4(), ["10.0.0.0/8"], ["10.0.0.0/33"]],
  ["cidrv6", z.cidrv6(), ["fe80::/10"], ["fe80::/129"]],
  ["mac", z.mac(), ["00:1a:2b:3c:4d:5e"], ["00:1a:2b:3c:4d", "00:1A:2b:3c:4d:5e"]],
  ["cuid", z.cuid(), ["cjld2cjxh0000qzrmn831i7rn"], ["a"]],
  ["cuid2", z.cuid2(), ["tz4a98xxat96iws9zmbrgj3a"], ["A"]],
  ["nanoid", z.nanoid(), ["V1StGXR8_Z5jdHi6B-myT"], ["V1StGXR8_Z5jdHi6B-my"]],
  ["ulid", z.ulid(), ["01ARZ3NDEKTSV4RRFFQ69G5FAV"], ["81ARZ3NDEKTSV4RRFFQ69G5FAV"]],
  ["xid", z.xid(), ["9m4e2mr0ui3e8a215n4g"], ["9m4e2mr0ui3e8a215n4z"]],
  ["ksuid", z.ksuid(), ["0ujtsYcgvSTl8PAuAdqWYSMnLOv"], ["0ujtsYcgvSTl8PAuAdqWYSMnLO-"]],
  ["jwt", z.jwt(), [`${btoa('{"alg":"HS256"}').replaceAll("=", "")}.e30.a_b-c`], ["a.b", "a b"]],
  ["emoji", z.emoji(), ["😀", "👍🏽"], ["a", "1"]],
  ["base64", z.base64(), ["", "YWI=", "YWJj"], ["YWI", "YW-_"]],
  ["base64url", z.base64url(), ["YWI", "YW-_"], ["YW+/"]],
  ["e164", z.e164(), ["+491711234567"], ["491711234567", "+0491711234567"]],
  ["hex", z.hex(), ["00fF"], ["0g"]],
  ["hash", z.hash("sha1"), ["a9993e364706816aba3e25717850c26c9cd0d89d"], ["a9993e36"]],
  ["hostname", z.hostname(), ["www.example.org"], ["-a.org", "a b"]],
  ["iso.date", z.iso.date(), ["2024-02-29"], ["2023-02-29", "2024-2-9"]],
  ["iso.time", z.iso.time(), ["10:00", "10:00:00.5"], ["24:00", "10:00Z"]],
  [
    "iso.datetime",
    z.iso.datetime(),
    ["2024-02-29T10:00:00Z"],
    ["2024-02-29T10:00:00+02:00", "2024-02-30T10:00:00Z"],
  ],
  [
    "iso.datetime with offset",
    z.iso.datetime({ offset: true }),
    ["2024-02-29T10:00:00+02:00"],
    ["2024-02-29"],
  ],
  [
    "iso.datetime, local",
    z.iso.datetime({ local: true }),
    ["2024-02-29T10:00:00"],
    ["2024-02-29 10:00"],
  ],
  [
    "iso.datetime to the minute",
    z.iso.datetime({ precision: -1 }),
    ["2024-02-29T10:00Z"],
    ["2024-02-29T10:00:00Z"],
  ],
  [
    "iso.duration",
    z.iso.duration(),
    ["P1Y2M3DT4H5M6S", "PT1H30M", "P2W"],
    ["P", "PT", "P1W2D", "1H"],
  ],
  ["startsWith", z.string().startsWith("ab"), ["ab", "abc"], ["cab"]],
  ["endsWith", z.string().endsWith("ab"), ["ab", "cab"], ["abc"]],
  ["includes", z.string().includes("q"), ["q", "aqa"], ["a"]],
  ["lowercase", z.string().lowercase(), ["aé 1", ""], ["A"]],
  ["uppercase", z.string().uppercase(), ["A 1", ""], ["a"]],
  [
    "several checks",
    z.string().startsWith("ab").endsWith("cd").includes("q").max(8),
    ["abqcd", "ab q cd"],
    ["abcd", "abqc", "ab q   cd"],
  ],
  ["a regex and a length", z.string().regex(/\d/).max(6), ["1", "abc1ab"], ["a", "abc1abc"]],
  ["a url and a length", z.url().max(20), ["https://example.org"], ["https://example.org/a", ""]],
  [
    "an email and a length",
    z.email().min(5).max(50),
    ["ab@example.org"],
    [`${"a".repeat(50)}@example.org`],
  ],
  ["an address of either kind", z.union([z.ipv4(), z.ipv6()]), ["127.0.0.1", "::1"], ["1"]],
  [
    "a template",
    z.templateLiteral(["a-", z.enum(["x", "y"]), z.number()]),
    ["a-x1", "a-y-1.5"],
    ["a-z1", "a-x"],
  ],
];

const node = z.object({
  value: z.int().describe("a number"),
  get next(): z.ZodNullable<typeof node> {
    return z.nullable(node);
  },
});
const kind = <T extends string>(name: T) => z.object({ kind: z.literal(name), x: z.string() });

const shapes: Case[] = [
  ["record", z.record(z.string(), z.number()), [{}, { "a b": 1 }], [{ a: "b" }]],
  ["record of anything", z.record(z.string(), z.unknown()), [{ a: [1] }], [1]],
  [
    "record of short names",
    z.record(z.string().min(1).max(3), z.null()),
    [{ abc: null }],
    [{ "": null }, { abcd: null }],
  ],
  [
    "record of ids",
    z.record(z.uuidv4(), z.null()),
    [{ "550e8400-e29b-41d4-a716-446655440000": null }],
    [{ a: null }],
  ],
  [
    "record of a regex",
    z.record(z.string().regex(/^[a-z]+$/), z.null()),
    [{ ab: null }],
    [{ A: null }],
  ],
  [
    "record of an enum",
    z.record(z.enum(["a", "b"]), z.null()),
    [{ a: null, b: null }],
    [{ a: null }],
  ],
  [
    "partial record",
    z.partialRecord(z.enum(["a", "b"]), z.null()),
    [{}, { b: null }],
    [{ c: null }],
  ],
  ["json", z.json(), [{ a: [1, null, "x"] }, 1], []],
  ["tuple with a rest", z.tuple([z.string()], z.number()), [["a"], ["a", 1, 2]], [["a", "b"], []]],
  [
    "intersection",
    z.object({ a: z.string() }).and(z.object({ b: z.null() })),
    [{ a: "", b: null }],
    [{ a: "" }],
  ],
  [
    "discriminated union",
    z.discriminatedUnion("kind", [kind("a"), kind("b")]),
    [{ kind: "b", x: "" }],
    [{ kind: "c", x: "" }],
  ],
  [
    "discriminated union in another",
    z.discriminatedUnion("kind", [
      kind("a"),
      z.discriminatedUnion("x", [
        z.object({ kind: z.literal("b"), x: z.literal("1") }),
        z.object({ kind: z.literal("b"), x: z.literal("2") }),
      ]),
    ]),
    [
      { kind: "a", x: "3" },
      { kind: "b", x: "2" },
    ],
    [{ kind: "b", x: "3" }],
  ],
  ["recursion", node, [{ value: 1, next: { value: 2, next: null } }], [{ value: 1 }]],
  [
    "default, optional, nullish",
    z.object({ a: z.string().default("x"), b: z.null().optional(), c: z.int().nullish() }),
    [{ a: "y", c: null }],
    [{ a: null }],
  ],
  [
    "remarks",
    z.object({ a: z.string().meta({ title: "A", examples: ["x"], deprecated: true, id: "a" }) }),
    [{ a: "" }],
    [{}],
  ],
  [
    "numbers",
    z.object({ a: z.number().multipleOf(0.01).min(0), b: z.int().max(9) }),
    [{ a: 0.25, b: 9 }],
    [{ a: 0.255, b: 1 }],
  ],
  ["literals", z.literal(["a", 1, null, true]), ["a", 1, null, true], ["b", 2, false]],
];

for (const [group, cases] of Object.entries({ strings, shapes })) {
  describe(`strict mode takes what zod writes for ${group}`, () => {
    test.each(cases)("%s", (_, schema, valid, invalid) => {
      expect(valid.filter((value) => !schema.safeParse(value).success)).toEqual([]);
      expect(invalid.filter((value) => schema.safeParse(value).success)).toEqual([]);
      const plan = planFormat({ kind: "json", schema: z.toJSONSchema(schema), strict: true });
      const { gbnf } = defined(plan.grammar, "a grammar");
      const texts = (values: unknown[]): string[] => values.map((value) => JSON.stringify(value));
      expect(matched(gbnf, texts(valid))).toEqual(texts(valid));
      expect(matched(gbnf, texts(invalid))).toEqual([]);
    });
  });
}

test("a request may hold every string of zod at once", () => {
  const all = z.object(Object.fromEntries(strings.map(([name, schema]) => [name, schema])));
  const { warnings } = planFormat({ kind: "json", schema: z.toJSONSchema(all), strict: true });
  // Labels of up to 63 characters in names of up to 253 are too many places.
  expect(warnings.map(({ pointer }) => pointer)).toEqual(["/properties/hostname/pattern"]);
});
