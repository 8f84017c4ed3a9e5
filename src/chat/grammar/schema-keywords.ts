import type { JsonEquality } from "./json-equality.ts";
import { isSchemaObject, type SchemaObject } from "./schema-source.ts";

/** Whether `value` keeps `rule`, which stands in `schema`. */
type Rule = (
  rule: unknown,
  value: unknown,
  schema: SchemaObject,
  equality: JsonEquality,
) => boolean;

const number = (holds: (rule: number, value: number) => boolean): Rule => {
  return (rule, value) =>
    typeof rule !== "number" || typeof value !== "number" || holds(rule, value);
};
const length = (holds: (rule: number, length: number) => boolean): Rule => {
  return (rule, value, _, equality) =>
    typeof value !== "string" || holds(Number(rule), equality.lengthOf(value));
};
const items = (holds: (rule: number, length: number) => boolean): Rule => {
  return (rule, value) => !Array.isArray(value) || holds(Number(rule), value.length);
};
const size = (holds: (rule: number, size: number) => boolean): Rule => {
  return (rule, value) => !isSchemaObject(value) || holds(Number(rule), Object.keys(value).length);
};
const atLeast = (rule: number, value: number): boolean => value >= rule;
const atMost = (rule: number, value: number): boolean => value <= rule;

/** Keywords that need nothing but the value. */
export const KEYWORDS: readonly (readonly [keyword: string, holds: Rule])[] = [
  ["type", hasType],
  [
    "enum",
    (rule, value, _, equality) =>
      !Array.isArray(rule) || rule.some((option) => equality.same(option, value)),
  ],
  ["const", (rule, value, _, equality) => equality.same(rule, value)],
  [
    "minimum",
    (rule, value, schema) => keepsBound(rule, value, schema["exclusiveMinimum"] === true, 1),
  ],
  [
    "maximum",
    (rule, value, schema) => keepsBound(rule, value, schema["exclusiveMaximum"] === true, -1),
  ],
  ["exclusiveMinimum", number((rule, value) => value > rule)],
  ["exclusiveMaximum", number((rule, value) => value < rule)],
  ["multipleOf", number(isMultiple)],
  ["minLength", length(atLeast)],
  ["maxLength", length(atMost)],
  ["minItems", items(atLeast)],
  ["maxItems", items(atMost)],
  [
    "uniqueItems",
    (rule, value, _, equality) =>
      rule !== true || !Array.isArray(value) || areUnique(value, equality),
  ],
  ["minProperties", size(atLeast)],
  ["maxProperties", size(atMost)],
  ["required", (rule, value) => !isSchemaObject(value) || hasAll(rule, value)],
  ["dependentRequired", hasDependents],
];

/** Draft 4: `exclusiveMinimum: true` beside `minimum`. */
function keepsBound(rule: unknown, value: unknown, isExclusive: boolean, side: 1 | -1): boolean {
  if (typeof rule !== "number" || typeof value !== "number") return true;
  return isExclusive ? (value - rule) * side > 0 : (value - rule) * side >= 0;
}

function hasType(rule: unknown, value: unknown, schema: SchemaObject): boolean {
  if (value === null && schema["nullable"] === true) return true;
  const types: readonly unknown[] = Array.isArray(rule) ? rule : [rule];
  const own = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
  return types.includes(own) || (Number.isInteger(value) && types.includes("integer"));
}

/** Decimal multiples count, although their quotients as doubles are not whole: 0.07 of 0.01. */
export function isMultiple(step: number, value: number): boolean {
  if (Number.isSafeInteger(step) && Number.isSafeInteger(value)) return value % step === 0;
  const quotient = value / step;
  return Math.abs(quotient - Math.round(quotient)) <= 1e-9 * Math.max(1, Math.abs(quotient));
}

function areUnique(values: readonly unknown[], equality: JsonEquality): boolean {
  return new Set(values.map((value) => equality.text(value))).size === values.length;
}

function hasAll(names: unknown, value: SchemaObject): boolean {
  return !Array.isArray(names) || names.every((name) => Object.hasOwn(value, String(name)));
}

function hasDependents(rule: unknown, value: unknown): boolean {
  if (!isSchemaObject(value)) return true;
  return Object.entries(asObject(rule)).every(
    ([name, names]) => !Object.hasOwn(value, name) || hasAll(names, value),
  );
}

export function asObject(value: unknown): SchemaObject {
  return isSchemaObject(value) ? value : {};
}
