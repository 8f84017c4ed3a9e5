import { JsonEquality } from "./json-equality.ts";
import { asObject, KEYWORDS } from "./schema-keywords.ts";
import {
  SchemaDocument,
  childPointer,
  isSchemaObject,
  type SchemaObject,
} from "./schema-source.ts";
import { WorkBudget } from "./work-budget.ts";

/** A place where a value breaks its schema. Pointers are JSON Pointers; "" = the whole. */
export interface SchemaIssue {
  /** Where in the value. */
  instance: string;
  /** The keyword that is broken, in the schema. */
  schema: string;
}

/** What checking may cost: 50 ms. A schema can ask for exponentially many comparisons. */
export const CHECK_STEPS = 100_000;
const MAX_DEPTH = 500;
const MAX_ISSUES = 20;

/**
 * Where a finished answer breaks its schema: for keywords that the grammar did not hold to. Bounded
 * in work, whatever the schema: what was not looked at counts as fine. `pattern`,
 * `patternProperties` and `format` are not looked at, since no pattern of a client runs here.
 *
 * @returns null when `text` is not JSON, for example when the answer was cut.
 */
export function schemaIssues(
  document: SchemaDocument,
  text: string,
  budget: WorkBudget = new WorkBudget(CHECK_STEPS),
): readonly SchemaIssue[] | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  return new SchemaCheck(document, budget).run(value);
}

/** Compares values with the schemas of one document. */
export class SchemaCheck {
  readonly #document: SchemaDocument;
  readonly #budget: WorkBudget;
  readonly #equality: JsonEquality;
  #depth = 0;

  constructor(document: SchemaDocument, budget: WorkBudget) {
    this.#document = document;
    this.#budget = budget;
    this.#equality = new JsonEquality(budget);
  }

  run(value: unknown): readonly SchemaIssue[] {
    const { schema, pointer } = this.#document.root;
    return this.#issues(schema, value, pointer, "").slice(0, MAX_ISSUES);
  }

  #holds(schema: unknown, value: unknown): boolean {
    return this.#issues(schema, value, "", "").length === 0;
  }

  #issues(schema: unknown, value: unknown, pointer: string, instance: string): SchemaIssue[] {
    if (schema === true || schema === undefined) return [];
    if (!isSchemaObject(schema)) return [{ instance, schema: pointer }];
    this.#budget.spend(costOf(schema) + VISIT * (1 + sizeOf(value)));
    if (this.#budget.left === 0 || this.#depth > MAX_DEPTH) return [];
    this.#depth += 1;
    const issues = this.#allIssues(schema, value, pointer, instance);
    this.#depth -= 1;
    return issues;
  }

  #allIssues(
    schema: SchemaObject,
    value: unknown,
    pointer: string,
    instance: string,
  ): SchemaIssue[] {
    const broken = KEYWORDS.filter(
      ([keyword, holds]) =>
        schema[keyword] !== undefined && !holds(schema[keyword], value, schema, this.#equality),
    ).map(([keyword]) => keyword);
    broken.push(...this.#brokenCombinations(schema, value, pointer));
    const own = broken.map((keyword) => ({ instance, schema: childPointer(pointer, keyword) }));
    return [...own, ...this.#deeper(schema, value, pointer, instance)];
  }

  /** Keywords that compare several subschemas with the same value. */
  #brokenCombinations(schema: SchemaObject, value: unknown, pointer: string): string[] {
    const count = (list: unknown): number =>
      Array.isArray(list) ? list.filter((member) => this.#holds(member, value)).length : -1;
    const broken: string[] = [];
    if (schema["anyOf"] !== undefined && count(schema["anyOf"]) === 0) broken.push("anyOf");
    if (schema["oneOf"] !== undefined && ![1, -1].includes(count(schema["oneOf"]))) {
      broken.push("oneOf");
    }
    if (schema["not"] !== undefined && this.#holds(schema["not"], value)) broken.push("not");
    if (schema["if"] !== undefined) {
      const branch = this.#holds(schema["if"], value) ? "then" : "else";
      if (!this.#holds(schema[branch] ?? true, value)) broken.push(branch);
    }
    if (schema["$ref"] !== undefined) {
      const target = this.#document.resolve(schema["$ref"], pointer);
      if (!this.#holds(target.schema, value)) broken.push("$ref");
    }
    return broken;
  }

  #deeper(schema: SchemaObject, value: unknown, pointer: string, instance: string): SchemaIssue[] {
    const all = Array.isArray(schema["allOf"]) ? schema["allOf"] : [];
    const issues = all.flatMap((member: unknown, index) =>
      this.#issues(member, value, childPointer(pointer, "allOf", index), instance),
    );
    if (Array.isArray(value)) issues.push(...this.#items(schema, value, pointer, instance));
    else if (isSchemaObject(value)) issues.push(...this.#members(schema, value, pointer, instance));
    return issues;
  }

  #items(
    schema: SchemaObject,
    items: readonly unknown[],
    pointer: string,
    instance: string,
  ): SchemaIssue[] {
    const tuple = Array.isArray(schema["items"]) ? "items" : "prefixItems";
    const prefix = Array.isArray(schema[tuple]) ? schema[tuple] : [];
    const restWord = tuple === "items" ? "additionalItems" : "items";
    const issues = items.flatMap((item, index) => {
      const own = index < prefix.length;
      const at = own ? childPointer(pointer, tuple, index) : childPointer(pointer, restWord);
      const rule: unknown = own ? prefix[index] : schema[restWord];
      return this.#issues(rule, item, at, childPointer(instance, index));
    });
    if (schema["contains"] !== undefined) {
      const found = items.filter((item) => this.#holds(schema["contains"], item)).length;
      const min = schema["minContains"] ?? 1;
      const max = schema["maxContains"] ?? items.length;
      if (found < Number(min) || found > Number(max)) {
        issues.push({ instance, schema: childPointer(pointer, "contains") });
      }
    }
    return issues;
  }

  #members(
    schema: SchemaObject,
    value: SchemaObject,
    pointer: string,
    instance: string,
  ): SchemaIssue[] {
    const properties = isSchemaObject(schema["properties"]) ? schema["properties"] : {};
    // A name that a pattern may cover is not looked at.
    const covered = schema["patternProperties"] !== undefined;
    const issues = Object.entries(value).flatMap(([name, member]) => {
      const declared = Object.hasOwn(properties, name);
      if (!declared && covered) return [];
      const keys = declared ? ["properties", name] : ["additionalProperties"];
      const rule: unknown = declared ? properties[name] : schema["additionalProperties"];
      return this.#issues(
        rule,
        member,
        childPointer(pointer, ...keys),
        childPointer(instance, name),
      );
    });
    const dependent = {
      ...asObject(schema["dependencies"]),
      ...asObject(schema["dependentSchemas"]),
    };
    for (const [name, rule] of Object.entries(dependent)) {
      if (!Object.hasOwn(value, name) || Array.isArray(rule) || this.#holds(rule, value)) continue;
      issues.push({ instance, schema: childPointer(pointer, "dependentSchemas", name) });
    }
    return issues;
  }
}

/** Steps of a look at a schema or at a member of a value. */
const VISIT = 2;

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
