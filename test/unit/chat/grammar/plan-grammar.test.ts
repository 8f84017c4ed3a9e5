import { expect, test } from "bun:test";
import type { Tool } from "../../../../src/chat/conversation.ts";
import { findFormat } from "../../../../src/chat/formats/format-table.ts";
import {
  planFormat,
  planGrammar,
  type GrammarRequest,
} from "../../../../src/chat/grammar/plan-grammar.ts";
import { defined } from "../../../../src/lib/assert.ts";
import { LmError } from "../../../../src/lib/errors.ts";

const tool = (name: string, parameters: Tool["parameters"] = null, strict = false): Tool => ({
  name,
  description: null,
  parameters,
  strict,
});

function plan(changes: Partial<Omit<GrammarRequest, "format">> & { format?: string }) {
  const { format = "hermes", ...rest } = changes;
  return planGrammar({
    format: defined(findFormat(format), format),
    tools: [tool("a"), tool("b")],
    choice: { kind: "auto", allowed: null },
    parallel: true,
    answerFormat: { kind: "text" },
    reasoning: null,
    ...rest,
  });
}

function refusal(changes: Parameters<typeof plan>[0]): LmError {
  try {
    plan(changes);
  } catch (error) {
    if (error instanceof LmError) return error;
    throw error;
  }
  throw new Error("not refused");
}

const THINK = { start: "<think>", end: "</think>" } as const;
const object = { kind: "json", schema: { type: "object" }, strict: false } as const;
const hard = { properties: { x: { not: { required: ["y"] } } } };

test("text without tools is free", () => {
  expect(plan({ tools: [] })).toEqual({ grammar: null, warnings: [], isNear: false });
  expect(plan({ choice: { kind: "none" } })).toEqual({
    grammar: null,
    warnings: [],
    isNear: false,
  });
});

test("auto constrains from a marker on, outside reasoning", () => {
  const attach = (changes: Parameters<typeof plan>[0]) => plan(changes).grammar?.attach;
  expect(attach({})).toEqual({ kind: "marker", markers: ["<tool_call>"], reasoning: null });
  expect(attach({ reasoning: { ...THINK, state: "open" } })).toEqual({
    kind: "marker",
    markers: ["<tool_call>"],
    reasoning: { open: true, ...THINK },
  });
  expect(attach({ reasoning: { ...THINK, state: "possible" } })).toEqual({
    kind: "marker",
    markers: ["<tool_call>"],
    reasoning: { open: false, ...THINK },
  });
  expect(attach({ format: "harmony" })).toMatchObject({ markers: [" to=functions."] });
  expect(attach({ format: "llama-3" })).toMatchObject({
    markers: expect.arrayContaining([
      "<|python_tag|>",
      '{"name": "a"',
      '{"name":"b"',
      '{"type": "function", "name": "a"',
      '{"type":"function","name":"b"',
    ]),
  });
});

test("a family whose calls may stand inside reasoning is constrained there, too", () => {
  const { grammar } = plan({ format: "kimi-k2", reasoning: { ...THINK, state: "open" } });
  expect(grammar?.attach).toMatchObject({ kind: "marker", reasoning: null });
});

test("required and named hold from the first token, or from the end of reasoning", () => {
  const required = { choice: { kind: "required", allowed: null } } as const;
  expect(plan(required).grammar?.attach).toEqual({ kind: "start" });
  expect(plan({ ...required, reasoning: { ...THINK, state: "open" } }).grammar?.attach).toEqual({
    kind: "after",
    end: "</think>",
  });
  const possible = plan({ ...required, reasoning: { ...THINK, state: "possible" } }).grammar;
  expect(possible?.attach).toEqual({ kind: "start" });
  expect(possible?.gbnf).toContain('"<think>"');
});

test("only allowed tools, or the named one, can be called", () => {
  const calls = (choice: GrammarRequest["choice"]) => {
    const { gbnf } = defined(plan({ choice }).grammar, "a grammar");
    return ["a", "b"].filter((name) => gbnf.includes(`"\\"${name}\\""`));
  };
  expect(calls({ kind: "auto", allowed: null })).toEqual(["a", "b"]);
  expect(calls({ kind: "auto", allowed: ["b"] })).toEqual(["b"]);
  expect(calls({ kind: "required", allowed: ["a"] })).toEqual(["a"]);
  expect(calls({ kind: "named", name: "b" })).toEqual(["b"]);
});

test("a JSON answer and tools: the grammar holds both", () => {
  const { grammar } = plan({ answerFormat: object });
  expect(grammar?.attach).toEqual({ kind: "start" });
  expect(grammar?.gbnf).toMatch(/root ::= \( "<tool_call>" .* \| object \)/);
});

test("a JSON answer in a family with channels stands in the final one", () => {
  const reasoning = {
    start: "<|channel|>analysis<|message|>",
    end: "<|end|>",
    state: "possible",
  } as const;
  const { grammar } = plan({ format: "harmony", tools: [], answerFormat: object, reasoning });
  expect(grammar?.gbnf).toContain('"<|channel|>final"');
  expect(grammar?.gbnf).toContain('"<|start|>assistant"');
});

test("a client's own grammar is checked and used as it is", () => {
  const gbnf = 'root ::= "yes" | "no"';
  expect(plan({ tools: [], answerFormat: { kind: "grammar", gbnf } })).toEqual({
    grammar: { gbnf, attach: { kind: "start" } },
    warnings: [],
    isNear: false,
  });
  const bad = refusal({ tools: [], answerFormat: { kind: "grammar", gbnf: "root ::= root" } });
  expect(bad.details).toEqual({ param: "format", reason: "invalid_grammar" });
});

const HARD_NOT = { pointer: "/properties/x/not", keyword: "not", isTold: false };

test("what the grammar does not enforce is a warning, or a refusal when strict", () => {
  const lax = plan({ tools: [], answerFormat: { kind: "json", schema: hard, strict: false } });
  expect(lax.warnings).toEqual([{ param: "format", ...HARD_NOT }]);
  const strict = refusal({ tools: [], answerFormat: { kind: "json", schema: hard, strict: true } });
  expect(strict.details).toEqual({ param: "format", reason: "invalid_json_schema" });
  expect(strict.message).toContain("/properties/x/not");
  expect(strict.message).toContain("or send strict: false");
  expect(plan({ tools: [tool("a"), tool("b", hard)] }).warnings).toEqual([
    { param: "tools[1].parameters", ...HARD_NOT },
  ]);
  expect(refusal({ tools: [tool("b", hard, true)] }).details).toEqual({
    param: "tools[0].parameters",
    reason: "invalid_json_schema",
  });
});

test("a schema that cannot be used refuses a forced call, and frees the arguments of any other", () => {
  const tools = [tool("a", { $ref: "https://example.com/x" })];
  expect(plan({ tools }).grammar?.gbnf).toContain('"\\"a\\""');
  expect(refusal({ tools, choice: { kind: "named", name: "a" } }).details).toEqual({
    param: "tools[0].parameters",
    reason: "invalid_json_schema",
  });
});

test("a pattern that reads a text in too many ways is reported, not enforced", () => {
  const schema = { type: "string", pattern: "^(a{0,99}){0,99}(b{0,99}){0,99}$" };
  const { grammar, warnings } = planFormat({ kind: "json", schema, strict: false });
  expect(warnings).toEqual([
    { param: "format", keyword: "pattern", pointer: "/pattern", isTold: false },
  ]);
  expect(grammar?.gbnf).toContain("root");
  expect(() => planFormat({ kind: "json", schema, strict: true })).toThrow("/pattern");
  for (const pattern of ["^[a-z]+( [a-z]+)*$", "^([a-z]+ ?)+$"]) {
    const clear = { type: "string", pattern };
    expect(planFormat({ kind: "json", schema: clear, strict: true }).warnings).toEqual([]);
  }
});

test("strict takes what is left over of a string that keeps a pattern or a format", () => {
  const schema = { type: "string", format: "uri", pattern: "(?<=x)", maxLength: 500 };
  expect(planFormat({ kind: "json", schema, strict: true }).warnings).toEqual([
    { param: "format", keyword: "pattern", pointer: "/pattern", isTold: true },
    { param: "format", keyword: "maxLength", pointer: "/maxLength", isTold: true },
  ]);
});
