import { isSchemaObject, type SchemaObject } from "./schema-source.ts";

/** Steps of a look at a schema or at a member of a value. */
const VISIT = 2;

/** Steps that a schema and a value cost, besides the schemas and values in them. */
export const costOfLook = (schema: SchemaObject, value: unknown): number =>
  costOf(schema) + VISIT * (1 + sizeOf(value));

/** Steps that the lists of one schema cost, besides the schemas in it. */
function costOf(schema: SchemaObject): number {
  let steps = 0;
  for (const keyword of LISTS) {
    const list = schema[keyword];
    if (typeof list === "string") steps += list.length >> 4;
    else if (Array.isArray(list)) steps += list.length;
    else if (typeof list === "object" && list !== null) steps += Object.keys(list).length;
  }
  return steps;
}

/** Members of an array or object, which are gone through, too. */
function sizeOf(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  return isSchemaObject(value) ? Object.keys(value).length : 0;
}

/** Keywords that are gone through, from end to end, for every value. */
const LISTS = [
  "enum",
  "type",
  "required",
  "dependencies",
  "dependentRequired",
  "dependentSchemas",
  "$ref",
];
