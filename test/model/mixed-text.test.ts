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

interface StringRules {
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
  test.each(Object.entries(CALLS))("is read as what it was written for in %s", (format, call) => {
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
  });

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

  test.each(Object.entries(CALLS))("counts its blanks in %s", (format, call) => {
    const tool = toolOf({ type: ["string", "null"], minLength: 2, maxLength: 5 });
    const fitting = ["  ", " ab", "     ", "\n\n", " \n\t x", "\nabcd"];
    const others = ["", " ", "      ", "  abcd", "\nabcde"];
    expect([...writable(format, tool, [...fitting, ...others].map(call))]).toEqual(
      fitting.map(call),
    );
  });
});
