import {
  SchemaDocument,
  childPointer,
  isSchemaObject,
  type SchemaObject,
} from "./schema-source.ts";

/** A place where a value breaks its schema. Pointers are JSON Pointers; "" = the whole. */
export interface SchemaIssue {
  /** Where in the value. */
  instance: string;
  /** The keyword that is broken, in the schema. */
  schema: string;
}

/** Subschemas visited for one value; a schema can ask for exponentially many. */
const MAX_STEPS = 100_000;
const MAX_DEPTH = 500;
const MAX_ISSUES = 20;

/**
 * Where a finished answer breaks its schema: for keywords that the grammar did not hold to. Bounded
 * in work, whatever the schema: what was not looked at counts as fine. `pattern`,
 * `patternProperties` and `format` are not looked at, since no pattern of a client runs here.
 *
 * @returns null when `text` is not JSON, for example when the answer was cut.
 */
export function schemaIssues(schema: unknown, text: string): readonly SchemaIssue[] | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const check = new SchemaCheck(new SchemaDocument(schema, "format"));
  return check.run(value);
}

class SchemaCheck {
  readonly #document: SchemaDocument;
  #steps = 0;
  #depth = 0;

  constructor(document: SchemaDocument) {
    this.#document = document;
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
    this.#steps += 1 + (Array.isArray(schema["enum"]) ? schema["enum"].length : 0);
    if (this.#steps > MAX_STEPS || this.#depth > MAX_DEPTH) return [];
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
      ([keyword, holds]) => schema[keyword] !== undefined && !holds(schema[keyword], value, schema),
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

type Rule = (rule: unknown, value: unknown, schema: SchemaObject) => boolean;

const number = (holds: (rule: number, value: number) => boolean): Rule => {
  return (rule, value) =>
    typeof rule !== "number" || typeof value !== "number" || holds(rule, value);
};
const length = (holds: (rule: number, length: number) => boolean): Rule => {
  return (rule, value) =>
    typeof value !== "string" || holds(Number(rule), Array.from(value).length);
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
const KEYWORDS: readonly (readonly [keyword: string, holds: Rule])[] = [
  ["type", hasType],
  ["enum", (rule, value) => !Array.isArray(rule) || rule.some((option) => same(option, value))],
  ["const", (rule, value) => same(rule, value)],
  [
    "minimum",
    (rule, value, schema) =>
      number(schema["exclusiveMinimum"] === true ? (a, b) => b > a : atLeast)(rule, value, schema),
  ],
  [
    "maximum",
    (rule, value, schema) =>
      number(schema["exclusiveMaximum"] === true ? (a, b) => b < a : atMost)(rule, value, schema),
  ],
  ["exclusiveMinimum", number((rule, value) => value > rule)],
  ["exclusiveMaximum", number((rule, value) => value < rule)],
  ["multipleOf", number(isMultiple)],
  ["minLength", length(atLeast)],
  ["maxLength", length(atMost)],
  ["minItems", items(atLeast)],
  ["maxItems", items(atMost)],
  ["uniqueItems", (rule, value) => rule !== true || !Array.isArray(value) || areUnique(value)],
  ["minProperties", size(atLeast)],
  ["maxProperties", size(atMost)],
  ["required", (rule, value) => !isSchemaObject(value) || hasAll(rule, value)],
  ["dependentRequired", hasDependents],
];

function hasType(rule: unknown, value: unknown, schema: SchemaObject): boolean {
  if (value === null && schema["nullable"] === true) return true;
  const types: readonly unknown[] = Array.isArray(rule) ? rule : [rule];
  const own = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
  return types.includes(own) || (Number.isInteger(value) && types.includes("integer"));
}

/** Decimal multiples count, although their quotients as doubles are not whole: 0.07 of 0.01. */
function isMultiple(step: number, value: number): boolean {
  const quotient = value / step;
  return Math.abs(quotient - Math.round(quotient)) <= 1e-9 * Math.max(1, Math.abs(quotient));
}

function areUnique(values: readonly unknown[]): boolean {
  return new Set(values.map(canonical)).size === values.length;
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

function same(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

/** JSON text that is equal for equal values. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    isSchemaObject(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

function asObject(value: unknown): SchemaObject {
  return isSchemaObject(value) ? value : {};
}
