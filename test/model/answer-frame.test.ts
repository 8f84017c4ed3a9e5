import { expect, test } from "bun:test";
import { findFormat } from "../../src/chat/formats/format-table.ts";
import { planGrammar } from "../../src/chat/grammar/plan-grammar.ts";
import { createParser } from "../../src/chat/parser/parser.ts";
import { defined } from "../../src/lib/assert.ts";
import { matched } from "../support/grammar-matcher.ts";

const JSON_ANSWER = '{"ok":[1]}';

interface Case {
  format: string;
  accepts: readonly string[];
  refuses: readonly string[];
}

const cases: readonly Case[] = [
  {
    format: "granite-3",
    accepts: [JSON_ANSWER, `<response>\n${JSON_ANSWER}\n</response>`],
    refuses: [
      `</response>${JSON_ANSWER}`,
      `${JSON_ANSWER}</response>`,
      `<response>${JSON_ANSWER}`,
      `<response><response>${JSON_ANSWER}</response></response>`,
      `<response>${JSON_ANSWER}</response></response>`,
    ],
  },
  {
    format: "ernie-4.5",
    accepts: [JSON_ANSWER, `<response>${JSON_ANSWER}</response>`],
    refuses: [`${JSON_ANSWER}<response>`, `<response>${JSON_ANSWER}<response>`],
  },
  {
    format: "cohere",
    accepts: [
      JSON_ANSWER,
      `<|START_RESPONSE|>${JSON_ANSWER}<|END_RESPONSE|>`,
      `<|START_TEXT|>\n${JSON_ANSWER}`,
    ],
    refuses: [`<response>${JSON_ANSWER}</response>`],
  },
];

/** The text of a whole answer without what the family writes around it. */
function textOf(name: string, answer: string): string {
  const parser = createParser({
    format: defined(findFormat(name), name),
    reasoning: null,
    tools: [],
    parallel: true,
    newId: () => "id",
  });
  const events = [...parser.push(answer), ...parser.end(false)];
  return events.map((event) => (event.type === "text" ? event.text : "")).join("");
}

test.each(cases as Case[])("a JSON answer of $format is JSON", ({ format, accepts, refuses }) => {
  const { grammar } = planGrammar({
    format: defined(findFormat(format), format),
    tools: [],
    choice: { kind: "none" },
    parallel: true,
    answerFormat: { kind: "json", schema: { type: "object" }, strict: true },
    reasoning: null,
  });
  const { gbnf } = defined(grammar, "a grammar");
  expect(matched(gbnf, accepts)).toEqual([...accepts]);
  expect(matched(gbnf, refuses)).toEqual([]);
  expect(accepts.map((answer) => textOf(format, answer).trim())).toEqual(
    accepts.map(() => JSON_ANSWER),
  );
});
