import { expect, test } from "bun:test";
import { answerCheck } from "../../../src/chat/answer-check.ts";
import type { Tool } from "../../../src/chat/conversation.ts";
import { findFormat } from "../../../src/chat/formats/format-table.ts";
import { planGrammar } from "../../../src/chat/grammar/plan-grammar.ts";
import { defined } from "../../../src/lib/assert.ts";

function checkOf(rules: object) {
  const properties = { c: { type: "string", ...rules } };
  const parameters = { type: "object", properties, required: ["c"] };
  const tools: Tool[] = [{ name: "f", description: null, parameters, strict: true }];
  const plan = planGrammar({
    format: defined(findFormat("qwen3-coder"), "qwen3-coder"),
    tools,
    choice: { kind: "auto", allowed: null },
    parallel: false,
    answerFormat: { kind: "text" },
    reasoning: null,
  });
  expect(plan.warnings).toEqual([]);
  return answerCheck({ kind: "text" }, tools, plan);
}

test.each([200, 400, 1500, 9000])(
  "a text longer than %d that a strict grammar counts nearly is told when it is finished",
  (maxLength) => {
    const check = checkOf({ minLength: 1, maxLength });
    const call = (c: string) => check?.call(0, "f", JSON.stringify({ c }));
    expect(call("\n".repeat(maxLength))).toEqual([]);
    expect(call("\n".repeat(maxLength + 1))).toEqual([
      { param: "tools[0].parameters", text: "call 0: /c breaks /properties/c/maxLength" },
    ]);
  },
);

test("a text shorter than a long minLength is told when it is finished", () => {
  expect(checkOf({ minLength: 300 })?.call(0, "f", '{"c":"a\\nb"}')).toHaveLength(1);
});

test("broken characters count as what the answer shows, not as what the grammar counted", () => {
  const replaced = "\ufffd".repeat(3);
  const check = checkOf({ maxLength: 2 });
  const call = (c: string) => check?.call(0, "f", JSON.stringify({ c }));
  expect(call(replaced)).toEqual([
    { param: "tools[0].parameters", text: "call 0: /c breaks /properties/c/maxLength" },
  ]);
  expect(call("\ufffd")).toEqual([]);
  const schema = { type: "string", maxLength: 2 };
  const plan = { grammar: null, warnings: [], isNear: false };
  const format = { kind: "json", schema, strict: true } as const;
  const answer = answerCheck(format, [], plan);
  expect(answer?.answer(JSON.stringify(replaced))).toEqual([
    { param: "format", text: "the answer breaks /maxLength" },
  ]);
  expect(answer?.answer('"abc"')).toEqual([]);
});

test("where every character is counted there is nothing to look at", () => {
  for (const rules of [{}, { minLength: 1 }, { minLength: 2, maxLength: 8 }, { maxLength: 5 }]) {
    const call = JSON.stringify({ c: "x".repeat(20) });
    expect(checkOf(rules)?.call(0, "f", call)).toEqual([]);
  }
});
