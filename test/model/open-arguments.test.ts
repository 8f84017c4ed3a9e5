import { describe, expect, test } from "bun:test";
import type { Tool } from "../../src/chat/conversation.ts";
import { TOOL_FORMATS } from "../../src/chat/formats/format-table.ts";
import { planGrammar } from "../../src/chat/grammar/plan-grammar.ts";
import { defined } from "../../src/lib/assert.ts";
import { matched } from "../support/grammar-matcher.ts";
import { llamaLibraries } from "../support/llama-libraries.ts";
import { formatOf, read as readAnswer } from "../support/parse.ts";

const toolOf = (parameters: unknown): Tool => ({
  name: "fn",
  description: null,
  parameters: parameters as Tool["parameters"],
  strict: false,
});

/** Which of `texts` a model may write for a call of a tool with these parameters. */
function writable(format: string, parameters: unknown, texts: readonly string[]): string[] {
  const { grammar } = planGrammar({
    format: formatOf(format),
    tools: [toolOf(parameters)],
    choice: { kind: "auto", allowed: null },
    parallel: true,
    answerFormat: { kind: "text" },
    reasoning: null,
  });
  return matched(defined(grammar, "a grammar").gbnf, texts);
}

/** The arguments that the parser reads from a call. */
function read(format: string, parameters: unknown, text: string): unknown {
  const answer = readAnswer(format, text, { tools: [toolOf(parameters)] });
  return defined(answer.calls[0], "a call").args;
}

const M3 = "]<]minimax[>[";
const element = (name: string, value: string): string => `${M3}<${name}>${value}${M3}</${name}>`;

type Write = (name: string, value: string) => string;

/** Calls of `fn` with one argument, in the notations that have no JSON object around all. */
const WRITES: Readonly<Record<string, Write>> = {
  "qwen3-coder": (name, value) =>
    `<tool_call>\n<function=fn>\n<parameter=${name}>\n${value}\n</parameter>\n</function>\n</tool_call>`,
  "seed-oss": (name, value) =>
    `<seed:tool_call>\n<function=fn>\n<parameter=${name}>${value}</parameter>\n</function>\n</seed:tool_call>`,
  "glm-4.5": (name, value) =>
    `<tool_call>fn\n<arg_key>${name}</arg_key>\n<arg_value>${value}</arg_value>\n</tool_call>`,
  "glm-4.7": (name, value) =>
    `<tool_call>fn<arg_key>${name}</arg_key><arg_value>${value}</arg_value></tool_call>`,
  "hunyuan-3": (name, value) =>
    `<tool_calls:opensource>\n<tool_call:opensource>fn<tool_sep:opensource>\n<arg_key:opensource>${name}</arg_key:opensource>\n<arg_value:opensource>${value}</arg_value:opensource>\n</tool_call:opensource>\n</tool_calls:opensource>`,
  "minimax-m2": (name, value) =>
    `<minimax:tool_call>\n<invoke name="fn">\n<parameter name="${name}">${value}</parameter>\n</invoke>\n</minimax:tool_call>`,
  "minimax-m3": (name, value) =>
    `${M3}<tool_call>\n${M3}<invoke name="fn">${element(name, value)}${M3}</invoke>\n${M3}</tool_call>`,
  "deepseek-v3.2": (name, value) =>
    `<｜DSML｜function_calls>\n<｜DSML｜invoke name="fn">\n<｜DSML｜parameter name="${name}" string="${Number.isNaN(Number(value))}">${value}</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>`,
  "kimi-k3": (name, value) =>
    `<|open|>tools<|sep|><|open|>call tool="fn" index="1"<|sep|><|open|>argument key="${name}" type="${Number.isNaN(Number(value)) ? "string" : "number"}"<|sep|>${value}<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|>`,
  "minicpm-5": (name, value) =>
    `<function name="fn"><param name="${name}">${value}</param></function>`,
  muse: (name, value) =>
    ` to=fn<|message|><atem:function_calls>\n<atem:invoke name="fn">\n<atem:parameter name="${name}">${value}</atem:parameter>\n</atem:invoke>\n</atem:function_calls>`,
  "lfm-2": (name, value) =>
    `<|tool_call_start|>[fn(${name}=${Number.isNaN(Number(value)) ? JSON.stringify(value) : value})]<|tool_call_end|>`,
  "gemma-4": (name, value) =>
    `<|tool_call>call:fn{${name}:${Number.isNaN(Number(value)) ? `<|"|>${value}<|"|>` : value}}<tool_call|>`,
};

/** Written with declared names only, unless any name is allowed. */
const OPEN_SCHEMAS: readonly { name: string; schema: unknown }[] = [
  { name: "an open object", schema: { type: "object", additionalProperties: true } },
  { name: "an object with the empty schema", schema: { type: "object", additionalProperties: {} } },
  {
    name: "a schema that cannot be used",
    schema: { type: "object", properties: { a: { $ref: "https://example.com/a.json" } } },
  },
  { name: "a schema of no object", schema: { type: "string" } },
];

describe.if(llamaLibraries() !== null)("arguments that no schema declares", () => {
  test.each(Object.entries(WRITES))("are written and read in %s", (format, write) => {
    const texts = [write("city", "Rome"), write("Größe-2", "7")];
    for (const { name, schema } of OPEN_SCHEMAS) {
      expect([name, writable(format, schema, texts)]).toEqual([name, texts]);
      expect(texts.map((text) => read(format, schema, text))).toEqual([
        { city: "Rome" },
        { "Größe-2": 7 },
      ]);
    }
  });

  test.each(Object.entries(WRITES))(
    "keep the schema that all of them have, in %s",
    (format, write) => {
      const schema = {
        type: "object",
        properties: { city: { type: "integer" } },
        additionalProperties: { type: "string" },
      };
      const right = [write("city", "5"), write("cit", "x"), write("city2", "x")];
      const wrong = [write("city", "Rome")];
      expect(writable(format, schema, [...right, ...wrong])).toEqual(right);
      expect(read(format, schema, right[2] ?? "")).toEqual({ city2: "x" });
    },
  );

  test.each(Object.entries(WRITES))("keep the pattern of their names, in %s", (format, write) => {
    const schema = {
      type: "object",
      patternProperties: { "^s-": { type: "string" }, "^n-": { type: "integer" } },
      additionalProperties: false,
    };
    const right = [write("s-a", "Rome"), write("n-a", "7")];
    const wrong = [write("n-a", "Rome"), write("x", "7")];
    expect(writable(format, schema, [...right, ...wrong])).toEqual(right);
    expect(right.map((text) => read(format, schema, text))).toEqual([
      { "s-a": "Rome" },
      { "n-a": 7 },
    ]);
  });

  test("are refused where nothing allows them", () => {
    for (const [format, write] of Object.entries(WRITES)) {
      const schema = { type: "object", properties: { a: { type: "integer" } } };
      const texts = [write("a", "1"), write("b", "1")];
      expect([format, writable(format, schema, texts)]).toEqual([format, texts.slice(0, 1)]);
    }
  });

  test("every format can be called with some", () => {
    const known = new Set(Object.keys(WRITES));
    const bare = TOOL_FORMATS.filter(({ kind }) =>
      ["tagged", "elements", "python", "dict"].includes(kind),
    ).map(({ name }) => name);
    const twins = ["ling-3", "laguna", "laguna-xs", "deepseek-v4", "olmo-3", "function-gemma"];
    expect(bare.filter((name) => !known.has(name))).toEqual(twins);
  });
});

describe.if(llamaLibraries() !== null)("an argument of which nothing is known", () => {
  test("is of the type that is stated beside it", () => {
    const write = (isString: boolean, value: string): string =>
      `<｜DSML｜function_calls>\n<｜DSML｜invoke name="fn">\n<｜DSML｜parameter name="k" string="${isString}">${value}</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>`;
    const texts = [write(true, "x"), write(false, "5"), write(false, '{"a": 1}')];
    for (const k of [{}, true, { description: "Anything" }]) {
      const schema = { type: "object", properties: { k } };
      expect(writable("deepseek-v3.2", schema, texts)).toEqual(texts);
      expect(texts.map((text) => read("deepseek-v3.2", schema, text))).toEqual([
        { k: "x" },
        { k: 5 },
        { k: { a: 1 } },
      ]);
    }
  });
});

const write = defined(WRITES["minimax-m3"], "minimax-m3");
const nested = element("a", "1") + element("b", element("item", "x") + element("item", "2"));

const cases: readonly { name: string; schema: unknown; value: string; json: unknown }[] = [
  {
    name: "an object of anything",
    schema: { type: "object" },
    value: nested,
    json: { a: 1, b: ["x", 2] },
  },
  {
    name: "a map",
    schema: { type: "object", additionalProperties: { type: "string" } },
    value: element("a b", "1"),
    json: { "a b": "1" },
  },
  {
    name: "a list of anything",
    schema: { type: "array" },
    value: element("item", nested) + element("item", "3"),
    json: [{ a: 1, b: ["x", 2] }, 3],
  },
  { name: "anything, as elements", schema: {}, value: nested, json: { a: 1, b: ["x", 2] } },
  { name: "anything, as text", schema: {}, value: "a < b", json: "a < b" },
  {
    name: "an object with a member named as items are",
    schema: { type: "object", properties: { item: { type: "string" } } },
    value: element("item", "42"),
    json: { item: "42" },
  },
  {
    name: "a list of fixed places",
    schema: {
      type: "array",
      prefixItems: [
        { type: "object", properties: { constructor: { type: "string" } } },
        { type: "string" },
        { type: "integer" },
      ],
    },
    value:
      element("item", element("constructor", "1")) + element("item", "2") + element("item", "3"),
    json: [{ constructor: "1" }, "2", 3],
  },
];

describe.if(llamaLibraries() !== null)("elements hold", () => {
  test.each(cases)("$name", ({ schema, value, json }) => {
    const parameters = { type: "object", properties: { k: schema } };
    const text = write("k", value);
    expect(writable("minimax-m3", parameters, [text])).toEqual([text]);
    expect(read("minimax-m3", parameters, text)).toEqual({ k: json });
  });

  test("an argument that is named as items are", () => {
    const parameters = { type: "object", properties: { item: { type: "string" } } };
    expect(read("minimax-m3", parameters, write("item", "42"))).toEqual({ item: "42" });
  });

  test("what a closing tag with another name ends", () => {
    const text = write("k", `${M3}<a>1${M3}</b>${element("c", "2")}`);
    const parameters = { type: "object", properties: { k: { type: "object" } } };
    expect(read("minimax-m3", parameters, text)).toEqual({ k: { a: 1, c: 2 } });
  });
});
