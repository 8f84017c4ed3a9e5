import { expect, test } from "bun:test";
import { collect, type Answer } from "../../scripts/chat-corpus/collect.ts";
import { findFormat } from "../../src/chat/formats/format-table.ts";
import type { ReasoningTags, ToolFormat } from "../../src/chat/formats/format.ts";
import { createParser, type Parser, type ParserOptions } from "../../src/chat/parser/parser.ts";

/** Tools that cover every kind of argument. */
export const TOOLS = [
  {
    name: "book_table",
    parameters: {
      type: "object",
      properties: { place: { type: "string" }, seats: { type: "integer" } },
      required: ["place"],
    },
  },
  { name: "ring_bell", parameters: null },
  {
    name: "plan_trip",
    parameters: {
      type: "object",
      properties: {
        stops: { type: "array", items: { type: "string" } },
        budget: { type: ["number", "null"] },
        code: { anyOf: [{ type: "string" }, { type: "integer" }] },
        guided: { type: "boolean" },
        route: {
          type: "object",
          properties: {
            legs: {
              type: "array",
              items: { type: "object", properties: { by: { type: "string" } } },
            },
          },
        },
      },
    },
  },
] as const;

export const THINK: ReasoningTags = { start: "<think>", end: "</think>" };

export interface ReadOptions {
  tags?: ReasoningTags;
  /** The prompt already opened the reasoning. */
  open?: boolean;
  /** The prompt ends with the end of the reasoning. */
  isOver?: boolean;
  tools?: ParserOptions["tools"];
  parallel?: boolean;
  callsOnly?: boolean;
}

export function formatOf(name: string): ToolFormat {
  const format = findFormat(name);
  if (format === null) throw new Error(`no such format: ${name}`);
  return format;
}

export function parserOf(format: string | null, options: ReadOptions = {}): Parser {
  const { tags, open = false, isOver = false, tools = TOOLS, parallel = true } = options;
  const { callsOnly = false } = options;
  return createParser({
    format: format === null ? null : formatOf(format),
    reasoning: tags === undefined ? null : { tags, open, isOver },
    tools,
    parallel,
    callsOnly,
    newId: () => "",
  });
}

/** Reads an output whole and in chunks of every small size; all readings must agree. */
export function read(format: string | null, output: string, options: ReadOptions = {}): Answer {
  const whole = collect(parserOf(format, options), output, 0);
  for (const size of [1, 2, 3, 5, 7, 11]) {
    expect(collect(parserOf(format, options), output, size)).toEqual(whole);
  }
  return whole;
}

export const call = (name: string, args: unknown, id = ""): Answer["calls"][number] => ({
  name,
  args,
  id,
});

/** An output and what it must be read as; what is absent is empty. */
export interface ParseCase {
  name: string;
  format: string;
  output: string;
  options?: ReadOptions;
  reasoning?: string;
  text?: string;
  calls?: ReturnType<typeof call>[];
}

/** One test per case, in chunks of every small size. */
export function testReadings(subject: string, cases: readonly ParseCase[]): void {
  test.each([...cases])(`${subject}: $name`, ({ format, output, options, ...expected }) => {
    expect(read(format, output, options)).toEqual({
      text: expected.text ?? "",
      reasoning: expected.reasoning ?? "",
      calls: expected.calls ?? [],
    });
  });
}
