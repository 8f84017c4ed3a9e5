import { expect, test } from "bun:test";
import { Detokenizer } from "../../../src/engine/detokenizer.ts";
import { GrammarGate } from "../../../src/engine/grammar-gate.ts";
import type { Grammar, Sampler } from "../../../src/llama/backend.ts";
import type { GrammarAttach } from "../../../src/protocol/commands.ts";
import { FakeGrammar } from "../../support/fake-grammar.ts";

const TOOL = 'root ::= "<tool_call>" "\\n"? "{}" "</tool_call>"';
const think = { open: false, start: "<think>", end: "</think>" };
const marker: GrammarAttach = { kind: "marker", markers: ["<tool_call>"], reasoning: think };
const openThink: GrammarAttach = { ...marker, reasoning: { ...think, open: true } };
const after: GrammarAttach = { kind: "after", end: "</think>" };

/** What the sampler was told after each piece. */
function run(attach: GrammarAttach, gbnf: string, pieces: string[]) {
  const log: string[] = [];
  let held: Grammar | null = null;
  const sampler: Pick<Sampler, "setGrammar" | "banEndOfGeneration"> = {
    setGrammar: (grammar) => {
      held = grammar;
      log.push("grammar");
    },
    banEndOfGeneration: (banned) => void log.push(banned ? "ban" : "allow"),
  };
  const gate = new GrammarGate(attach, new FakeGrammar(gbnf), sampler as Sampler);
  for (const text of pieces) {
    log.push(text);
    gate.push({ bytes: Buffer.from(text), text });
  }
  gate.dispose();
  return { log, grammar: held as FakeGrammar | null };
}

type Case = { name: string; attach: GrammarAttach; pieces: string[]; log: string[] };
const cases: Case[] = [
  { name: "start: at once", attach: { kind: "start" }, pieces: ["a"], log: ["grammar", "a"] },
  {
    name: "after: when the end is there, split over pieces",
    attach: after,
    pieces: ["hm</th", "ink>", "x"],
    log: ["ban", "hm</th", "ink>", "grammar", "allow", "x"],
  },
  { name: "after: not before", attach: after, pieces: ["hm"], log: ["ban", "hm"] },
  {
    name: "marker: when a marker is complete",
    attach: marker,
    pieces: ["Sure. <tool", "_call>"],
    log: ["Sure. <tool", "_call>", "grammar"],
  },
  {
    name: "marker: not inside reasoning",
    attach: marker,
    pieces: ["<think>", "<tool_call>", "</think>", "<tool_call>"],
    log: ["<think>", "<tool_call>", "</think>", "<tool_call>", "grammar"],
  },
  {
    name: "marker: reasoning that the prompt opened",
    attach: openThink,
    pieces: ["<tool_call>", "</think>\n<tool_call>"],
    log: ["<tool_call>", "</think>\n<tool_call>", "grammar"],
  },
  {
    name: "marker: everything within one piece",
    attach: marker,
    pieces: ["<think><tool_call></think><tool_call>"],
    log: ["<think><tool_call></think><tool_call>", "grammar"],
  },
];

test.each(cases)("$name", ({ attach, pieces, log }) => {
  const live = FakeGrammar.live;
  const { log: told, grammar } = run(
    attach,
    attach.kind === "marker" ? TOOL : 'root ::= "y"',
    pieces,
  );
  expect(told).toEqual(log);
  grammar?.dispose();
  expect(FakeGrammar.live).toBe(live);
});

test("the grammar has read the marker and what came with it", () => {
  const { grammar } = run(marker, TOOL, ["<tool_call>\n{"]);
  expect(grammar?.acceptText("}</tool_call>")).toBe(true);
  expect(grammar?.isComplete).toBe(true);
});

test("text after the trigger that the grammar refuses stays free", () => {
  const { grammar } = run(after, 'root ::= "y"', ["</think>\n\n"]);
  expect(grammar?.acceptText("y")).toBe(true);
});

test("a marker split inside a character is still found", () => {
  const detokenizer = new Detokenizer();
  const bytes = Buffer.from("<｜tool｜>");
  const pieces = Array.from(bytes, (byte) =>
    detokenizer.push({ bytes: Uint8Array.of(byte), text: null }),
  );
  const attach: GrammarAttach = { kind: "marker", markers: ["<｜tool｜>"], reasoning: null };
  const { log } = run(attach, 'root ::= "<｜tool｜>" "x"', pieces);
  expect(log.at(-1)).toBe("grammar");
});
