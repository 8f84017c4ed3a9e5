import { JsonEquality } from "./json-equality.ts";
import { asObject, KEYWORDS } from "./schema-keywords.ts";
import {
  SchemaDocument,
  childPointer,
  isSchemaObject,
  type Located,
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

interface Judgement {
  breaks: boolean;
  undecided: readonly string[];
}

/** Compares values with the schemas of one document. */
export class SchemaCheck {
  readonly #document: SchemaDocument;
  readonly #budget: WorkBudget;
  readonly #equality: JsonEquality;
  #depth = 0;
  /** Pointers of keywords that were met and not decided. */
  #undecided = new Set<string>();

  constructor(document: SchemaDocument, budget: WorkBudget) {
    this.#document = document;
    this.#budget = budget;
    this.#equality = new JsonEquality(budget);
  }

  run(value: unknown): readonly SchemaIssue[] {
    const { schema, pointer } = this.#document.root;
    return this.#issues(schema, value, pointer, "").slice(0, MAX_ISSUES);
  }

  /** Whether a value surely breaks a schema, and otherwise where it may: pointers of keywords. */
  judge({ schema, pointer }: Located, value: unknown): Judgement {
    const outer = this.#undecided;
    this.#undecided = new Set();
    const breaks = this.#issues(schema, value, pointer, "").length > 0;
    const undecided = breaks ? [] : [...this.#undecided];
    this.#undecided = outer;
    return { breaks, undecided };
  }

  /** As `judge`, where what is undecided leaves the whole undecided. */
  #breaks(located: Located, value: unknown): boolean {
    const { breaks, undecided } = this.judge(located, value);
    for (const pointer of undecided) this.#undecided.add(pointer);
    return breaks;
  }

  #issues(schema: unknown, value: unknown, pointer: string, instance: string): SchemaIssue[] {
    if (schema === true || schema === undefined) return [];
    if (!isSchemaObject(schema)) return [{ instance, schema: pointer }];
    this.#budget.spend(costOf(schema) + VISIT * (1 + sizeOf(value)));
    if (this.#budget.left === 0 || this.#depth > MAX_DEPTH) {
      this.#undecided.add(pointer);
      return [];
    }
    for (const keyword of undecidedFor(value)) {
      if (schema[keyword] !== undefined) this.#undecided.add(childPointer(pointer, keyword));
    }
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
    const at = (keyword: string): Located => ({
      schema: schema[keyword],
      pointer: childPointer(pointer, keyword),
    });
    const broken = ["anyOf", "oneOf"].filter(
      (keyword) => schema[keyword] !== undefined && this.#breaksChoice(at(keyword), value),
    );
    if (schema["not"] !== undefined) {
      const { breaks, undecided } = this.judge(at("not"), value);
      if (!breaks && undecided.length === 0) broken.push("not");
      for (const one of undecided) this.#undecided.add(one);
    }
    if (schema["if"] !== undefined) {
      const { breaks, undecided } = this.judge(at("if"), value);
      const branch = breaks ? "else" : "then";
      for (const one of undecided) this.#undecided.add(one);
      if (undecided.length === 0 && this.#breaks(at(branch), value)) broken.push(branch);
    }
    if (schema["$ref"] !== undefined) {
      const target = this.#document.resolve(schema["$ref"], pointer);
      if (this.#breaks(target, value)) broken.push("$ref");
    }
    return broken;
  }

  #breaksChoice({ schema, pointer }: Located, value: unknown): boolean {
    if (!Array.isArray(schema)) return false;
    const { holding, open } = this.#count(
      schema.map((member: unknown, index) => ({
        schema: member,
        pointer: childPointer(pointer, index),
      })),
      [value],
    );
    if (pointer.endsWith("/oneOf") && holding > 1) return true;
    if (holding + open.length === 0) return true;
    if (holding === 0 || pointer.endsWith("/oneOf")) this.#leaveOpen(open);
    return false;
  }

  /** How many of the schemas and values surely fit, and what is undecided about the others. */
  #count(
    all: readonly Located[],
    values: readonly unknown[],
  ): { holding: number; open: readonly (readonly string[])[] } {
    const judged = all.flatMap((located) => values.map((value) => this.judge(located, value)));
    const fitting = judged.filter(({ breaks }) => !breaks).map(({ undecided }) => undecided);
    const open = fitting.filter((undecided) => undecided.length > 0);
    return { holding: fitting.length - open.length, open };
  }

  #leaveOpen(open: readonly (readonly string[])[]): void {
    for (const pointer of open.flat()) this.#undecided.add(pointer);
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
      const located = { schema: schema["contains"], pointer: childPointer(pointer, "contains") };
      const { holding, open } = this.#count([located], items);
      const min = Number(schema["minContains"] ?? 1);
      const max = Number(schema["maxContains"] ?? items.length);
      if (holding + open.length < min || holding > max) {
        issues.push({ instance, schema: located.pointer });
      } else this.#leaveOpen(open);
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
    if (schema["propertyNames"] !== undefined) {
      const located = {
        schema: schema["propertyNames"],
        pointer: childPointer(pointer, "propertyNames"),
      };
      const isBroken = Object.keys(value).some((name) => this.#breaks(located, name));
      if (isBroken) issues.push({ instance, schema: located.pointer });
    }
    const dependent = {
      ...asObject(schema["dependencies"]),
      ...asObject(schema["dependentSchemas"]),
    };
    for (const [name, rule] of Object.entries(dependent)) {
      if (!Object.hasOwn(value, name) || Array.isArray(rule)) continue;
      const located = { schema: rule, pointer: childPointer(pointer, "dependentSchemas", name) };
      if (this.#breaks(located, value)) issues.push({ instance, schema: located.pointer });
    }
    return issues;
  }
}

/** Keywords that are not looked at, by what they speak of. */
function undecidedFor(value: unknown): readonly string[] {
  if (typeof value === "string") return ["pattern", "format", ...REFERENCES];
  if (Array.isArray(value)) return ["unevaluatedItems", ...REFERENCES];
  return isSchemaObject(value)
    ? ["patternProperties", "unevaluatedProperties", ...REFERENCES]
    : REFERENCES;
}

const REFERENCES: readonly string[] = ["$dynamicRef", "$recursiveRef"];

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
