import { expect, test } from "bun:test";
import {
  findReasoningTags,
  isReasoningOpen,
} from "../../../../src/chat/detection/reasoning-tags.ts";

const none = (): boolean => false;

interface Case {
  name: string;
  visible: string[];
  start: string | null;
}

const cases: Case[] = [
  { name: "both tags", visible: ["a <think> b </think>"], start: "<think>" },
  { name: "the end tag alone", visible: ["content.split('</think>')"], start: "<think>" },
  {
    name: "tags that only a prompt shows",
    visible: ["'<|' ~ x", "<|open|>think<|sep|>"],
    start: "<|open|>think<|sep|>",
  },
  { name: "an ambiguous pair, whole", visible: ["<|think|> <|end|>"], start: "<|think|>" },
  { name: "an ambiguous pair, half", visible: ["<|user|>a<|end|>"], start: null },
  { name: "nothing", visible: ["<|user|>"], start: null },
];

test.each(cases)("reasoning tags: $name", ({ visible, start }) => {
  expect(findReasoningTags(visible, none)?.start ?? null).toBe(start);
});

test("tags that are tokens of the vocabulary count where the template is silent", () => {
  const known = new Set(["[THINK]", "[/THINK]", "<think>"]);
  const isSingleToken = (text: string): boolean => known.has(text);
  expect(findReasoningTags(["silent"], isSingleToken)).toEqual({
    start: "[THINK]",
    end: "[/THINK]",
  });
});

const TAGS = { start: "<think>", end: "</think>" };

test("reasoning is open when the prompt ends with its start tag", () => {
  expect(isReasoningOpen("user: x\nassistant: <think>\n", TAGS)).toBe(true);
  expect(isReasoningOpen("assistant: <think>\n\n</think>\n\n", TAGS)).toBe(false);
  expect(isReasoningOpen("user: what is <think>\nassistant:", TAGS)).toBe(false);
});

test("a continued answer may end inside reasoning that it began", () => {
  expect(isReasoningOpen("assistant: <think>so far", TAGS, true)).toBe(true);
  expect(isReasoningOpen("assistant: <think>so</think>Well", TAGS, true)).toBe(false);
});
