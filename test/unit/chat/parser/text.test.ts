import { expect, test } from "bun:test";
import type { ParseEvent } from "../../../../src/chat/parser/parse-event.ts";
import { parserOf, THINK, type ReadOptions } from "../../../support/parse.ts";

interface Case {
  name: string;
  format: string | null;
  options?: ReadOptions;
  pieces: string[];
  /** Text told after each piece, and at the end. */
  told: string[];
}

const CALL = '<tool_call>{"name": "ring_bell", "arguments": {}}</tool_call>';

const cases: Case[] = [
  {
    name: "without markers to wait for, everything is told at once",
    format: null,
    pieces: ["  a ", "\n", "<tool", "\n"],
    told: ["  a ", "\n", "<tool", "\n", ""],
  },
  {
    name: "what may become a marker waits",
    format: "hermes",
    pieces: ["a<tool", "_box>b<"],
    told: ["a", "<tool_box>b", "<"],
  },
  {
    name: "whitespace waits for what follows, and is kept at the end",
    format: "hermes",
    pieces: ["a \n", "\n", "b\n"],
    told: ["a", "", " \n\nb", "\n"],
  },
  {
    name: "whitespace at the start is kept",
    format: "hermes",
    options: { tags: THINK },
    pieces: ["\n", " a"],
    told: ["", "\n a", ""],
  },
  {
    name: "whitespace before and behind a call is dropped",
    format: "hermes",
    pieces: [`a\n\n${CALL}`, "\n"],
    told: ["a", "", ""],
  },
  {
    name: "whitespace behind reasoning is dropped",
    format: "hermes",
    options: { tags: THINK },
    pieces: ["<think>x</think>\n", "\n a "],
    told: ["", "a", " "],
  },
  {
    name: "whitespace behind reasoning that the prompt has ended is dropped",
    format: "hermes",
    options: { tags: THINK, isOver: true },
    pieces: ["\n", "\n a "],
    told: ["", "a", " "],
  },
  {
    name: "control markers are dropped, with or without tools",
    format: "cohere",
    options: { tools: [] },
    pieces: ["<|START_RESPONSE|>a", " b<|END_RESPONSE|>"],
    told: ["a", " b", ""],
  },
];

const textOf = (events: readonly ParseEvent[]): string =>
  events.map((event) => (event.type === "text" ? event.text : "")).join("");

test.each(cases)("text: $name", ({ format, options, pieces, told }) => {
  const parser = parserOf(format, options);
  const texts = pieces.map((piece) => textOf(parser.push(piece)));
  expect([...texts, textOf(parser.end(false))]).toEqual(told);
});
