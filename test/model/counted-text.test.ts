import { expect, test } from "bun:test";
import type { Tool } from "../../src/chat/conversation.ts";
import { findFormat } from "../../src/chat/formats/format-table.ts";
import { countedUntil } from "../../src/chat/grammar/counted-text.ts";
import { GrammarBuilder } from "../../src/chat/grammar/gbnf.ts";
import { planGrammar } from "../../src/chat/grammar/plan-grammar.ts";
import { defined } from "../../src/lib/assert.ts";
import { matched } from "../support/grammar-matcher.ts";

/** All texts of up to `most` of these characters. */
function textsOf(alphabet: string, most: number): string[] {
  const longer = (texts: string[]): string[] =>
    texts.flatMap((text) => Array.from(alphabet, (char) => text + char));
  const texts = [[""]];
  while (texts.length <= most) texts.push(longer(texts.at(-1) ?? []));
  return texts.flat();
}

const lengths = [
  { min: 0, max: 0 },
  { min: 1, max: 1 },
  { min: 0, max: 3 },
  { min: 2, max: 4 },
  { min: 1, max: null },
  { min: 3, max: null },
];

test.each([
  ["</a>", "</a>"],
  ["aab", "abc"],
  ["abab", "abc"],
  ["]<]x", "]<x"],
  ["<", "<a"],
])("a text before %p is counted exactly, beginnings of the marker included", (marker, alphabet) => {
  const texts = textsOf(alphabet, 5);
  for (const length of lengths) {
    const builder = new GrammarBuilder((message) => new Error(message) as never);
    const rule = defined(countedUntil(builder, marker, length), "a rule");
    const fits = texts.filter((text) => {
      const ends = (text + marker).indexOf(marker) === text.length;
      return ends && text.length >= length.min && text.length <= (length.max ?? Infinity);
    });
    const found = matched(
      builder.text(rule),
      texts.map((text) => text + marker),
    );
    // A text may itself end in the marker, and then holds a shorter one.
    const whole = texts.filter((text) => found.includes(text + marker));
    expect(whole).toEqual(fits);
  }
});

interface Case {
  format: string;
  /** The call `f` with this text as its argument. */
  call: (text: string) => string;
}

const cases: readonly Case[] = [
  {
    format: "qwen3-coder",
    call: (text) =>
      `<tool_call>\n<function=f>\n<parameter=c>\n${text}\n</parameter>\n</function>\n</tool_call>`,
  },
  {
    format: "glm-4.5",
    call: (text) =>
      `<tool_call>f\n<arg_key>c</arg_key>\n<arg_value>${text}</arg_value>\n</tool_call>`,
  },
  {
    format: "gemma-4",
    call: (text) => `<|tool_call>call:f{c:<|"|>${text}<|"|>}<tool_call|>`,
  },
  {
    format: "minimax-m3",
    call: (text) =>
      `]<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="f">]<]minimax[>[<c>${text}]<]minimax[>[</c>]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>`,
  },
  {
    format: "minicpm-5",
    call: (text) => {
      const written = /[<&]/.test(text) ? `<![CDATA[${text}]]>` : text;
      return `<function name="f"><param name="c">${written}</param></function>`;
    },
  },
];

function plan(format: string, schema: object) {
  const parameters = { type: "object", properties: { c: schema }, required: ["c"] };
  const tool: Tool = { name: "f", description: null, parameters, strict: false };
  return planGrammar({
    format: defined(findFormat(format), format),
    tools: [tool],
    choice: { kind: "named", name: "f" },
    parallel: false,
    answerFormat: { kind: "text" },
    reasoning: null,
  });
}

const wanted = (format: string, schema: object, texts: readonly string[], call: Case["call"]) => {
  const { grammar, warnings } = plan(format, schema);
  const found = matched(defined(grammar, "a grammar").gbnf, texts.map(call));
  return { texts: texts.filter((text) => found.includes(call(text))), warnings };
};

const TEXTS = ["", "x", "<", "\n", "]", "a\n\nb <c> & d", "<|x", "]<]m", "\n</p", "</a", "漢😀"];

test.each(cases as Case[])(
  "a shortest length takes no character from the texts of $format",
  ({ format, call }) => {
    const free = wanted(format, { type: "string" }, TEXTS, call);
    const texts = free.texts.filter((text) => text !== "");
    expect(free.texts.length).toBeGreaterThan(8);
    expect(wanted(format, { type: "string", minLength: 1 }, TEXTS, call)).toEqual({
      texts,
      warnings: [],
    });
  },
);

test.each(cases as Case[])("a longest length is kept as far as $format can count", (row) => {
  const texts = ["", "<\n<", "x".repeat(20), "<".repeat(21), "\n".repeat(21)];
  const few = wanted(row.format, { type: "string", maxLength: 20 }, texts, row.call);
  expect(few).toEqual({ texts: texts.slice(0, 3), warnings: [] });
  const long = [...texts, "<\n".repeat(5000)];
  const many = wanted(
    row.format,
    { type: "string", minLength: 1, maxLength: 9000 },
    long,
    row.call,
  );
  const pointer = "/properties/c/maxLength";
  expect(many).toEqual({
    texts: long.slice(1),
    warnings: [{ param: "tools[0].parameters", pointer, keyword: "maxLength" }],
  });
});

test("a text that could be another value keeps its length, and its other characters", () => {
  const call = defined(cases[1], "GLM").call;
  const texts = ["", "<b>", "null", "nul", "null pointer", "true", "12", "[1]", "(1)", "ab<", "x"];
  const union = (rules: object) => ({ type: ["string", "null"], ...rules });
  const found = (schema: object) => wanted("glm-4.5", schema, texts, call).texts;
  expect(found({ type: ["string", "boolean"] })).toEqual(texts);
  expect(found(union({}))).toEqual(texts);
  expect(found(union({ minLength: 3, maxLength: 3 }))).toEqual(
    texts.filter((text) => text === "null" || text.length === 3),
  );
  expect(found({ type: ["string", "array"], items: { type: "boolean" } })).toEqual(
    texts.filter((text) => !/^[[(]/.test(text)),
  );
});
