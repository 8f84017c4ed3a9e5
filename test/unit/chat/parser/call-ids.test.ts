import { expect, test } from "bun:test";
import { createParser } from "../../../../src/chat/parser/parser.ts";
import { formatOf } from "../../../support/parse.ts";

const tools = [
  { name: "fn", parameters: { type: "object", properties: { a: { type: "integer" } } } },
];

function idsOf(format: string, output: string, usedIds?: Set<string>): string[] {
  let made = 0;
  const parser = createParser({
    format: formatOf(format),
    reasoning: null,
    tools,
    parallel: true,
    newId: () => `new-${made++}`,
    ...(usedIds !== undefined && { usedIds }),
  });
  const events = [...parser.push(output), ...parser.end(false)];
  return events.flatMap((event) => (event.type === "toolCall" ? [event.id] : []));
}

const json = (id: string): string =>
  `<tool_call>{"id": ${id}, "name": "fn", "arguments": {"a": 1}}</tool_call>`;
const kimi = (index: number): string =>
  `<|tool_call_begin|>functions.fn:${index}<|tool_call_argument_begin|>{"a": 1}<|tool_call_end|>`;

test.each([
  ["a JSON string", "hermes", json('"a\\u0062c"'), ["abc"]],
  ["an empty string", "hermes", json('""'), ["new-0"]],
  ["null", "hermes", json("null") + json("null"), ["new-0", "new-1"]],
  ["an object", "hermes", json('{"x": 1}'), ["new-0"]],
  ["a number", "hermes", json("7"), ["new-0"]],
  ["a string twice", "hermes", json('"call_1"') + json('"call_1"'), ["call_1", "new-0"]],
  [
    "an index twice",
    "kimi-k2",
    `<|tool_calls_section_begin|>${kimi(0)}${kimi(0)}<|tool_calls_section_end|>`,
    ["functions.fn:0", "new-0"],
  ],
  [
    "nothing between the markers, and the same twice",
    "mistral-v13",
    "[TOOL_CALLS]fn[CALL_ID][ARGS]{}[TOOL_CALLS]fn[CALL_ID]abcdefghi[ARGS]{}[TOOL_CALLS]fn[CALL_ID]abcdefghi[ARGS]{}",
    ["new-0", "abcdefghi", "new-1"],
  ],
  [
    "a missing one",
    "solar-open",
    "<|tool_calls|><|tool_call:begin|><|tool_call:name|>fn<|tool_call:args|>{}<|tool_call:end|>",
    ["new-0"],
  ],
])("an identifier that the model writes as %s", (_, format, output, ids) => {
  expect(idsOf(format, output)).toEqual(ids);
});

test("an identifier of an earlier call counts as none, and those of this answer as used", () => {
  const used = new Set(["call_1"]);
  expect(idsOf("hermes", json('"call_1"') + json('"call_2"'), used)).toEqual(["new-0", "call_2"]);
  expect([...used]).toEqual(["call_1", "new-0", "call_2"]);
});
