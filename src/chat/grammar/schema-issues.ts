import { SchemaCheck, type SchemaIssue } from "./schema-check.ts";
import type { SchemaDocument } from "./schema-source.ts";
import { WorkBudget } from "./work-budget.ts";

/** What checking may cost: 50 ms. A schema can ask for exponentially many comparisons. */
export const CHECK_STEPS = 100_000;

/**
 * Where a finished answer breaks its schema: for keywords that the grammar did not hold to. Bounded
 * in work, whatever the schema: what was not looked at counts as fine. Patterns are tried by our
 * own matcher, on short texts, and so are the formats that are known.
 *
 * @returns null when `text` is not JSON, for example when the answer was cut.
 */
export function schemaIssues(
  document: SchemaDocument,
  text: string,
  budget: WorkBudget = new WorkBudget(CHECK_STEPS),
): readonly SchemaIssue[] | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  return new SchemaCheck(document, budget, "known").run(value);
}
