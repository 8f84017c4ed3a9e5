import { jsonTypeOf, type JsonType } from "./offered-tools.ts";
import { escapeJson, parseJson } from "./json-value.ts";
import { pythonToJson } from "./literal-value.ts";

/** Whether a raw value is text whatever it looks like, so that it can be streamed. */
export function isPlainString(types: ReadonlySet<JsonType> | null): boolean {
  return types !== null && types.size === 1 && types.has("string");
}

/**
 * The JSON text of a value that a tag holds raw. JSON (then Python's constants and containers)
 * counts where the schema allows its type; everything else is a string.
 *
 * @param types What the schema allows; null = unknown.
 */
export function rawToJson(raw: string, types: ReadonlySet<JsonType> | null): string {
  // Only blanks of JSON may stand around a value beside which there may be texts.
  const isText = types === null || types.has("string");
  const text = isText ? raw.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, "") : raw.trim();
  const parsed = parseJson(text);
  if (parsed !== null && isWanted(jsonTypeOf(parsed.value), types)) return text;
  const constant = PYTHON_CONSTANTS.get(text);
  if (constant !== undefined && isWanted(constant === "null" ? "null" : "boolean", types)) {
    return constant;
  }
  const mayNest = types === null || types.has("object") || types.has("array");
  const literal = mayNest && /^[{[(]/.test(text) ? pythonToJson(text) : null;
  if (literal !== null && isWanted(literal.startsWith("{") ? "object" : "array", types)) {
    return literal;
  }
  // A wrong type that is JSON all the same says more about the model's intent than a string.
  if (types !== null && !types.has("string")) {
    if (parsed !== null) return text;
    if (literal !== null) return literal;
  }
  return `"${escapeJson(raw)}"`;
}

/** A string that is written raw would have no quotes, so quoted text is not a JSON string. */
function isWanted(type: JsonType, types: ReadonlySet<JsonType> | null): boolean {
  if (type === "string") return types !== null && !types.has("string");
  return types === null || types.has(type);
}

const PYTHON_CONSTANTS: ReadonlyMap<string, string> = new Map([
  ["True", "true"],
  ["False", "false"],
  ["None", "null"],
]);
