import { describe, expect, test } from "bun:test";
import type { Tool } from "../../src/chat/conversation.ts";
import { planGrammar } from "../../src/chat/grammar/plan-grammar.ts";
import { collect } from "../../scripts/chat-corpus/collect.ts";
import { defined } from "../../src/lib/assert.ts";
import { matched } from "../support/grammar-matcher.ts";
import { llamaLibraries } from "../support/llama-libraries.ts";
import { formatOf, parserOf } from "../support/parse.ts";

const CALLS: Readonly<Record<string, (text: string) => string>> = {
  "qwen3-coder": (text) =>
    `<tool_call>\n<function=fn>\n<parameter=k>\n${text}\n</parameter>\n</function>\n</tool_call>`,
  "seed-oss": (text) =>
    `<seed:tool_call>\n<function=fn>\n<parameter=k>${text}</parameter>\n</function>\n</seed:tool_call>`,
  "glm-4.5": (text) =>
    `<tool_call>fn\n<arg_key>k</arg_key>\n<arg_value>${text}</arg_value>\n</tool_call>`,
  "minimax-m2": (text) =>
    `<minimax:tool_call>\n<invoke name="fn">\n<parameter name="k">${text}</parameter>\n</invoke>\n</minimax:tool_call>`,
};

/** And families that tell texts apart in other ways: by CDATA, or not at all, also inside of lists. */
const ALL_CALLS: typeof CALLS = {
  ...CALLS,
  "minicpm-5": (text) => `<function name="fn"><param name="k">${text}</param></function>`,
  "minimax-m3": (text) =>
    `]<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="fn">]<]minimax[>[<k>${text}]<]minimax[>[</k>]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>`,
};

/** Texts beside other types: what is written as text, and what as another value. */
const PATTERNED: readonly { schema: object; texts: string[]; others: string[]; never: string[] }[] =
  [
    {
      schema: {
        anyOf: [
          { type: "string", pattern: "^\\d{5}$" },
          { type: "integer", maximum: 9 },
        ],
      },
      texts: ["05555"],
      others: ["9"],
      never: ["55555", "10"],
    },
    {
      schema: { type: ["string", "number"], pattern: "^\\d{2,4}$", maximum: 50 },
      texts: ["007"],
      others: ["50", "12.5"],
      never: ["8888", "51"],
    },
    {
      schema: { type: ["string", "boolean"], const: false, pattern: "^" },
      texts: [],
      others: ["false"],
      never: ["true"],
    },
    {
      schema: { anyOf: [{ type: "string", pattern: "^(true|no| ?5)" }, { enum: [false, 7] }] },
      texts: ["no", "truest", "true ly", "5x"],
      others: ["false", "7"],
      never: ["true", "true ", " 5", "5"],
    },
    {
      schema: {
        anyOf: [
          { type: "string", format: "hostname" },
          { type: "number", maximum: 1 },
        ],
      },
      texts: ["a.example", "1.2.3"],
      others: ["1"],
      never: ["1.5", "22"],
    },
    {
      schema: { type: ["string", "null"], pattern: "^\\w+$", maxLength: 4 },
      texts: ["nul", "1234"],
      others: ["null"],
      never: ["None", "nulls"],
    },
    {
      schema: { anyOf: [{ type: "string" }, { type: "integer", maximum: 9 }] },
      texts: ["abc", "true"],
      others: ["9"],
      never: ["10", "55555"],
    },
    {
      schema: { anyOf: [{ type: "string", maxLength: 6 }, { enum: [1] }] },
      texts: ["x7", "null"],
      others: ["1"],
      never: ["7", " 55 ", "abcdefg"],
    },
    {
      schema: { type: ["string", "null"], format: "date" },
      texts: ["2024-02-29"],
      others: ["null"],
      never: ["None", "2023-02-29"],
    },
    {
      schema: {
        anyOf: [
          { type: "string", pattern: "^[{(x]" },
          { type: "array", maxItems: 1 },
        ],
      },
      texts: ["xy", "{1}"],
      others: ["[1]"],
      never: ["(1, 2)", "[1,2]"],
    },
  ];

interface StringRules {
  enum?: readonly unknown[];
  type?: readonly string[];
  anyOf?: readonly { type: string }[];
  minLength?: number;
  maxLength?: number;
}

const SCHEMAS: readonly StringRules[] = [
  { type: ["string", "null"] },
  { anyOf: [{ type: "string" }, { type: "null" }] },
  { type: ["string", "integer"] },
  { type: ["string", "boolean"], maxLength: 4 },
  { type: ["string", "null"], minLength: 2, maxLength: 3 },
  { type: ["string", "null"], maxLength: 40 },
];

function toolOf(schema: StringRules): Tool {
  const parameters = { type: "object", properties: { k: schema }, required: ["k"] };
  return { name: "fn", description: null, parameters, strict: false };
}

function writable(format: string, tool: Tool, texts: readonly string[]): ReadonlySet<string> {
  const { grammar } = planGrammar({
    format: formatOf(format),
    tools: [tool],
    choice: { kind: "named", name: "fn" },
    parallel: false,
    answerFormat: { kind: "text" },
    reasoning: null,
  });
  return new Set(matched(defined(grammar, "a grammar").gbnf, texts));
}

function valueOf(format: string, tool: Tool, text: string): unknown {
  const { calls } = collect(parserOf(format, { tools: [tool] }), text, 0);
  return (calls[0]?.args as { k: unknown } | undefined)?.k;
}

const PARTS = ["", " ", "\n", "\t", "x", "n", "null", "None", "5", "-", '"', "<", "</p", "\u00a0"];
const LEADS = ["", "    ", " \n\t\n"];
const FOLLOWING = ["", " ", "\n", "x", "null", "<"];
const ENDS = ["", "\n", "\n</param"];
const TEXTS = LEADS.flatMap((lead) =>
  PARTS.flatMap((a) => FOLLOWING.flatMap((b) => ENDS.map((end) => lead + a + b + end))),
);

describe.if(llamaLibraries() !== null)("an argument that may be a text or something else", () => {
  test.each(Object.entries(ALL_CALLS))(
    "is read as what it was written for in %s",
    (format, call) => {
      for (const schema of SCHEMAS) {
        const tool = toolOf(schema);
        const { minLength = 0, maxLength = Infinity } = schema;
        const found = writable(format, tool, TEXTS.map(call));
        const wrong = TEXTS.filter((text) => {
          const value = found.has(call(text)) ? valueOf(format, tool, call(text)) : null;
          if (typeof value !== "string") return typeof value === "object" && value !== null;
          return value !== text || text.length < minLength || text.length > maxLength;
        });
        expect([schema, wrong]).toEqual([schema, []]);
      }
    },
  );

  test.each(Object.entries(CALLS))("may begin with blanks and quotes in %s", (format, call) => {
    const texts = [
      "    return x",
      "\t\tif (a) {\n\t\t}",
      "\n  <div>\n",
      "\n\n",
      '"quoted" text',
      ' "a" ',
      "  nothing",
      " None of these",
      "\u00a0null",
      "",
    ];
    for (const schema of SCHEMAS.slice(0, 2)) {
      const tool = toolOf(schema);
      expect([...writable(format, tool, texts.map(call))]).toEqual(texts.map(call));
      expect(texts.map((text) => valueOf(format, tool, call(text)))).toEqual(texts);
      const values = [" null", "\n\nNone", "null "].map(call);
      expect([...writable(format, tool, values)]).toEqual([]);
      expect(valueOf(format, tool, call("null"))).toBeNull();
    }
  });

  test.each(Object.entries(ALL_CALLS))(
    "is never a listed text that is read as another value, in %s",
    (format, call) => {
      const tool = toolOf({ enum: ["1e5", "a", " true ", "null", 1, null] });
      const texts = ["1e5", "a", " true ", "null", "1", "<![CDATA[1e5]]>", "<![CDATA[null]]>"];
      const found = writable(format, tool, texts.map(call));
      const plain = texts.slice(1, 5);
      const written = format === "minicpm-5" ? [...plain, ...texts.slice(5)] : plain;
      expect([...found]).toEqual(written.map(call));
      const values = ["a", " true ", null, 1, "1e5", "null"].slice(0, written.length);
      expect(written.map((text) => valueOf(format, tool, call(text)))).toEqual(values);
      const strings = toolOf({ enum: ["1", "null"] });
      const own = ["1", "null"].map(call);
      expect([...writable(format, strings, own)]).toEqual(own);
      expect(own.map((text) => valueOf(format, strings, text))).toEqual(["1", "null"]);
    },
  );

  test.each(Object.entries(ALL_CALLS))(
    "is never a text that is read as another value, in %s",
    (format, call) => {
      for (const { schema, texts, others, never } of PATTERNED) {
        const tool = { ...toolOf(schema), strict: true };
        // Lists are elements there.
        const own = others.filter((text) => format !== "minimax-m3" || !text.startsWith("["));
        const all = [...texts, ...others, ...never].map(call);
        const wanted = [...texts, ...own].map(call);
        expect([schema, [...writable(format, tool, all)]]).toEqual([schema, wanted]);
        expect(texts.map((text) => valueOf(format, tool, call(text)))).toEqual(texts);
      }
    },
  );

  test("may be listed with markup where that can be quoted", () => {
    const call = defined(ALL_CALLS["minicpm-5"], "minicpm-5");
    const tool = toolOf({ enum: ["a < b", "c"] });
    const texts = [call("<![CDATA[a < b]]>"), call("c")];
    expect([...writable("minicpm-5", tool, [...texts, call("a < b")])]).toEqual(texts);
    expect(texts.map((text) => valueOf("minicpm-5", tool, text))).toEqual(["a < b", "c"]);
  });

  test.each(Object.entries(CALLS))("counts its blanks in %s", (format, call) => {
    const tool = toolOf({ type: ["string", "null"], minLength: 2, maxLength: 5 });
    const fitting = ["  ", " ab", "     ", "\n\n", " \n\t x", "\nabcd", "\n<br>"];
    const others = ["", " ", "      ", "  abcd", "\nabcde", "\n<abcd"];
    expect([...writable(format, tool, [...fitting, ...others].map(call))]).toEqual(
      fitting.map(call),
    );
    const long = toolOf({ type: ["string", "null"], minLength: 30 });
    const texts = ["", "x".repeat(29), "x".repeat(30), " ".repeat(30)].map(call);
    expect([...writable(format, long, texts)]).toEqual(texts.slice(2));
  });
});
