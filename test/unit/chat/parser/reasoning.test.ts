import { expect, test } from "bun:test";
import { call, read, THINK, type ReadOptions } from "../../../support/parse.ts";

interface Case {
  name: string;
  format: string;
  output: string;
  options: ReadOptions;
  reasoning: string;
  text?: string;
  calls?: ReturnType<typeof call>[];
}

const cases: Case[] = [
  {
    name: "emitted",
    format: "hermes",
    output: "<think>\nwhy\n</think>\n\nbecause",
    options: { tags: THINK },
    reasoning: "why",
    text: "because",
  },
  {
    name: "after whitespace",
    format: "glm-4.5",
    output: "\n<think>why</think>\nbecause",
    options: { tags: THINK },
    reasoning: "why",
    text: "because",
  },
  {
    name: "opened by the prompt",
    format: "hermes",
    output: "why\n</think>\n\nbecause",
    options: { tags: THINK, open: true },
    reasoning: "why",
    text: "because",
  },
  {
    name: "opened by the prompt and again",
    format: "hermes",
    output: "<think>why</think>because",
    options: { tags: THINK, open: true },
    reasoning: "why",
    text: "because",
  },
  {
    name: "empty",
    format: "hermes",
    output: "<think>\n\n</think>\n\nbecause",
    options: { tags: THINK },
    reasoning: "",
    text: "because",
  },
  {
    name: "several blocks",
    format: "hermes",
    output: "<think>a</think>\n<think>b</think>c",
    options: { tags: THINK },
    reasoning: "ab",
    text: "c",
  },
  {
    name: "only the end tag",
    format: "minimax-m3",
    output: "</mm:think>because",
    options: { tags: { start: "<mm:think>", end: "</mm:think>" } },
    reasoning: "",
    text: "because",
  },
  {
    name: "never closed",
    format: "hermes",
    output: "still at it",
    options: { tags: THINK, open: true },
    reasoning: "still at it",
  },
  {
    name: "before a call",
    format: "hermes",
    output: '<think>why</think>\n<tool_call>\n{"name": "ring_bell", "arguments": {}}\n</tool_call>',
    options: { tags: THINK },
    reasoning: "why",
    calls: [call("ring_bell", {})],
  },
  {
    name: "between calls",
    format: "hermes",
    output:
      '<tool_call>\n{"name": "ring_bell", "arguments": {}}\n</tool_call>\n<think>again</think>\n<tool_call>\n{"name": "ring_bell", "arguments": {}}\n</tool_call>',
    options: { tags: THINK },
    reasoning: "again",
    calls: [call("ring_bell", {}), call("ring_bell", {})],
  },
  {
    name: "a call inside it stays reasoning",
    format: "hermes",
    output: '<think>or <tool_call>{"name": "ring_bell"}</tool_call>?</think>No.',
    options: { tags: THINK },
    reasoning: 'or <tool_call>{"name": "ring_bell"}</tool_call>?',
    text: "No.",
  },
  {
    name: "a call inside it ends it in some families",
    format: "qwen3-coder",
    output: "why\n<tool_call>\n<function=ring_bell>\n</function>\n</tool_call>",
    options: { tags: THINK, open: true },
    reasoning: "why",
    calls: [call("ring_bell", {})],
  },
  {
    name: "a marker without a call does not end it",
    format: "qwen3-coder",
    output: "the <tool_call> tag</think>ok",
    options: { tags: THINK, open: true },
    reasoning: "the <tool_call> tag",
    text: "ok",
  },
  {
    name: "the tag inside text is text",
    format: "hermes",
    output: "Write <think> first.",
    options: { tags: THINK },
    reasoning: "",
    text: "Write <think> first.",
  },
  {
    name: "control tokens open it anywhere",
    format: "mistral-v11",
    output: "[THINK]a[/THINK]b[THINK]c[/THINK]d",
    options: { tags: { start: "[THINK]", end: "[/THINK]" } },
    reasoning: "ac",
    text: "bd",
  },
  {
    name: "a wrapped answer",
    format: "granite-3",
    output: "<think>why</think><response>a <response> in text</response>",
    options: { tags: THINK },
    reasoning: "why",
    text: "a <response> in text",
  },
  {
    name: "a framed answer",
    format: "cohere",
    output: "<|START_THINKING|>why<|END_THINKING|><|START_RESPONSE|>because<|END_RESPONSE|>",
    options: { tags: { start: "<|START_THINKING|>", end: "<|END_THINKING|>" } },
    reasoning: "why",
    text: "because",
  },
  {
    name: "delimited at its end only",
    format: "apriel",
    output: "why\n[BEGIN FINAL RESPONSE]\nbecause\n[END FINAL RESPONSE]",
    options: {
      tags: { start: "Here are my reasoning steps:\n", end: "[BEGIN FINAL RESPONSE]" },
      open: true,
    },
    reasoning: "why",
    text: "because",
  },
  {
    name: "repeated and empty channels",
    format: "gemma-4",
    output: "<|channel>thought\n<channel|>a<|channel>thought\nb<channel|>c",
    options: { tags: { start: "<|channel>thought", end: "<channel|>" } },
    reasoning: "b",
    text: "ac",
  },
  {
    name: "a role between reasoning and text",
    format: "solar-open",
    output: "<|think|>why<|end|><|begin|>assistant<|content|>because<|end|>",
    options: { tags: { start: "<|think|>", end: "<|end|>" } },
    reasoning: "why",
    text: "because",
  },
  {
    name: "tags of several tokens",
    format: "kimi-k3",
    output:
      "why<|close|>think<|sep|><|open|>response<|sep|>because<|close|>response<|sep|><|close|>message<|sep|>",
    options: { tags: { start: "<|open|>think<|sep|>", end: "<|close|>think<|sep|>" }, open: true },
    reasoning: "why",
    text: "because",
  },
];

test.each(cases)("reasoning: $name", ({ format, output, options, ...expected }) => {
  const answer = read(format, output, options);
  expect(answer).toEqual({
    text: expected.text ?? "",
    reasoning: expected.reasoning,
    calls: expected.calls ?? [],
  });
});
