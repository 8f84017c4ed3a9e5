import { describe, expect, test } from "bun:test";
import { parserMessage } from "../../../src/llama/ffi-grammar.ts";
import { grammarProblem } from "../../../src/llama/grammar-limits.ts";

describe("grammars that must not reach the parser", () => {
  const nested = (depth: number) => `root ::= ${"(".repeat(depth)}"a"${")".repeat(depth)}`;
  type Case = { name: string; gbnf: string; problem: RegExp | null };
  const cases: Case[] = [
    { name: "an ordinary one", gbnf: 'root ::= "a" | [b-d]+ # note\n', problem: null },
    { name: "nothing", gbnf: " \n", problem: /empty/ },
    { name: "a NUL", gbnf: 'root ::= "a\0"', problem: /NUL/ },
    { name: "groups at the limit", gbnf: nested(256), problem: null },
    { name: "groups beyond it", gbnf: nested(257), problem: /nested/ },
    {
      name: "a hundred thousand groups",
      gbnf: `root ::= ${"(".repeat(100_000)}`,
      problem: /nested/,
    },
    { name: "parentheses in a literal", gbnf: `root ::= "${"(".repeat(999)}"`, problem: null },
    { name: "parentheses in a class", gbnf: `root ::= [${"(".repeat(999)}]`, problem: null },
    { name: "parentheses in a comment", gbnf: `root ::= "a" # ${"(".repeat(999)}`, problem: null },
    { name: "an escaped quote", gbnf: `root ::= "\\"${"(".repeat(999)}"`, problem: null },
    { name: "too many rules", gbnf: "r ::= r\n".repeat(20_001), problem: /rules/ },
  ];
  test.each(cases)("$name", ({ gbnf, problem }) => {
    if (problem === null) expect(grammarProblem(gbnf)).toBeNull();
    else expect(grammarProblem(gbnf)).toMatch(problem);
  });

  test("the parser's message keeps the reason, not the grammar", () => {
    const text = "parse: error parsing grammar: expecting ')' at foo\n\nroot ::= (foo\nsecret";
    expect(parserMessage(text)).toBe("expecting ')' at foo");
    expect(parserMessage("something else")).toBeNull();
  });
});
