import type { LmError } from "../lib/errors.ts";
import { printable } from "../lib/printable.ts";
import { missing, outOfRange, tooLong, tooShort, unsupportedValue, wrongType } from "./refusals.ts";
import { discriminator, hasType, TAGS, tagsOf, wordsOf, type SchemaNode } from "./schema-node.ts";

type Problem = LmError<"invalid_request"> | null;

/** The first rule that `value` breaks, depth first in the schema's order. */
export function explain(node: SchemaNode, value: unknown, path: string): Problem {
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
  node: SchemaNode,
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

function explainArray(node: SchemaNode, value: readonly unknown[], path: string): Problem {
  const { minItems = 0, maxItems = Infinity, items } = node;
  if (value.length < minItems) return tooShort(path, "array", minItems);
  if (value.length > maxItems) return tooLong(path, "array", maxItems, value.length);
  if (!items) return null;
  for (const [index, item] of value.entries()) {
    const problem = explain(items, item, `${path}[${index}]`);
    if (problem) return problem;
  }
  return null;
}

function explainString(node: SchemaNode, value: string, path: string): Problem {
  const { minLength = 0, maxLength = Infinity } = node;
  if (value.length < minLength) return tooShort(path, "string", minLength);
  if (value.length > maxLength) return tooLong(path, "string", maxLength, value.length);
  return null;
}

function explainNumber(node: SchemaNode, value: number, path: string): Problem {
  const kind = node.type === "integer" ? "integer" : "decimal";
  const { minimum = -Number.MAX_VALUE, maximum = Number.MAX_VALUE, exclusiveMinimum } = node;
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum) {
    return outOfRange(path, kind, "below_min", `> ${exclusiveMinimum}`, value);
  }
  if (value < minimum) return outOfRange(path, kind, "below_min", `>= ${minimum}`, value);
  if (value > maximum) return outOfRange(path, kind, "above_max", `<= ${maximum}`, value);
  return null;
}

function explainWords(words: readonly unknown[], value: unknown, path: string): Problem {
  if (words.includes(value)) return null;
  if (!words.some((word) => typeof word === typeof value)) {
    return wrongType([{ type: typeof words[0] }], value, path);
  }
  return unsupportedValue(path, value, words);
}

/** Of several forms, the one the value was meant to have is explained. */
function explainUnion(branches: readonly SchemaNode[], value: unknown, path: string): Problem {
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
function explainArrays(
  forms: readonly SchemaNode[],
  value: readonly unknown[],
  path: string,
): Problem {
  const meant = forms.find((form) => form.items && hasType(form.items, value[0])) ?? forms[0];
  return meant ? explain(meant, value, path) : null;
}

function explainTagged(
  forms: readonly SchemaNode[],
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

const fieldPath = (path: string, key: string): string => (path === "" ? key : `${path}.${key}`);
