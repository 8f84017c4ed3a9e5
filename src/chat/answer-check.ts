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

/** Stands for each byte of a broken character, which the grammar counted as one character. */
const BROKEN = "\ufffd";

/**
 * The check of one request's answers. null = there is no schema.
 * @param plan Of the request. Unless it counts texts nearly, only schemas that it warns of matter,
 *   and answers with broken characters.
 */
export function answerCheck(
  format: AnswerFormat,
  tools: readonly Tool[],
  { warnings, isNear }: GrammarPlan,
): AnswerCheck | null {
  if (tools.length === 0 && format.kind !== "json") return null;
  const params = new Set(warnings.map(({ param }) => param));
  const named = new Map(
    tools.map((tool, index) => [tool.name, { ...tool, param: `tools[${index}].parameters` }]),
  );
  const schemas = new AnswerSchemas();
  return {
    answer: (answer) =>
      format.kind === "json" && (params.has("format") || answer.includes(BROKEN))
        ? schemas.issues("format", format.schema, answer, "the answer")
        : [],
    call(index, name, json) {
      const tool = named.get(name);
      if (tool === undefined) return [];
      if (!isNear && !params.has(tool.param) && !json.includes(BROKEN)) return [];
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
