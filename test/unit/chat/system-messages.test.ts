import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ChatTemplate } from "../../../src/chat/chat-template.ts";
import {
  DEFAULT_CHAT_OPTIONS,
  type Message,
  type MessageRole,
} from "../../../src/chat/conversation.ts";
import { sharedPath } from "../../support/shared.ts";

const NOW = new Date(2026, 10, 3, 9);

/** One letter for each role, with its text: `sA` is a system message that says A. */
const ROLES: Readonly<Record<string, MessageRole>> = {
  s: "system",
  d: "developer",
  u: "user",
  a: "assistant",
};

const history = (line: string): Message[] =>
  line.split(" ").map((word) => ({
    role: ROLES[word.charAt(0)] ?? "user",
    content: [{ type: "text", text: word.slice(1) }],
    reasoning: null,
    toolCalls: [],
    toolCallId: null,
    name: null,
  }));

const prompt = (template: ChatTemplate, line: string): string =>
  template.renderChat(
    {
      messages: history(line),
      options: { ...DEFAULT_CHAT_OPTIONS, addGenerationPrompt: false },
      bosText: "",
      eosText: "",
    },
    NOW,
  );

const line = "{{ m.role[0] }}{{ m.content }} ";
/** Shows any role anywhere. */
const OPEN = `{% for m in messages %}${line}{% endfor %}`;
/** Shows a system message at the start and passes over others, as gpt-oss and MiniMax do. */
const ONE = `{% for m in messages %}{% if loop.first or m.role not in ['system', 'developer'] %}${line}{% endif %}{% endfor %}`;
/** Refuses a system message that is not the first, as Qwen3.5 does. */
const STRICT = `{% for m in messages %}{% if m.role == 'system' and not loop.first %}{{ raise_exception('at the beginning') }}{% endif %}${line}{% endfor %}`;
/** Shows the last one only, at the start, as DeepSeek-R1 does. */
const LAST = `{% set ns = namespace(s='') %}{% for m in messages if m.role == 'system' %}{% set ns.s = m.content %}{% endfor %}s{{ ns.s }} {% for m in messages if m.role != 'system' %}${line}{% endfor %}`;
/** Several at the start, none later. */
const LEADING = `{% set ns = namespace(open=true) %}{% for m in messages %}{% if m.role != 'system' %}{% set ns.open = false %}{% endif %}{% if ns.open or m.role != 'system' %}${line}{% endif %}{% endfor %}`;

/** Shows a system message behind an answer, and refuses two questions with only one between. */
const TURNS = `{% set ns = namespace(user=true) %}{% for m in messages %}{% if m.role != 'system' %}{% if (m.role == 'user') != ns.user %}{{ raise_exception('roles must alternate') }}{% endif %}{% set ns.user = not ns.user %}{% endif %}${line}{% endfor %}`;

describe("a system message is shown wherever it stands", () => {
  const cases: [name: string, source: string, history: string, shown: string][] = [
    ["two of developer, where one is shown", ONE, "dA dB uU", "dA\n\nB uU "],
    ["system and developer, where one is shown", ONE, "sA dB uU", "sA\n\nB uU "],
    ["developer and system, where one is shown", ONE, "dA sB uU", "dA\n\nB uU "],
    ["a later one that would be lost", ONE, "sA uU aV sB uW", "sA\n\nB uU aV uW "],
    ["a later one of developer", ONE, "dA uU aV dB uW", "dA\n\nB uU aV uW "],
    ["a later one without a first", ONE, "uU aV sB uW", "sB uU aV uW "],
    ["a later one that would be refused", STRICT, "sA uU aV sB uW", "sA\n\nB uU aV uW "],
    ["the last message", STRICT, "uU sB", "sB uU "],
    [
      "the first one, where a later one would replace it",
      LAST,
      "sA uU aV sB uW",
      "sA\n\nB uU aV uW ",
    ],
    ["several later ones, in order", STRICT, "sA uU dB aV sC uW", "sA\n\nB\n\nC uU aV uW "],
    ["several first ones and no later one", LEADING, "sA sB uU", "sA sB uU "],
    ["several first ones and a later one", LEADING, "sA sB uU aV sC uW", "sA\n\nB\n\nC uU aV uW "],
    ["one between two questions that must not follow each other", TURNS, "uU sA uV", "sA uU\n\nV "],
    ["in its place where the template allows it", OPEN, "sA uU aV sB uW", "sA uU aV sB uW "],
  ];
  test.each(cases)("%s", (_name, source, said, shown) => {
    const known = said.includes("d") && source === ONE ? `${source}{# developer #}` : source;
    expect(prompt(new ChatTemplate(known), said)).toBe(shown);
  });
});

test("what is moved to the front is told, and nothing else", () => {
  const told = (source: string, said: string): number =>
    new ChatTemplate(source).warningsOf({ messages: history(said) }).length;
  expect(told(STRICT, "sA uU aV sB uW")).toBe(1);
  expect(told(STRICT, "uU dB")).toBe(1);
  expect(told(STRICT, "sA dB uU aV")).toBe(0);
  expect(told(OPEN, "sA uU aV sB uW")).toBe(0);
});

const folder = sharedPath("templates");

test.skipIf(folder === null)("no public template loses or refuses a system message", () => {
  const files = readdirSync(folder ?? "").filter((file) => file.endsWith(".jinja"));
  const histories = [
    "dFIRST dSECOND uU",
    "sFIRST dSECOND uU",
    "dFIRST sSECOND uU",
    "sFIRST uU aV sSECOND uW",
    "uU aV sFIRST uW dSECOND",
  ];
  const lost = files.flatMap((file) => {
    const template = new ChatTemplate(readFileSync(join(folder ?? "", file), "utf8"));
    return histories
      .filter((said) => {
        const text = prompt(template, said);
        return !text.includes("FIRST") || !text.includes("SECOND");
      })
      .map((said) => `${file}: ${said}`);
  });
  expect(lost).toEqual([]);
});
