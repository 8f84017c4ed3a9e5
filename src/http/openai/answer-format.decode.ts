import type { AnswerFormat } from "../../chat/conversation.ts";
import { invalidRequest, type LmError } from "../../lib/errors.ts";
import { MAX_GRAMMAR_BYTES, MAX_SCHEMA_BYTES } from "../../lib/limits.ts";
import type { ChatCompletionRequest, ResponseFormat } from "./chat-completions.schema.ts";

type FormatFields = Partial<
  Pick<ChatCompletionRequest, "response_format" | "json_schema" | "grammar">
>;
type JsonSchema = Readonly<Record<string, unknown>>;

/** What the answer must look like, from the three fields that can say so. */
export function toAnswerFormat(body: FormatFields, usesTools: boolean): AnswerFormat {
  const format = toResponseFormat(body.response_format ?? null, body.json_schema ?? null);
  const gbnf = body.grammar ?? null;
  if (gbnf === null) return format;
  if (format.kind !== "text") throw notTogether("a JSON schema or response format");
  if (usesTools) throw notTogether("tools");
  return { kind: "grammar", gbnf: checkGrammarText(gbnf) };
}

/** The grammar's text within its bounds; whether it compiles is the engine's answer. */
function checkGrammarText(gbnf: string): string {
  if (Buffer.byteLength(gbnf) > MAX_GRAMMAR_BYTES) {
    throw invalidRequest(
      "grammar",
      "invalid_grammar",
      `Invalid 'grammar': larger than ${MAX_GRAMMAR_BYTES} bytes.`,
    );
  }
  if (gbnf.includes("\0")) {
    throw invalidRequest("grammar", "invalid_grammar", "Invalid 'grammar': it holds a NUL.");
  }
  return gbnf.toWellFormed();
}

function notTogether(what: string): LmError {
  return invalidRequest(
    "grammar",
    "invalid_value",
    `Invalid value for 'grammar': it cannot be combined with ${what}.`,
  );
}

/** The field that a JSON format comes from: `json_schema` counts beside no other format. */
export function formatSource({ response_format: format, json_schema: schema }: FormatFields) {
  const isAlone = format == null || format.type === "text";
  return isAlone && schema != null ? "json_schema" : "response_format";
}

function toResponseFormat(
  format: ResponseFormat | null,
  topLevel: JsonSchema | null,
): AnswerFormat {
  if (format === null || format.type === "text") {
    return topLevel === null ? { kind: "text" } : json(topLevel, "json_schema", false);
  }
  const inner = format.type === "json_schema" ? (format.json_schema ?? null) : null;
  const strict = inner?.strict === true || inner?.strict === "true";
  return json(inner?.schema ?? outerSchema(format), "response_format", strict);
}

/** The schema beside the type; `value` is what clients of text-generation-inference call it. */
function outerSchema(format: Exclude<ResponseFormat, { type: "text" }>): JsonSchema | null {
  if (format.type === "json") return format.value;
  return format.schema ?? format.value ?? null;
}

/** No schema, or an empty one, means any object. */
function json(schema: JsonSchema | null, param: string, strict: boolean): AnswerFormat {
  if (schema === null || Object.keys(schema).length === 0) {
    return { kind: "json", schema: { type: "object" }, strict };
  }
  if (Buffer.byteLength(JSON.stringify(schema)) > MAX_SCHEMA_BYTES) {
    throw invalidRequest(
      param,
      "invalid_json_schema",
      `Invalid '${param}': the schema is larger than ${MAX_SCHEMA_BYTES} bytes.`,
    );
  }
  return { kind: "json", schema, strict };
}
