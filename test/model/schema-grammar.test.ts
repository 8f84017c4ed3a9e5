import { describe, expect, test } from "bun:test";
import { schemaGrammar } from "../../src/chat/grammar/schema-grammar.ts";
import { matched } from "../support/grammar-matcher.ts";
import { sharedPath } from "../support/shared.ts";

/** The texts a schema's grammar must match and those it must not, by llama.cpp's own matcher. */
interface Case {
  name: string;
  schema: unknown;
  accepts: readonly string[];
  refuses: readonly string[];
  /** Pointers of keywords that are reported as not enforced. */
  unsupported?: readonly string[];
}

const tables: Record<string, readonly Case[]> = {
  "listed values and what stands beside the list": [
    {
      name: "multiples",
      schema: { enum: [3, 4, 6, 0.3], multipleOf: 3 },
      accepts: ["3", "6"],
      refuses: ["4", "0.3"],
    },
    {
      name: "lengths and items of arrays",
      schema: {
        enum: [[1], [1, 2], [1, "x"], [1, 2, 3, 4]],
        minItems: 2,
        maxItems: 3,
        items: { type: "integer" },
      },
      accepts: ["[1,2]"],
      refuses: ["[1]", '[1,"x"]', "[1,2,3,4]"],
    },
    {
      name: "members of objects",
      schema: {
        enum: [{ a: 1 }, { a: "x" }, { b: 2 }, { a: 1, c: 3 }, { a: 1, b: 2 }],
        properties: { a: { type: "integer" }, b: { maximum: 1 } },
        required: ["a"],
        additionalProperties: false,
      },
      accepts: ['{"a":1}'],
      refuses: ['{"a":"x"}', '{"b":2}', '{"a":1,"c":3}', '{"a":1,"b":2}'],
    },
    {
      name: "names and numbers of members",
      schema: {
        enum: [{}, { a: 1 }, { abc: 1 }],
        minProperties: 1,
        propertyNames: { maxLength: 2 },
      },
      accepts: ['{"a":1}'],
      refuses: ["{}", '{"abc":1}'],
    },
    {
      name: "patterns; who lists a value vouches for its format",
      schema: {
        properties: {
          a: { enum: ["bbbb", "a"], pattern: "^a$" },
          b: { enum: ["2020-01-01"], format: "date" },
          c: { enum: ["abc", 5], minLength: 4, pattern: "^a" },
          d: { type: "string", format: "enum", enum: ["A", "B"] },
        },
      },
      accepts: ['{"a":"a","b":"2020-01-01","c":5,"d":"B"}'],
      refuses: ['{"c":"abc"}', '{"a":"bbbb"}', '{"d":"C"}'],
    },
    {
      name: "patterns inside",
      schema: {
        enum: [{ a: "x" }, { a: "xxxx" }, { a: "y" }, { b: "x" }, { b: "z", d: "2020" }],
        properties: { a: { pattern: "^x", maxLength: 2 }, d: { format: "date" } },
        patternProperties: { "^b": { pattern: "z" } },
        additionalProperties: false,
      },
      accepts: ['{"a":"x"}', '{"b":"z","d":"2020"}'],
      refuses: ['{"a":"xxxx"}', '{"a":"y"}', '{"b":"x"}'],
    },
    {
      name: "names that no declaration and no pattern covers",
      schema: {
        enum: [{ ab: 1 }, { c: 1 }, { c: null }],
        patternProperties: { "^a": { type: "integer" } },
        additionalProperties: { type: "null" },
        propertyNames: { pattern: "^[a-c]+$" },
      },
      accepts: ['{"ab":1}', '{"c":null}'],
      refuses: ['{"c":1}'],
    },
    {
      name: "patterns that cannot be decided are reported where a string is left",
      schema: {
        properties: {
          a: { enum: ["a", "bbbb"], pattern: "(?<=a)", maxLength: 2 },
          b: { enum: ["abc", 5], minLength: 4, pattern: "(?<=a)" },
          c: { enum: [{ x: "y" }], patternProperties: { "(?<=x)": true } },
          d: { enum: [{ x: "y" }], properties: { x: { not: { format: "date" } } } },
        },
      },
      accepts: ['{"a":"a","b":5,"c":{"x":"y"},"d":{"x":"y"}}'],
      refuses: ['{"a":"bbbb"}', '{"b":"abc"}'],
      unsupported: [
        "/properties/a/pattern",
        "/properties/c/patternProperties/(?<=x)",
        "/properties/d/properties/x/not",
      ],
    },
    {
      name: "alternatives inside are decided",
      schema: {
        enum: [{ a: 1 }, { a: null }, { a: 2.5 }],
        properties: { a: { oneOf: [{ type: "integer" }, { type: "number" }, { type: "null" }] } },
      },
      accepts: ['{"a":null}', '{"a":2.5}'],
      refuses: ['{"a":1}'],
    },
  ],
  strings: [
    {
      name: "any string, with each kind of escape",
      schema: { type: "string" },
      accepts: ['""', '"é 漢 😀"', '"\\n\\"\\u00e9"', '"\\ud83d\\ude00"'],
      refuses: ['"\n"', '"\\x"', '"\\ud83d"', '"\\ude00x"', "'a'", '"a'],
    },
    {
      name: "length counts code points, however they are written",
      schema: { type: "string", minLength: 2, maxLength: 2 },
      accepts: ['"😀é"', '"\\ud83d\\ude00\\n"'],
      refuses: ['"😀"', '"\\ud83d\\ude00"', '"abc"'],
    },
    {
      name: "lengths beyond what llama.cpp repeats at once",
      schema: { type: "string", minLength: 2500, maxLength: 5001 },
      accepts: [2500, 3999, 4000, 5000, 5001].map((length) => `"${"x".repeat(length)}"`),
      refuses: [0, 2499, 5002, 6000].map((length) => `"${"x".repeat(length)}"`),
    },
    {
      name: "pattern with classes, groups, alternatives and counts",
      schema: { type: "string", pattern: "^(\\d{3}-|[A-F]+?)(?:x|\\w\\s)?$" },
      accepts: ['"123-"', '"ABx"', '"C_ "', '"D9\\t"'],
      refuses: ['"12-"', '"123-y"', '"abc"', '""'],
    },
    {
      name: "pattern whose alternatives have anchors of their own",
      schema: { type: "string", pattern: "^a|b$" },
      accepts: ['"axx"', '"xxb"'],
      refuses: ['"xxa"', '"bxx"'],
    },
    {
      name: "negated classes and the dot keep JSON's own quoting",
      schema: { type: "string", pattern: '^[^a-z].["\\\\/]\\D$' },
      accepts: ['"A😀\\"x"', '"\\"\\"\\\\!"', '"0./é"'],
      refuses: ['"a./x"', '"A"./x"', '"A.\\\\9"'],
    },
    {
      name: "pattern with unicode escapes",
      schema: { type: "string", pattern: "^\\u00e9\\x41\\u{1F600}\\.$" },
      accepts: ['"éA😀."'],
      refuses: ['"eA😀."', '"éA😀x"'],
    },
    {
      name: "a repeated group that may be empty",
      schema: { type: "string", pattern: "^(a|b?)*c$" },
      accepts: ['"c"', '"aabac"'],
      refuses: ['"a"', '"dc"'],
    },
    {
      name: "pattern and length together",
      schema: { type: "string", pattern: "^[a-z_]+$", maxLength: 3 },
      accepts: ['"a"', '"a_z"'],
      refuses: ['""', '"abcd"'],
    },
    {
      name: "look-behind is reported, and the length still holds",
      schema: { type: "string", pattern: "(?<=a)", maxLength: 1 },
      accepts: ['"b"'],
      refuses: ['"bc"'],
      unsupported: ["/pattern"],
    },
    {
      name: "look-ahead, wanted and unwanted, with a length",
      schema: {
        type: "string",
        pattern: "^(?=.*\\d)(?!.*(.x|y$))\\w+",
        minLength: 2,
        maxLength: 4,
      },
      accepts: ['"a1"', '"x1yz"', '"ab_2"'],
      refuses: ['"ab"', '"1"', '"1ax"', '"a1y"', '"abcd1"', '" 1"'],
    },
    {
      name: "look-ahead in a repeated group, where it ends within the group",
      schema: { type: "string", pattern: "^(?:(?![aeiou])[a-z])+$" },
      accepts: ['"rhythm"'],
      refuses: ['"rhyme"', '""'],
    },
    {
      name: "anchors and names of groups as Python writes them",
      schema: { type: "string", pattern: "\\A(?P<year>\\d{4})\\Z" },
      accepts: ['"2024"'],
      refuses: ['"20245"', '"A2024Z"'],
    },
    {
      name: "an anchor in one alternative only",
      schema: { type: "string", pattern: "(^|,)a(,|$)" },
      accepts: ['"a"', '"b,a"', '"a,b"', '"b,a,c"'],
      refuses: ['"ba"', '"ab"', '"b,ab"', '""'],
    },
    {
      name: "several patterns, a format and a length at once",
      schema: {
        type: "string",
        format: "email",
        maxLength: 20,
        allOf: [{ pattern: "^info" }, { pattern: "@example\\.(com|org)$" }],
      },
      accepts: ['"info@example.com"', '"info.de@example.org"'],
      refuses: [
        '"sales@example.com"',
        '"info@example.net"',
        '"info-and-more@example.com"',
        '"info x@example.com"',
      ],
    },
    ...(
      [
        ["email", 20, "ada@example.org", ":,cacekkkkkkkkkkkk@k"],
        ["email", 100, "ada@example.org", `${"a".repeat(70)}@b.de`],
        ["hostname", 20, "a-b.example", "a-.example"],
        ["hostname", 200, "a-b.example", "a".repeat(64)],
        ["ipv6", 20, "fe80::1", "1:2"],
        ["uri", 20, "https://a.org/b?c=d", "a:%"],
        ["time", 12, "10:00:00Z", "10:00"],
        ["date-time", 22, "2024-02-29T10:00:00Z", "2024-02-29 10:00"],
        ["duration", 5, "PT1H", "P1Y2W"],
      ] as const
    ).map(([format, maxLength, valid, invalid]) => ({
      name: `${format} of up to ${maxLength} characters`,
      schema: { type: "string", format, maxLength },
      accepts: [JSON.stringify(valid)],
      refuses: [JSON.stringify(invalid), JSON.stringify(valid.padEnd(maxLength + 1, "0"))],
    })),
    {
      name: "a format beside a pattern that says less",
      schema: { type: "string", format: "email", pattern: "^[^\\s@]+@[^\\s@]+$" },
      accepts: ['"o\'neil@example.org"', '"\u00e9@\u00fc.de"'],
      refuses: ['":,a@k"', '"a..b@c.de"', '"a@-b.de"'],
    },
    {
      name: "a format of which no text has that length",
      schema: { type: "string", format: "time", maxLength: 5 },
      accepts: ['"10:00:00Z"'],
      refuses: ['"10:00"'],
      unsupported: ["/maxLength"],
    },
    {
      name: "four look-aheads and a length",
      schema: {
        type: "string",
        pattern: "^(?=.*[a-z])(?=.*[A-Z])(?=.*\\d)(?=.*[@$!%*?&])[A-Za-z\\d@$!%*?&]{8,64}$",
      },
      accepts: ['"aB3$aB3$"'],
      refuses: ['"aB3aB3aB3"', '"aB3$"', `"aB3$${"a".repeat(61)}"`],
    },
    {
      name: "a format beside a pattern that cannot be expressed",
      schema: { type: "string", format: "date", pattern: "(?<=a)" },
      accepts: ['"2024-02-29"'],
      refuses: ['"2023-02-29"'],
      unsupported: ["/pattern"],
    },
    {
      name: "what a pattern says of a format goes before what we know of it",
      schema: { type: "string", format: "date", pattern: "^\\d\\d/\\d\\d$" },
      accepts: ['"24/12"'],
      refuses: ['"2024-02-29"'],
      unsupported: ["/format"],
    },
    {
      name: "a length that a format keeps anyway, and one that takes too many places to count",
      schema: {
        anyOf: [
          { type: "string", format: "uri", minLength: 1, maxLength: 2083 },
          { type: "string", pattern: "^<[a-z]+ [a-z]+$", minLength: 4, maxLength: 5000 },
        ],
      },
      accepts: ['"https://a.org"', '"<a b"'],
      refuses: ['""', '"<ab"'],
      unsupported: ["/anyOf/1/maxLength"],
    },
    {
      name: "patterns that no text keeps together",
      schema: {
        anyOf: [
          { type: "null" },
          { type: "string", allOf: [{ pattern: "^a" }, { pattern: "^b" }] },
        ],
      },
      accepts: ["null"],
      refuses: ['"a"', '"ab"'],
    },
    {
      name: "dates that exist",
      schema: { type: "string", format: "date" },
      accepts: ['"2024-02-29"', '"2000-02-29"', '"1999-12-31"'],
      refuses: ['"2023-02-29"', '"1900-02-29"', '"2024-04-31"', '"2024-00-10"', '"24-01-01"'],
    },
    {
      name: "times with an offset",
      schema: { type: "string", format: "time" },
      accepts: ['"23:59:59Z"', '"00:00:00.123+02:00"'],
      refuses: ['"24:00:00Z"', '"10:00"', '"10:00:60Z"'],
    },
    {
      name: "addresses",
      schema: {
        anyOf: ["ipv4", "ipv6", "email", "uri"].map((format) => ({ type: "string", format })),
      },
      accepts: [
        '"192.168.0.255"',
        '"fe80::1"',
        '"1:2:3:4:5:6:7:8"',
        '"a.b+c@d-e.org"',
        '"https://x.org:80/a?b=c"',
      ],
      refuses: ['"256.1.1.1"', '"1.2.3"', '"a@b"', '"x y"', '"fe80:::1"'],
    },
    {
      name: "an unknown format is reported",
      schema: { type: "string", format: "telephone" },
      accepts: ['"anything"'],
      refuses: ["1"],
      unsupported: ["/format"],
    },
  ],
  numbers: [
    {
      name: "integer range across zero and lengths",
      schema: { type: "integer", minimum: -12, exclusiveMaximum: 105 },
      accepts: ["-12", "-9", "0", "7", "99", "100", "104"],
      refuses: ["-13", "-20", "105", "110", "1000", "1.0", "01", "1e2"],
    },
    {
      name: "integer with one side open",
      schema: { type: "integer", exclusiveMinimum: 99 },
      accepts: ["100", "101", "200", "1000", "9999999999999999"],
      refuses: ["99", "0", "-100", "12345678901234567"],
    },
    {
      name: "integer with only a negative maximum",
      schema: { type: "integer", maximum: -5 },
      accepts: ["-5", "-10", "-999"],
      refuses: ["-4", "0", "5"],
    },
    {
      name: "bounds that are no integers",
      schema: { type: "integer", minimum: 0.5, maximum: 2.5 },
      accepts: ["1", "2"],
      refuses: ["0", "3"],
    },
    {
      name: "multiples of a number coprime to ten",
      schema: { type: "integer", multipleOf: 7, minimum: 0 },
      accepts: ["0", "7", "14", "7000", "1001"],
      refuses: ["1", "13", "7001", "-7"],
    },
    {
      name: "multiples in a range, of an awkward number",
      schema: { type: "integer", multipleOf: 1009, minimum: -1009, maximum: 3000 },
      accepts: ["-1009", "0", "1009", "2018"],
      refuses: ["3027", "5"],
    },
    {
      name: "number between two decimals, both exclusive",
      schema: { type: "number", exclusiveMinimum: 0.25, exclusiveMaximum: 1.5 },
      accepts: ["0.26", "0.3", "0.2500001", "0.9", "1", "1.0", "1.4999", "1.49"],
      refuses: ["0.25", "0.250", "0.2", "0", "1.5", "1.50", "1.6", "2", "-1", "1e0"],
    },
    {
      name: "number between two inclusive bounds across zero",
      schema: { type: "number", minimum: -1.5, maximum: 10 },
      accepts: ["-1.5", "-1.50", "-0.1", "0", "0.001", "9.99", "10", "10.00"],
      refuses: ["-1.51", "-2", "10.01", "11", "100"],
    },
    {
      name: "positive numbers",
      schema: { type: "number", exclusiveMinimum: 0 },
      accepts: ["0.1", "0.000000001", "1", "123456.789"],
      refuses: ["0", "0.0", "-1", "-0.5"],
    },
    {
      name: "cents",
      schema: { type: "number", multipleOf: 0.01, minimum: 0, maximum: 2 },
      accepts: ["0.01", "1.5", "2", "2.00"],
      refuses: ["0.001", "2.01"],
    },
    {
      name: "a divisor that is no power of ten is reported",
      schema: { type: "number", multipleOf: 0.3 },
      accepts: ["0.3"],
      refuses: ['"x"'],
      unsupported: ["/multipleOf"],
    },
    {
      name: "exclusive bounds of draft 4",
      schema: { type: "integer", minimum: 1, exclusiveMinimum: true, maximum: 3 },
      accepts: ["2", "3"],
      refuses: ["1", "4"],
    },
  ],
  values: [
    {
      name: "listed values of every kind",
      schema: { enum: ["a", "ab", 1.5, null, true, [1, "x"], { k: "v" }] },
      accepts: ['"a"', '"ab"', "1.5", "null", "true", '[1,"x"]', '{"k":"v"}'],
      refuses: ['"b"', '"abc"', "1", "false", "[1]"],
    },
    {
      name: "listed values that the type beside them rules out",
      schema: { type: "string", enum: ["a", 1, "long"], maxLength: 2 },
      accepts: ['"a"'],
      refuses: ["1", '"long"'],
    },
    {
      name: "text that means something to GBNF",
      schema: { const: 'x" | "y\\ [a-z] \n#' },
      accepts: [JSON.stringify('x" | "y\\ [a-z] \n#')],
      refuses: ['"x"', '"y"'],
    },
    {
      name: "not a type, not these strings",
      schema: { not: { type: ["string", "number"] } },
      accepts: ["null", "true", "[]", "{}"],
      refuses: ['"a"', "1", "1.5"],
    },
    {
      name: "a string that is none of a list",
      schema: { type: "string", not: { enum: ["red", "re", "reddish"] } },
      accepts: ['"r"', '""', '"redd"', '"green"', '"xred"'],
      refuses: ['"red"', '"re"', '"reddish"', '"\\u0072ed"'],
    },
    {
      name: "type lists, nullable, and schemas without keywords",
      schema: {
        type: "array",
        items: [{ type: ["integer", "null"] }, { type: "string", nullable: true }, {}, true],
      },
      accepts: ['[1,"a",{},[]]', "[null,null,null,1.5]"],
      refuses: ['["a","a",1,1]', "[1.5,null,1,1]"],
    },
  ],
  objects: [
    {
      name: "declared order, required and optional",
      schema: {
        properties: { z: { type: "integer" }, a: { type: "integer" }, m: { type: "integer" } },
        required: ["a"],
      },
      accepts: ['{"a":1}', '{"z":1,"a":2}', '{"a":1,"m":2}', '{"z":1,"a":2,"m":3}'],
      refuses: ["{}", '{"z":1}', '{"a":1,"z":2}', '{"m":1,"a":2}', '{"a":1,"a":2}', '{"a":1,}'],
    },
    {
      name: "other names never spell a declared one",
      schema: { properties: { ab: { type: "integer" } }, additionalProperties: { type: "string" } },
      accepts: ["{}", '{"ab":1}', '{"ab":1,"a":"x","abc":"y"}', '{"b":"x"}'],
      refuses: ['{"ab":"x"}', '{"\\u0061b":"x"}', '{"x":1}', '{"b":"x","ab":1}'],
    },
    {
      name: "required without a declaration",
      schema: { type: "object", required: ["id"], additionalProperties: { type: "integer" } },
      accepts: ['{"id":1}', '{"id":1,"x":2}'],
      refuses: ["{}", '{"x":1}', '{"id":"a"}'],
    },
    {
      name: "counted properties",
      schema: {
        properties: { a: { const: 1 }, b: { const: 1 }, c: { const: 1 } },
        minProperties: 1,
        maxProperties: 2,
      },
      accepts: ['{"a":1}', '{"c":1}', '{"a":1,"c":1}', '{"b":1,"c":1}'],
      refuses: ["{}", '{"a":1,"b":1,"c":1}'],
    },
    {
      name: "names by pattern",
      schema: {
        patternProperties: { "^x-\\d+$": { type: "integer" } },
        additionalProperties: false,
      },
      accepts: ["{}", '{"x-1":1,"x-22":2}'],
      refuses: ['{"x-":1}', '{"y":1}', '{"x-1":"a"}'],
    },
    {
      name: "a required name owes what the patterns say that it matches",
      schema: {
        type: "object",
        patternProperties: { "^x-": { type: "string" } },
        required: ["x-a"],
        additionalProperties: false,
      },
      accepts: ['{"x-a":"b"}', '{"x-a":"b","x-c":"d"}'],
      refuses: ["{}", '{"x-c":"d"}', '{"x-a":1}', '{"x-a":"b","y":"c"}'],
    },
    {
      name: "a declared name owes what the patterns say that it matches",
      schema: {
        properties: { "x-a": { minimum: 2 }, b: { type: "string" } },
        patternProperties: { "^x-": { type: "integer" }, b$: { minLength: 1 } },
      },
      accepts: ["{}", '{"x-a":2,"b":"c"}'],
      refuses: ['{"x-a":2.5}', '{"b":""}'],
      unsupported: ["/patternProperties/^x-", "/patternProperties/b$"],
    },
    {
      name: "a name that one schema knows by pattern and another refuses",
      schema: {
        properties: { "x-a": { type: "integer" }, y: { type: "integer" } },
        allOf: [{ patternProperties: { "^x-": { minimum: 2 } }, additionalProperties: false }],
      },
      accepts: ["{}", '{"x-a":2}'],
      refuses: ['{"y":1}', '{"x-b":"c"}'],
    },
    {
      name: "names by pattern that another schema refuses",
      schema: {
        type: "object",
        patternProperties: { "^x-": { type: "integer" } },
        allOf: [{ properties: { y: { type: "integer" } }, additionalProperties: false }],
      },
      accepts: ["{}", '{"y":1}'],
      refuses: ['{"x-a":1}'],
    },
    {
      name: "a pattern that is not supported leaves names free and is reported",
      schema: {
        patternProperties: { "(?<!a)b": { type: "integer" } },
        required: ["c"],
        additionalProperties: false,
      },
      accepts: ['{"c":1}', '{"c":1,"b":2}'],
      refuses: ["{}", '{"c":1,"b":"x"}'],
      unsupported: ["/additionalProperties", "/patternProperties/(?<!a)b"],
    },
    {
      name: "rules for names hold for declared names, too",
      schema: {
        properties: { ab: { type: "integer" }, AB: { type: "integer" }, abc: { type: "integer" } },
        propertyNames: { pattern: "^[a-z]+$", maxLength: 2 },
      },
      accepts: ["{}", '{"ab":1}'],
      refuses: ['{"AB":1}', '{"abc":1}', '{"x":1}'],
    },
    {
      name: "rules for names that say nothing, and those that a text can keep",
      schema: {
        $defs: { key: { type: "string", minLength: 1, maxLength: 3, description: "a key" } },
        prefixItems: [
          {
            type: "object",
            propertyNames: { type: "string", minLength: 0 },
            additionalProperties: { type: "number" },
          },
          {
            type: "object",
            propertyNames: { $ref: "#/$defs/key" },
            additionalProperties: { type: "null" },
          },
          {
            type: "object",
            properties: { a: { type: "number" } },
            propertyNames: {
              type: "string",
              pattern: "^[a-z]+$",
              maxLength: 2,
              format: "lowercase",
            },
            additionalProperties: { type: "null" },
          },
          {
            type: "object",
            propertyNames: { format: "date" },
            additionalProperties: { type: "null" },
          },
          { type: "object", propertyNames: { const: "k" }, additionalProperties: { type: "null" } },
        ],
      },
      accepts: [
        '[{"":1,"long name":2},{"abc":null},{"a":1,"ab":null},{"2024-02-29":null},{"k":null}]',
      ],
      refuses: [
        '[{"":null}]',
        '[{},{"":null}]',
        '[{},{"abcd":null}]',
        '[{},{},{"a":1,"a":null}]',
        '[{},{},{"AB":null}]',
        '[{},{},{},{"2023-02-29":null}]',
        '[{},{},{},{},{"j":null}]',
      ],
    },
    {
      name: "names that a pattern gives and the rules for names narrow",
      schema: {
        type: "object",
        properties: { xa: { type: "null" } },
        patternProperties: { "^x": { type: "integer" } },
        additionalProperties: false,
        propertyNames: { maxLength: 2 },
      },
      accepts: ['{"xb":1}'],
      refuses: ['{"xa":1}', '{"xbc":1}', '{"y":1}', '{"xa":null}'],
    },
    {
      name: "a required name that the rules for names refuse",
      schema: {
        anyOf: [
          { type: "integer" },
          { type: "object", required: ["B"], propertyNames: { enum: ["a"] } },
        ],
      },
      accepts: ["1"],
      refuses: ["{}", '{"B":1}', '{"a":1}'],
    },
    {
      name: "rules for names that are not looked at are reported",
      schema: {
        properties: { a: { type: "integer" } },
        propertyNames: { anyOf: [{ const: "b" }, { const: "c" }] },
      },
      accepts: ["{}", '{"a":1}'],
      refuses: ['{"b":1}'],
      unsupported: ["/propertyNames"],
    },
    {
      name: "names of a schema",
      schema: {
        type: "object",
        propertyNames: { enum: ["a", "b"] },
        additionalProperties: { type: "integer" },
      },
      accepts: ["{}", '{"a":1,"b":2}'],
      refuses: ['{"c":1}', '{"a":""}'],
    },
    {
      name: "a property no value fits is left out",
      schema: { properties: { a: false, b: { type: "integer" } } },
      accepts: ["{}", '{"b":1}'],
      refuses: ['{"a":1}'],
    },
    {
      name: "names that are special in JavaScript",
      schema: JSON.parse(
        '{"properties":{"__proto__":{"type":"integer"}},"required":["__proto__"]}',
      ),
      accepts: ['{"__proto__":1}'],
      refuses: ["{}", '{"__proto__":"x"}'],
    },
    {
      name: "names that need quoting",
      schema: { properties: { 'a"b\\c\n': { type: "integer" } }, required: ['a"b\\c\n'] },
      accepts: ['{"a\\"b\\\\c\\n":1}'],
      refuses: ['{"a":1}'],
    },
  ],
  arrays: [
    {
      name: "tuple with a rest",
      schema: { prefixItems: [{ const: 1 }], items: { const: 2 }, minItems: 2, maxItems: 3 },
      accepts: ["[1,2]", "[1, 2, 2]"],
      refuses: ["[1]", "[2,2]", "[1,2,2,2]"],
    },
    {
      name: "closed tuple is complete, or as short as minItems says",
      schema: {
        anyOf: [
          { prefixItems: [{ const: 1 }, { const: 2 }] },
          { prefixItems: [{ const: 3 }, { const: 4 }], minItems: 1, items: false },
        ],
      },
      accepts: ["[1,2]", "[3]", "[3,4]"],
      refuses: ["[]", "[1]", "[1,2,3]", "[3,4,5]"],
    },
    {
      name: "empty only",
      schema: { type: "array", items: false },
      accepts: ["[]", "[ ]"],
      refuses: ["[1]"],
    },
    {
      name: "counts beyond llama.cpp's limit",
      schema: { type: "array", items: { const: 1 }, minItems: 3, maxItems: 2500 },
      accepts: [3, 2000, 2500].map((count) => `[${Array(count).fill(1).join()}]`),
      refuses: [2, 2501].map((count) => `[${Array(count).fill(1).join()}]`),
    },
    {
      name: "uniqueItems is reported",
      schema: { type: "array", items: { type: "integer" }, uniqueItems: true },
      accepts: ["[1,1]"],
      refuses: ['["a"]'],
      unsupported: ["/uniqueItems"],
    },
  ],
  combinations: [
    {
      name: "anyOf with siblings",
      schema: {
        properties: { kind: { type: "string" } },
        required: ["kind"],
        anyOf: [
          { properties: { kind: { const: "a" }, x: { type: "integer" } }, required: ["x"] },
          { properties: { kind: { const: "b" } } },
        ],
      },
      accepts: ['{"kind":"a","x":1}', '{"kind":"b"}'],
      refuses: ['{"kind":"a"}', '{"kind":"b","x":1}', '{"kind":"c"}'],
    },
    {
      name: "allOf narrows types, bounds, lists and closed objects",
      schema: {
        allOf: [
          {
            properties: { a: { type: "number", minimum: 0 } },
            additionalProperties: { type: "integer" },
          },
          {
            properties: { a: { type: "integer", maximum: 5 }, b: { maximum: 3 } },
            required: ["b"],
          },
        ],
      },
      accepts: ['{"a":5,"b":3}', '{"b":-7}'],
      refuses: ['{"a":6,"b":1}', '{"a":1.5,"b":1}', '{"a":1}', '{"b":2.5}'],
    },
    {
      name: "unevaluatedProperties lets the properties of all parts stand, and no others",
      schema: {
        allOf: [
          { type: "object", properties: { a: { type: "integer" } }, required: ["a"] },
          { $ref: "#/$defs/b" },
        ],
        properties: { c: { type: "integer" } },
        unevaluatedProperties: false,
        $defs: { b: { type: "object", properties: { b: { type: "integer" } }, required: ["b"] } },
      },
      accepts: ['{"a":1,"b":2}', '{"c":3,"a":1,"b":2}'],
      refuses: ['{"a":1}', '{"a":1,"b":2,"d":3}', '{"a":1,"b":"x"}'],
    },
    {
      name: "unevaluatedProperties with a schema is about names that no part declares",
      schema: {
        anyOf: [{ properties: { a: { type: "integer" } } }, { properties: { b: { const: 1 } } }],
        unevaluatedProperties: { type: "string" },
      },
      accepts: ["{}", '{"a":1,"x":"y"}', '{"b":1,"a":"x"}'],
      refuses: ['{"x":1}', '{"a":1,"b":2}'],
    },
    {
      name: "unevaluatedProperties of a part knows nothing of its neighbours",
      schema: {
        properties: { a: { type: "integer" } },
        allOf: [
          { properties: { b: { type: "integer" } }, unevaluatedProperties: { type: "number" } },
          { properties: { c: { type: ["string", "integer"] } } },
          { properties: { d: { type: "string" } }, unevaluatedProperties: true },
        ],
      },
      accepts: ['{"a":1,"b":2,"c":3}', '{"x":1.5}'],
      refuses: ['{"c":"x"}', '{"d":"x"}', '{"x":"y"}'],
    },
    {
      name: "unevaluatedProperties has nothing left where a part takes any name",
      schema: {
        allOf: [{ properties: { a: { const: 1 } }, additionalProperties: { type: "integer" } }],
        unevaluatedProperties: false,
      },
      accepts: ['{"a":1,"x":2}'],
      refuses: ['{"x":"y"}'],
    },
    {
      name: "unevaluatedProperties that depends on the value is reported",
      schema: {
        properties: { a: { const: 1 } },
        anyOf: [{ required: ["a"] }, { additionalProperties: true }],
        unevaluatedProperties: false,
      },
      accepts: ["{}", '{"a":1}'],
      refuses: ['{"a":2}'],
      unsupported: ["/unevaluatedProperties"],
    },
    {
      name: "references: definitions, pointers with escapes, anchors, recursion",
      schema: {
        $defs: { "a/b": { type: "integer" }, c: { $anchor: "here", type: "null" } },
        type: "object",
        properties: {
          x: { $ref: "#/$defs/a~1b" },
          y: { $ref: "#here" },
          z: { $ref: "#/properties/x" },
          next: { $ref: "#" },
        },
        required: ["x"],
      },
      accepts: ['{"x":1,"y":null,"z":2,"next":{"x":3,"next":{"x":4}}}'],
      refuses: ['{"x":1,"next":{}}', '{"x":1,"y":1}', '{"x":1,"z":"a"}'],
    },
    {
      name: "a reference with siblings keeps both",
      schema: { $defs: { n: { type: "integer", minimum: 3 } }, $ref: "#/$defs/n", maximum: 4 },
      accepts: ["3", "4"],
      refuses: ["2", "5"],
    },
    {
      name: "two recursive schemas that point at each other",
      schema: {
        $defs: {
          tree: {
            type: "array",
            items: { anyOf: [{ $ref: "#/$defs/leaf" }, { $ref: "#/$defs/tree" }] },
          },
          leaf: { type: "object", properties: { tree: { $ref: "#/$defs/tree" } } },
        },
        $ref: "#/$defs/tree",
      },
      accepts: ["[]", '[[],[{"tree":[{}]}]]'],
      refuses: ["{}", "[1]"],
    },
    {
      name: "oneOf as anyOf, reported where a value may satisfy two",
      schema: { oneOf: [{ type: "integer" }, { type: "number" }] },
      accepts: ["1", "1.5"],
      refuses: ['"a"'],
      unsupported: ["/oneOf"],
    },
    {
      name: "keywords no grammar holds are reported by pointer",
      schema: {
        properties: { "a/b": { if: { const: 1 } }, c: { not: { required: ["x"] } } },
        dependentRequired: { c: ["a/b"] },
      },
      accepts: ["{}"],
      refuses: ["[]"],
      unsupported: ["/dependentRequired", "/properties/a~1b/if", "/properties/c/not"],
    },
  ],
};

for (const [group, cases] of Object.entries(tables)) {
  describe(`the grammar of a schema about ${group}`, () => {
    test.each(cases as Case[])("$name", ({ schema, accepts, refuses, unsupported = [] }) => {
      const { gbnf, unsupported: reported } = schemaGrammar(schema, "format");
      expect(matched(gbnf, accepts)).toEqual([...accepts]);
      expect(matched(gbnf, refuses)).toEqual([]);
      expect(reported.map(({ pointer }) => pointer).toSorted()).toEqual([...unsupported]);
    });
  });
}

test("white space is bounded, so that a model cannot write blanks for ever", () => {
  const { gbnf } = schemaGrammar({ type: "array", items: { type: "integer" } }, "format");
  expect(matched(gbnf, ["[ 1 , 2 ]", "[\n  1,\n\n\t2\n]"])).toHaveLength(2);
  expect(matched(gbnf, ["[  1]", "[\n\n\n1]", `[\n${" ".repeat(21)}1]`, " []", "[] "])).toEqual([]);
});

test("json_object means any object and nothing else", () => {
  const { gbnf } = schemaGrammar({ type: "object" }, "format");
  const objects = ["{}", '{"a":[1,{"b":null}],"c":-1.5e-3}', '{ "a" : true }'];
  expect(matched(gbnf, objects)).toEqual(objects);
  expect(matched(gbnf, ["[]", "1", '{"a"}', '{"a":1,}', '{"a":01}', "{a:1}"])).toEqual([]);
});

const casesPath = sharedPath("templates/schema-cases.json");
test.skipIf(casesPath === null)(
  "the reference cases are accepted and refused as listed",
  async () => {
    type Row = [name: string, schema: unknown, accepts: string[], refuses: string[]];
    const { cases }: { cases: Row[] } = await Bun.file(casesPath ?? "").json();
    const wrong = cases.flatMap(([name, schema, accepts, refuses]) => {
      const { gbnf } = schemaGrammar(schema, "format");
      const found = matched(gbnf, [...accepts, ...refuses]);
      const missing = accepts.filter((text) => !found.includes(text));
      const extra = refuses.filter((text) => found.includes(text));
      return [
        ...missing.map((text) => `${name}: refuses ${text}`),
        ...extra.map((text) => `${name}: accepts ${text}`),
      ];
    });
    expect(wrong).toEqual([]);
    expect(cases.length).toBeGreaterThan(30);
  },
);
