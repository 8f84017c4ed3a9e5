import { invalidRequest } from "../../lib/errors.ts";
import { MAX_GRAMMAR_BYTES } from "../../lib/limits.ts";
import { GrammarBuilder } from "./gbnf.ts";
import { findGrammarProblem } from "./grammar-check.ts";
import { SchemaRules, type UnsupportedKeyword } from "./schema-rules.ts";
import { invalidSchema, SchemaDocument } from "./schema-source.ts";
import type { RequestBudgets } from "./work-budget.ts";

export interface SchemaGrammar {
  /** GBNF with the start symbol `root`. */
  gbnf: string;
  /** Not enforced, or only partly: a finished answer may break these. */
  unsupported: readonly UnsupportedKeyword[];
}

/**
 * The grammar of a JSON Schema: its language is JSON text that satisfies the schema, except for
 * the keywords listed as unsupported. Object properties appear in declared order.
 *
 * @param param names the request field in errors.
 * @param budgets shared with the other schemas of the request; what they do not last for is
 *   unsupported.
 * @throws LmError invalid_request (invalid_json_schema) when the schema is malformed, refers to
 *   another document, is too large or complex, or can never be satisfied.
 */
export function schemaGrammar(
  schema: unknown,
  param: string,
  budgets?: RequestBudgets,
): SchemaGrammar {
  const tooLarge = (message: string) => invalidSchema(param, "", message);
  const builder = new GrammarBuilder(tooLarge, MAX_GRAMMAR_BYTES, budgets);
  const rules = new SchemaRules(builder, new SchemaDocument(schema, param));
  const gbnf = builder.text(rules.root());
  checkSchemaGrammar(gbnf, param);
  return { gbnf, unsupported: rules.unsupported() };
}

/** Refuses a grammar of ours that the matcher could not work with: endless or ambiguous schemas. */
function checkSchemaGrammar(gbnf: string, param: string): void {
  const problem = findGrammarProblem(gbnf);
  if (problem === null) return;
  throw invalidRequest(
    param,
    "invalid_json_schema",
    `The schema cannot be used: its grammar ${problem.message}.`,
  );
}
