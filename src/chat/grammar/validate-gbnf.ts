import { invalidRequest } from "../../lib/errors.ts";
import { findGrammarProblem } from "./grammar-check.ts";

/**
 * Checks a grammar that a client wrote before it reaches an engine: syntax, size, undefined rules,
 * left recursion, rules without an end, and repetition that would exhaust the matcher. Takes
 * milliseconds; a grammar that passes compiles in llama.cpp unless it names unknown tokens.
 *
 * @param param names the request field in the error.
 * @throws LmError invalid_request (invalid_grammar) with the line at fault.
 */
export function validateGbnf(gbnf: string, param: string): void {
  const problem = findGrammarProblem(gbnf);
  if (problem === null) return;
  const where = problem.line === null ? "" : ` (line ${problem.line})`;
  throw invalidRequest(param, "invalid_grammar", `The grammar ${problem.message}${where}.`);
}
