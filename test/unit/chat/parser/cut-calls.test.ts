import { expect, test } from "bun:test";
import type { ParseEvent } from "../../../../src/chat/parser/parse-event.ts";
import { parserOf, THINK } from "../../../support/parse.ts";

interface Case {
  name: string;
  format: string;
  output: string;
  /** Told when the output ended at a limit. */
  cut: { args: string; complete: boolean };
  /** Told when the model ended it. */
  ended: { args: string; complete: boolean };
}

const cases: Case[] = [
  {
    name: "inside a JSON string",
    format: "hermes",
    output: '<tool_call>\n{"name": "book_table", "arguments": {"place": "Ro',
    cut: { args: '{"place": "Ro', complete: false },
    ended: { args: '{"place": "Ro', complete: false },
  },
  {
    name: "before the closing marker",
    format: "hermes",
    output: '<tool_call>\n{"name": "book_table", "arguments": {"place": "Rome"}}\n',
    cut: { args: '{"place": "Rome"}', complete: true },
    ended: { args: '{"place": "Rome"}', complete: true },
  },
  {
    name: "inside the closing marker",
    format: "hermes",
    output: '<tool_call>\n{"name": "book_table", "arguments": {"place": "Rome"}}\n</tool_c',
    cut: { args: '{"place": "Rome"}', complete: true },
    ended: { args: '{"place": "Rome"}', complete: true },
  },
  {
    name: "behind the name",
    format: "hermes",
    output: '<tool_call>\n{"name": "book_table", ',
    cut: { args: "", complete: false },
    ended: { args: "{}", complete: true },
  },
  {
    name: "inside a tagged string",
    format: "qwen3-coder",
    output: "<tool_call>\n<function=book_table>\n<parameter=place>\nRo",
    cut: { args: '{"place": "Ro', complete: false },
    ended: { args: '{"place": "Ro"}', complete: false },
  },
  {
    name: "inside the tag that ends a value",
    format: "qwen3-coder",
    output: "<tool_call>\n<function=book_table>\n<parameter=seats>\n3\n</para",
    cut: { args: '{"seats": 3', complete: false },
    ended: { args: '{"seats": 3}', complete: false },
  },
  {
    name: "inside a key",
    format: "qwen3-coder",
    output: "<tool_call>\n<function=book_table>\n<parameter=pla",
    cut: { args: "", complete: false },
    ended: { args: "{}", complete: false },
  },
  {
    name: "inside the tag that begins an argument",
    format: "qwen3-coder",
    output: "<tool_call>\n<function=book_table>\n<parameter=seats>\n3\n</parameter>\n<param",
    cut: { args: '{"seats": 3', complete: false },
    ended: { args: '{"seats": 3}', complete: false },
  },
  {
    name: "between arguments",
    format: "glm-4.5",
    output: "<tool_call>book_table\n<arg_key>seats</arg_key>\n<arg_value>3</arg_value>\n",
    cut: { args: '{"seats": 3', complete: false },
    ended: { args: '{"seats": 3}', complete: true },
  },
  {
    name: "inside a Python string",
    format: "lfm-2",
    output: '<|tool_call_start|>[book_table(place="Ro',
    cut: { args: '{"place": "Ro"', complete: false },
    ended: { args: '{"place": "Ro"}', complete: false },
  },
  {
    name: "inside a marked string",
    format: "gemma-4",
    output: '<|tool_call>call:book_table{place:<|"|>Ro<|',
    cut: { args: '{"place": "Ro', complete: false },
    ended: { args: '{"place": "Ro"}', complete: false },
  },
  {
    name: "inside a message",
    format: "harmony",
    output: '<|channel|>commentary to=functions.book_table <|constrain|>json<|message|>{"place"',
    cut: { args: '{"place"', complete: false },
    ended: { args: '{"place"', complete: false },
  },
];

const argumentsOf = (events: readonly ParseEvent[]): string =>
  events.map((event) => (event.type === "toolArguments" ? event.text : "")).join("");

test.each(cases)("a call that breaks off $name is told as far as it came", (sample) => {
  for (const end of ["cut", "ended"] as const) {
    const parser = parserOf(sample.format);
    const events = [...parser.push(sample.output), ...parser.end(end === "cut")];
    const closing = events.at(-1);
    expect(argumentsOf(events)).toBe(sample[end].args);
    expect(closing).toEqual({
      type: "toolCallEnd",
      index: 0,
      complete: sample[end].complete,
      lateId: null,
    });
    expect(parser.isCallCut).toBe(!sample[end].complete);
    expect(events.filter((event) => event.type === "text")).toEqual([]);
  }
});

test("a call whose name is not known yet is text at the end of an answer", () => {
  const parser = parserOf("hermes");
  const output = '<tool_call>\n{"name": "book_ta';
  expect(parser.push(output)).toEqual([]);
  expect(parser.toolSectionOpen).toBe(true);
  expect(parser.end(false)).toEqual([{ type: "text", text: output }]);
});

test.each([
  ["hermes", '<tool_call>\n{"name": "book_ta'],
  ["hermes", "<tool_call>"],
  ["mistral-v13", "[TOOL_CALLS]book_table[CALL_ID]abc"],
  ["glm-4.5", "<tool_call>book_ta"],
  ["minimax-m2", '<minimax:tool_call>\n<invoke name="book_'],
  ["lfm-2", "<|tool_call_start|>[book_"],
  ["llama-3", '{"name": "book_table", "param'],
])("a first call in %s that is cut before its name is known is no text", (format, head) => {
  const lead = format === "llama-3" ? "" : "Let me see.\n";
  for (const chunks of [[lead + head], [lead, head], (lead + head).split("")]) {
    const parser = parserOf(format);
    const events = [...chunks.flatMap((chunk) => parser.push(chunk)), ...parser.end(true)];
    const texts = events.map((event) => (event.type === "text" ? event.text : event.type));
    expect(texts.join("")).toBe(lead.trimEnd());
  }
});

test("text that only looks like a call stays text before a limit", () => {
  const parser = parserOf("hermes");
  const output = "Write <tool_call> and a name, or < and";
  expect([...parser.push(output), ...parser.end(true)]).toEqual([{ type: "text", text: output }]);
});

test("where only calls are wanted, nothing of one that is cut is text", () => {
  for (const head of ["<tool_c", '<tool_call>{"na', " "]) {
    const parser = parserOf("hermes", { callsOnly: true });
    expect([...parser.push(head), ...parser.end(true)]).toEqual([]);
  }
});

test.each([
  [
    "hermes",
    '<tool_call>{"name": "ring_bell", "arguments": {}}</tool_call>',
    '\n<tool_call>\n{"name": "',
  ],
  ["hermes", '<tool_call>{"name": "ring_bell", "arguments": {}}</tool_call>', "\n<tool_c"],
  ["llama-3", '{"name": "ring_bell", "parameters": {}}', '; {"name": "ring'],
  ["qwen3-coder", "<tool_call>\n<function=ring_bell>\n</function>\n", "<function=ri"],
  ["lfm-2", "<|tool_call_start|>[ring_bell()", ", ring_"],
  ["mistral-v11", "[TOOL_CALLS]ring_bell[ARGS]{}", "[TOOL_CALLS]ring"],
])("a further call in %s that is cut before its name is known is no text", (format, one, head) => {
  for (const chunks of [[one + head], [one, head], (one + head).split("")]) {
    const parser = parserOf(format);
    const events = [...chunks.flatMap((chunk) => parser.push(chunk)), ...parser.end(true)];
    expect(events.filter(({ type }) => type === "toolCall")).toHaveLength(1);
    expect(events.filter(({ type }) => type === "text")).toEqual([]);
  }
});

test("text behind a call is told as it comes, also before a limit", () => {
  const parser = parserOf("hermes");
  const one = '<tool_call>{"name": "ring_bell", "arguments": {}}</tool_call>';
  expect(parser.push(`${one}\nRung.`).at(-1)).toEqual({ type: "text", text: "Rung." });
  expect(parser.end(true)).toEqual([]);
});

test("arguments are told as they come, behind their call", () => {
  const parser = parserOf("hermes");
  expect(parser.push('Ok.\n<tool_call>{"name": "book_table", ')).toEqual([
    { type: "text", text: "Ok." },
  ]);
  expect(parser.push('"arguments": {"pl')).toEqual([
    { type: "toolCall", index: 0, id: "", name: "book_table" },
    { type: "toolArguments", index: 0, text: '{"pl' },
  ]);
  expect(parser.push('ace": "R')).toEqual([{ type: "toolArguments", index: 0, text: 'ace": "R' }]);
});

test("with one call at most the second call and all behind it are dropped", () => {
  const parser = parserOf("hermes", { parallel: false });
  const one = '<tool_call>{"name": "ring_bell", "arguments": {}}</tool_call>';
  const events = [...parser.push(`${one}${one} and more`), ...parser.end(false)];
  expect(events.map((event) => event.type)).toEqual(["toolCall", "toolArguments", "toolCallEnd"]);
  expect(parser.isFull).toBe(true);
  expect(parser.callCount).toBe(1);
});

test("reasoning is known to be open from the start, until its end tag", () => {
  const parser = parserOf("hermes", { tags: THINK, open: true });
  expect(parser.insideReasoning).toBe(true);
  parser.push("hm");
  expect(parser.insideReasoning).toBe(true);
  parser.push("</think>");
  expect(parser.insideReasoning).toBe(false);
});
