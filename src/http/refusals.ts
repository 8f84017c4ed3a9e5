import { invalidRequest, type InvalidReason, type LmError } from "../lib/errors.ts";
import { printable } from "../lib/printable.ts";
import { wordsOf, type SchemaNode } from "./schema-node.ts";

type Refusal = LmError<"invalid_request">;

/** A required field that is not there. */
export function missing(path: string): Refusal {
  return refuse(path, "missing_required_parameter", `Missing required parameter: '${path}'.`);
}

/** A value of a kind that none of the forms has. */
export function wrongType(forms: readonly SchemaNode[], value: unknown, path: string): Refusal {
  const nouns = [...new Set(forms.map(nounOf))];
  const last = nouns.at(-1) ?? "value";
  const expected =
    nouns.length < 2
      ? withArticle(last)
      : `one of ${withArticle(nouns.slice(0, -1).join(", "))} or ${last}`;
  const what = path === "" ? "the request body" : `'${path}'`;
  return refuse(
    path,
    "invalid_type",
    `Invalid type for ${what}: expected ${expected}, but got ${kindOf(value)} instead.`,
  );
}

/** A word outside the list of allowed words. */
export function unsupportedValue(
  path: string,
  got: unknown,
  supported: readonly unknown[],
): Refusal {
  const list = supported.map(quoted).join(", ");
  return refuse(
    path,
    "invalid_value",
    `Invalid value: ${quoted(got)}. Supported values are: ${list}.`,
  );
}

/** A number beyond a bound, in the words clients know. */
export function outOfRange(
  path: string,
  kind: "integer" | "decimal",
  side: "below_min" | "above_max",
  expected: string,
  got: number,
): Refusal {
  const words = side === "below_min" ? "below minimum value" : "above maximum value";
  return refuse(
    path,
    `${kind}_${side}_value`,
    `Invalid '${path}': ${kind} ${words}. Expected a value ${expected}, but got ${got} instead.`,
  );
}

/** An array or string with fewer items or characters than allowed; only the empty one can be. */
export function tooShort(path: string, kind: "array" | "string", minLength: number): Refusal {
  return refuse(
    path,
    `empty_${kind}`,
    `Invalid '${path}': empty ${kind}. Expected ${withArticle(kind)} with minimum length ` +
      `${minLength}, but got an empty ${kind} instead.`,
  );
}

/** An array or string with more items or characters than allowed. */
export function tooLong(
  path: string,
  kind: "array" | "string",
  maxLength: number,
  length: number,
): Refusal {
  const noun = withArticle(kind);
  return refuse(
    path,
    `${kind}_above_max_length`,
    `Invalid '${path}': ${kind} too long. Expected ${noun} with maximum length ${maxLength}, but ` +
      `got ${noun} with length ${length} instead.`,
  );
}

const quoted = (value: unknown): string =>
  typeof value === "string" ? `'${printable(value)}'` : printable(String(value));

function refuse(path: string, reason: InvalidReason, message: string): Refusal {
  return invalidRequest(path === "" ? null : path, reason, message);
}

const withArticle = (noun: string): string => (/^[aeio]/.test(noun) ? `an ${noun}` : `a ${noun}`);

function nounOf(node: SchemaNode): string {
  const words = wordsOf(node);
  if (words) return typeof words[0];
  if (node.type !== "array") return node.type ?? "value";
  const items = node.items?.anyOf ?? (node.items ? [node.items] : []);
  const kinds = [
    ...new Set(items.map((item) => (wordsOf(item) ? typeof wordsOf(item)?.[0] : item.type))),
  ];
  return kinds.length === 1 && kinds[0] !== undefined ? `array of ${kinds[0]}s` : "array";
}

/** The JSON kind of a value, with its article. */
function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "number") return Number.isInteger(value) ? "an integer" : "a decimal";
  return withArticle(typeof value);
}
