import type { JsonType, Shape } from "./schema-shape.ts";
import { isSchemaObject, type SchemaObject } from "./schema-source.ts";

/** Keywords that constrain a value. Everything else in a schema is annotation. */
const CONSTRAINTS: ReadonlySet<string> = new Set(
  `type nullable enum const not allOf anyOf oneOf $ref if then else $dynamicRef $recursiveRef
  minLength maxLength pattern format minimum maximum exclusiveMinimum exclusiveMaximum multipleOf
  items prefixItems additionalItems minItems maxItems uniqueItems unevaluatedItems contains
  minContains maxContains properties required additionalProperties patternProperties propertyNames
  minProperties maxProperties unevaluatedProperties dependencies dependentRequired
  dependentSchemas`.split(/\s+/),
);

/** Every value satisfies it. */
export function isAnything(schema: unknown): boolean {
  if (schema === true) return true;
  return isSchemaObject(schema) && constraintsOf(schema).length === 0;
}

/** The keywords of a schema that constrain a value. */
export function constraintsOf(schema: SchemaObject): string[] {
  return Object.keys(schema).filter((key) => CONSTRAINTS.has(key));
}

/** A schema without `type` means the type its other keywords are about. */
export function effectiveTypes(shape: Shape): ReadonlySet<JsonType> {
  if (shape.typeNamed || shape.values !== null) return shape.types;
  const order: readonly JsonType[] = ["object", "array", "string", "number"];
  const hinted = order.find((type) => shape.hints.has(type) && shape.types.has(type));
  return hinted === undefined ? shape.types : new Set([hinted]);
}

/** A whole number is an integer. */
export function typeOf(value: unknown): JsonType {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  if (typeof value === "string" || typeof value === "boolean") return typeof value as JsonType;
  return "object";
}
