import { invalidRequest } from "../../lib/errors.ts";
import { findGrammarProblem, type GrammarProblem } from "./grammar-check.ts";
import { judgeWays } from "./grammar-ways.ts";
import { WAYS_STEPS, WorkBudget } from "./work-budget.ts";

/**
 * Checks a grammar that a client wrote before it reaches an engine: syntax, size, undefined rules,
 * left recursion, rules without an end, and repetition or ambiguity that would exhaust the matcher.
 * Takes 50 ms at most: ambiguity that is not found by then counts as none. A grammar that passes
 * compiles in llama.cpp unless it names unknown tokens.
 *
 * @param param names the request field in the error.
 * @throws LmError invalid_request (invalid_grammar) with the line at fault.
 */
export function validateGbnf(gbnf: string, param: string): void {
  const problem = findGrammarProblem(gbnf) ?? ambiguity(gbnf);
  if (problem === null) return;
  const where = problem.line === null ? "" : ` (line ${problem.line})`;
  throw invalidRequest(param, "invalid_grammar", `The grammar ${problem.message}${where}.`);
}

function ambiguity(gbnf: string): GrammarProblem | null {
  return judgeWays(gbnf, new WorkBudget(WAYS_STEPS)) === "many" ? AMBIGUOUS : null;
}

const AMBIGUOUS: GrammarProblem = {
  message:
    "can read the same text in too many ways: two alternatives or repetitions, one behind the " +
    "other or within the other, match the same characters",
  line: null,
};
