import { Compile } from "typebox/compile";
import type { Static, TSchema } from "typebox";
import { invalidRequest, type InvalidReason, type LmError } from "../lib/errors.ts";

/** The part of JSON Schema that our TypeBox values use. */
interface Node {
  type?: string;
  const?: unknown;
  enum?: readonly unknown[];
  anyOf?: readonly Node[];
  properties?: Readonly<Record<string, Node>>;
  required?: readonly string[];
  patternProperties?: Readonly<Record<string, Node>>;
  items?: Node;
  minItems?: number;
  maxItems?: number;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
}

type Problem = LmError<"invalid_request"> | null;

/** Returns the value with its type when it fits, otherwise throws the first rule it breaks. */
export type Validator<T> = (value: unknown) => T;

/**
 * A validator of one schema. Nothing is coerced, unknown fields are ignored. The compiled check
 * decides; only a refused value is walked a second time, to name the field and the rule.
 *
 * @throws LmError invalid_request whose message never holds text of the request, except a short
 *   word given where a fixed list of words is allowed.
 */
export function validator<Schema extends TSchema>(schema: Schema): Validator<Static<Schema>> {
  const compiled = Compile(schema);
  return (value) => {
    if (compiled.Check(value)) return value;
    throw (
      explain(schema, value, "") ??
      invalidRequest(null, "invalid_value", "The request does not have the expected form.")
    );
  };
}

const fieldPath = (path: string, key: string): string => (path === "" ? key : `${path}.${key}`);

/** The first rule that `value` breaks, depth first in the schema's order. */
export function explain(node: Node, value: unknown, path: string): Problem {
  if (node.anyOf) return explainUnion(node.anyOf, value, path);
  const words = wordsOf(node);
  if (words) return explainWords(words, value, path);
  if (node.type === undefined) return null;
  if (!hasType(node, value)) return wrongType([node], value, path);
  switch (node.type) {
    case "object":
      return explainObject(node, value as Readonly<Record<string, unknown>>, path);
    case "array":
      return explainArray(node, value as readonly unknown[], path);
    case "string":
      return explainString(node, value as string, path);
    case "integer":
    case "number":
      return explainNumber(node, value as number, path);
    default:
      return null;
  }
}

function explainObject(
  node: Node,
  value: Readonly<Record<string, unknown>>,
  path: string,
): Problem {
  // A wrong tag is the cause of whatever else does not fit.
  for (const key of TAGS) {
    if (tagsOf(node, key).length === 0 || !Object.hasOwn(value, key)) continue;
    const problem = explainWords(tagsOf(node, key), value[key], fieldPath(path, key));
    if (problem) return problem;
  }
  for (const key of node.required ?? []) {
    if (!Object.hasOwn(value, key)) return missing(fieldPath(path, key));
  }
  for (const [key, child] of Object.entries(node.properties ?? {})) {
    if (!Object.hasOwn(value, key) || value[key] === undefined) continue;
    const problem = explain(child, value[key], fieldPath(path, key));
    if (problem) return problem;
  }
  for (const child of Object.values(node.patternProperties ?? {})) {
    for (const [key, item] of Object.entries(value)) {
      const problem = explain(child, item, fieldPath(path, printable(key)));
      if (problem) return problem;
    }
  }
  return null;
}

function explainArray(node: Node, value: readonly unknown[], path: string): Problem {
  const { minItems, maxItems, items } = node;
  if (minItems !== undefined && value.length < minItems) {
    return refuse(
      path,
      "empty_array",
      `Invalid '${path}': empty array. Expected an array with minimum length ${minItems}, but got ` +
        `an empty array instead.`,
    );
  }
  if (maxItems !== undefined && value.length > maxItems) {
    return refuse(
      path,
      "array_above_max_length",
      `Invalid '${path}': array too long. Expected an array with maximum length ${maxItems}, but ` +
        `got an array with length ${value.length} instead.`,
    );
  }
  if (!items) return null;
  for (const [index, item] of value.entries()) {
    const problem = explain(items, item, `${path}[${index}]`);
    if (problem) return problem;
  }
  return null;
}

function explainString(node: Node, value: string, path: string): Problem {
  const { minLength, maxLength } = node;
  if (minLength !== undefined && value.length < minLength) {
    return refuse(
      path,
      "empty_string",
      `Invalid '${path}': empty string. Expected a string with minimum length ${minLength}, but ` +
        `got an empty string instead.`,
    );
  }
  if (maxLength !== undefined && value.length > maxLength) {
    return refuse(
      path,
      "string_above_max_length",
      `Invalid '${path}': string too long. Expected a string with maximum length ${maxLength}, ` +
        `but got a string with length ${value.length} instead.`,
    );
  }
  return null;
}

function explainNumber(node: Node, value: number, path: string): Problem {
  const kind = node.type === "integer" ? "integer" : "decimal";
  const { minimum = -Number.MAX_VALUE, maximum = Number.MAX_VALUE, exclusiveMinimum } = node;
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum) {
    return outOfRange(path, kind, "below_min", `> ${exclusiveMinimum}`, value);
  }
  if (value < minimum) return outOfRange(path, kind, "below_min", `>= ${minimum}`, value);
  if (value > maximum) return outOfRange(path, kind, "above_max", `<= ${maximum}`, value);
  return null;
}

/** A number beyond a bound, in the words clients know. */
export function outOfRange(
  path: string,
  kind: "integer" | "decimal",
  side: "below_min" | "above_max",
  expected: string,
  got: number,
): LmError<"invalid_request"> {
  const words = side === "below_min" ? "below minimum value" : "above maximum value";
  return refuse(
    path,
    `${kind}_${side}_value`,
    `Invalid '${path}': ${kind} ${words}. Expected a value ${expected}, but got ${got} instead.`,
  );
}

/** Of several forms, the one the value was meant to have is explained. */
function explainUnion(branches: readonly Node[], value: unknown, path: string): Problem {
  const forms = branches.filter((branch) => branch.type !== "null");
  if (value === null && forms.length < branches.length) return null;
  const only = forms[0];
  if (only && forms.length === 1) return explain(only, value, path);
  if (forms.every((form) => wordsOf(form))) {
    return explainWords(
      forms.flatMap((form) => wordsOf(form) ?? []),
      value,
      path,
    );
  }
  const flat = forms.flatMap((form) => form.anyOf ?? [form]);
  const fitting = flat.filter((form) => hasType(form, value));
  if (fitting.length === 0) return wrongType(flat, value, path);
  if (fitting[0] && fitting.length === 1) return explain(fitting[0], value, path);
  if (Array.isArray(value)) return explainArrays(fitting, value, path);
  const key = discriminator(fitting);
  if (key) return explainTagged(fitting, key, value as Readonly<Record<string, unknown>>, path);
  const problems = fitting.map((form) => explain(form, value, path));
  return problems.includes(null) ? null : (problems[0] ?? null);
}

/** Arrays of different items: the first item says which of them was meant. */
function explainArrays(forms: readonly Node[], value: readonly unknown[], path: string): Problem {
  const meant = forms.find((form) => form.items && hasType(form.items, value[0])) ?? forms[0];
  return meant ? explain(meant, value, path) : null;
}

/** Fields that say which of several forms an object has. */
const TAGS: readonly string[] = ["type", "role"];

function discriminator(forms: readonly Node[]): string | undefined {
  return TAGS.find((key) => forms.every((form) => tagsOf(form, key).length > 0));
}

/** The fixed values a node allows, null when it allows more than a list. */
function wordsOf(node: Node): readonly unknown[] | null {
  if (node.enum) return node.enum;
  return "const" in node ? [node.const] : null;
}

/** The words that a form's tag field may hold. */
function tagsOf(form: Node, key: string): readonly unknown[] {
  const tag = form.properties?.[key];
  return (tag && wordsOf(tag)) ?? [];
}

function explainTagged(
  forms: readonly Node[],
  key: string,
  value: Readonly<Record<string, unknown>>,
  path: string,
): Problem {
  const tag = value[key];
  const tagPath = fieldPath(path, key);
  if (tag === undefined || tag === null) return missing(tagPath);
  const meant = forms.find((form) => tagsOf(form, key).includes(tag));
  if (meant) return explain(meant, value, path);
  return explainWords(
    forms.flatMap((form) => tagsOf(form, key)),
    tag,
    tagPath,
  );
}

function explainWords(words: readonly unknown[], value: unknown, path: string): Problem {
  if (words.includes(value)) return null;
  if (!words.some((word) => typeof word === typeof value)) {
    return wrongType([{ type: typeof words[0] }], value, path);
  }
  return unsupportedValue(path, value, words);
}

/** A word outside the list of allowed words. */
export function unsupportedValue(
  path: string,
  got: unknown,
  supported: readonly unknown[],
): LmError<"invalid_request"> {
  const list = supported.map(quoted).join(", ");
  return refuse(
    path,
    "invalid_value",
    `Invalid value: ${quoted(got)}. Supported values are: ${list}.`,
  );
}

const quoted = (value: unknown): string =>
  typeof value === "string" ? `'${printable(value)}'` : printable(String(value));

/** A client's own word, safe to show: at most 64 characters, no control characters. */
export function printable(text: string): string {
  const shown = text.slice(0, 64).replace(/[\p{C}\u2028\u2029]/gu, "\uFFFD");
  return text.length > 64 ? `${shown}...` : shown;
}

/** A required field that is not there. */
export function missing(path: string): LmError<"invalid_request"> {
  return refuse(path, "missing_required_parameter", `Missing required parameter: '${path}'.`);
}

function refuse(path: string, reason: InvalidReason, message: string): LmError<"invalid_request"> {
  return invalidRequest(path === "" ? null : path, reason, message);
}

function wrongType(
  forms: readonly Node[],
  value: unknown,
  path: string,
): LmError<"invalid_request"> {
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

const withArticle = (noun: string): string => (/^[aeio]/.test(noun) ? `an ${noun}` : `a ${noun}`);

function nounOf(node: Node): string {
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

function hasType(node: Node, value: unknown): boolean {
  if (node.anyOf) return node.anyOf.some((branch) => hasType(branch, value));
  const words = wordsOf(node);
  if (words) return words.some((word) => typeof word === typeof value);
  switch (node.type) {
    case undefined:
      return true;
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "array":
      return Array.isArray(value);
    case "integer":
      // Infinity is how `1e400` arrives: a number, beyond every bound.
      return Number.isInteger(value) || value === Infinity || value === -Infinity;
    case "null":
      return value === null;
    default:
      return typeof value === node.type;
  }
}
