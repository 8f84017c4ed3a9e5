import type { AnswerFormat } from "./conversation.ts";
import type { GrammarWarning } from "./grammar/plan-grammar.ts";
import { schemaIssues } from "./grammar/schema-issues.ts";

/** What is wrong with a whole answer, one sentence each. */
export type CheckAnswer = (text: string) => readonly string[];

/** Finds where a whole answer breaks its schema. null = the grammar enforces all that was asked. */
export function answerCheck(
  format: AnswerFormat,
  warnings: readonly GrammarWarning[],
): CheckAnswer | null {
  if (format.kind !== "json" || warnings.length === 0) return null;
  return (text) =>
    (schemaIssues(format.schema, text) ?? []).map(
      ({ instance, schema }) => `${instance === "" ? "the answer" : instance} breaks ${schema}`,
    );
}

/** One sentence that begins with the path of the request's field. */
export const warningText = ({ param, keyword, pointer }: GrammarWarning): string =>
  `${param}: ${keyword} at ${pointer} is not enforced`;
