import { LmError } from "../lib/errors.ts";
import type { AnswerFormat, Tool } from "./conversation.ts";
import type { GrammarPlan, GrammarWarning } from "./grammar/plan-grammar.ts";
import { CHECK_STEPS, schemaIssues } from "./grammar/schema-issues.ts";
import { SchemaDocument } from "./grammar/schema-source.ts";
import { WorkBudget } from "./grammar/work-budget.ts";

/** One sentence on where an answer breaks a schema. `param` is the request's field that holds it. */
export interface AnswerIssue {
  param: string;
  text: string;
}

/** Finds where a finished answer breaks what its grammar does not enforce, or only nearly. */
export interface AnswerCheck {
  /** @param answer A whole answer without calls. */
  answer(answer: string): readonly AnswerIssue[];
  /** @param json The arguments of the call with this index; text that is no JSON has no issues. */
  call(index: number, name: string, json: string): readonly AnswerIssue[];
}

/**
 * The check of one request's answers. null = the grammar enforces all that was asked.
 * @param plan Of the request. Unless it counts texts nearly, only schemas that it warns of matter.
 */
export function answerCheck(
  format: AnswerFormat,
  tools: readonly Tool[],
  { warnings, isNear }: GrammarPlan,
): AnswerCheck | null {
  if (warnings.length === 0 && !isNear) return null;
  const params = new Set(warnings.map(({ param }) => param));
  const checked = new Map(
    tools
      .map((tool, index) => ({ ...tool, param: `tools[${index}].parameters` }))
      .filter(({ param }) => isNear || params.has(param))
      .map((tool) => [tool.name, tool]),
  );
  const schemas = new AnswerSchemas();
  return {
    answer: (answer) =>
      format.kind === "json" && params.has("format")
        ? schemas.issues("format", format.schema, answer, "the answer")
        : [],
    call(index, name, json) {
      const tool = checked.get(name);
      if (tool === undefined) return [];
      const found = schemas.issues(tool.param, tool.parameters ?? {}, json, "the arguments");
      return found.map(({ param, text }) => ({ param, text: `call ${index}: ${text}` }));
    },
  };
}

/** The schemas of one request; all its answers and calls share what checking may cost. */
class AnswerSchemas {
  readonly #budget = new WorkBudget(CHECK_STEPS);
  readonly #documents = new Map<string, SchemaDocument>();

  issues(param: string, schema: unknown, text: string, whole: string): AnswerIssue[] {
    try {
      const document = this.#documents.get(param) ?? new SchemaDocument(schema, param);
      this.#documents.set(param, document);
      return (schemaIssues(document, text, this.#budget) ?? []).map(({ instance, schema: at }) => ({
        param,
        text: `${instance === "" ? whole : instance} breaks ${at}`,
      }));
    } catch (error) {
      // A schema that cannot be used was warned of before.
      if (error instanceof LmError) return [];
      throw error;
    }
  }
}

/** One sentence that begins with the path of the request's field. */
export const warningText = ({ param, keyword, pointer }: GrammarWarning): string =>
  `${param}: ${keyword} at ${pointer} is not enforced`;
