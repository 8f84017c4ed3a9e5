import { JsonEquality } from "./json-equality.ts";
import { PatternMatchers } from "./regex-match.ts";
import { costOfLook } from "./schema-cost.ts";
import { asObject, KEYWORDS } from "./schema-keywords.ts";
import {
  type SchemaDocument,
  childPointer,
  isSchemaObject,
  type Located,
  type SchemaObject,
} from "./schema-source.ts";
import { STRING_FORMATS } from "./string-formats.ts";
import type { WorkBudget } from "./work-budget.ts";

const MAX_DEPTH = 500;
const MAX_ISSUES = 20;

/** A place where a value breaks its schema. Pointers are JSON Pointers; "" = the whole. */
export interface SchemaIssue {
  /** Where in the value. */
  instance: string;
  /** The keyword that is broken, in the schema. */
  schema: string;
}

interface Judgement {
  breaks: boolean;
  /** Keywords, and subschemas that there was no time for. */
  undecided: readonly Located[];
}

/** Compares values with the schemas of one document. */
export class SchemaCheck {
  readonly patterns: PatternMatchers;
  readonly #document: SchemaDocument;
  readonly #budget: WorkBudget;
  readonly #equality: JsonEquality;
  readonly #formats: "known" | "none";
  #depth = 0;
  /** What was met and not decided, by pointer. */
  #undecided = new Map<string, Located>();

  /** @param formats Which are looked at; what is not leaves a value undecided. */
  constructor(document: SchemaDocument, budget: WorkBudget, formats: "known" | "none" = "none") {
    this.#document = document;
    this.#budget = budget;
    this.#formats = formats;
    this.#equality = new JsonEquality(budget);
    this.patterns = new PatternMatchers(budget);
  }

  run(value: unknown): readonly SchemaIssue[] {
    const { schema, pointer } = this.#document.root;
    return this.#issues(schema, value, pointer, "").slice(0, MAX_ISSUES);
  }

  /** Whether a value surely breaks a schema, and otherwise what was not decided. */
  judge({ schema, pointer }: Located, value: unknown): Judgement {
    const outer = this.#undecided;
    this.#undecided = new Map();
    const breaks = this.#issues(schema, value, pointer, "").length > 0;
    const undecided = breaks ? [] : [...this.#undecided.values()];
    this.#undecided = outer;
    return { breaks, undecided };
  }

  /** As `judge`, where what is undecided leaves the whole undecided. */
  #breaks(located: Located, value: unknown): boolean {
    const { breaks, undecided } = this.judge(located, value);
    this.#leaveOpen(undecided);
    return breaks;
  }

  #issues(schema: unknown, value: unknown, pointer: string, instance: string): SchemaIssue[] {
    if (schema === true || schema === undefined) return [];
    if (!isSchemaObject(schema)) return [{ instance, schema: pointer }];
    this.#budget.spend(costOfLook(schema, value));
    if (this.#budget.left === 0 || this.#depth > MAX_DEPTH) {
      this.#leaveOpen([{ schema, pointer }]);
      return [];
    }
    for (const keyword of undecidedFor(value)) {
      if (schema[keyword] !== undefined) this.#leaveOpen([at(schema, pointer, keyword)]);
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
    if (this.#breaksPattern(at(schema, pointer, "pattern"), value)) broken.push("pattern");
    if (this.#breaksFormat(at(schema, pointer, "format"), value)) broken.push("format");
    broken.push(...this.#brokenCombinations(schema, value, pointer));
    const own = broken.map((keyword) => ({ instance, schema: childPointer(pointer, keyword) }));
    return [...own, ...this.#deeper(schema, value, pointer, instance)];
  }

  #breaksPattern(located: Located, value: unknown): boolean {
    if (located.schema === undefined || typeof value !== "string") return false;
    const matches = this.patterns.matches(located.schema, value);
    if (matches === null) this.#leaveOpen([located]);
    return matches === false;
  }

  #breaksFormat(located: Located, value: unknown): boolean {
    const { schema: name } = located;
    if (typeof name !== "string" || typeof value !== "string") return false;
    const known = this.#formats === "known" ? STRING_FORMATS.get(name) : undefined;
    const matches = known === undefined ? null : this.patterns.matches(known.full, value);
    if (matches === null) this.#leaveOpen([located]);
    return matches === false;
  }

  /** Keywords that compare several subschemas with the same value. */
  #brokenCombinations(schema: SchemaObject, value: unknown, pointer: string): string[] {
    const broken = ["anyOf", "oneOf"].filter(
      (keyword) =>
        schema[keyword] !== undefined && this.#breaksChoice(at(schema, pointer, keyword), value),
    );
    if (schema["not"] !== undefined) {
      const located = at(schema, pointer, "not");
      const { breaks, undecided } = this.judge(located, value);
      if (undecided.length > 0) this.#leaveOpen([located]);
      else if (!breaks) broken.push("not");
    }
    if (schema["if"] !== undefined) {
      const located = at(schema, pointer, "if");
      const { breaks, undecided } = this.judge(located, value);
      const branch = breaks ? "else" : "then";
      if (undecided.length > 0) this.#leaveOpen([located]);
      else if (this.#breaks(at(schema, pointer, branch), value)) broken.push(branch);
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
    const isOneOf = pointer.endsWith("/oneOf");
    if (isOneOf && holding > 1) return true;
    if (holding + open.length === 0) return true;
    if (isOneOf && open.length > 0) this.#leaveOpen([{ schema, pointer }]);
    else if (holding === 0) this.#leaveOpen(open.flat());
    return false;
  }

  /** How many of the schemas and values surely fit, and what is undecided about the others. */
  #count(
    all: readonly Located[],
    values: readonly unknown[],
  ): { holding: number; open: readonly (readonly Located[])[] } {
    const judged = all.flatMap((located) => values.map((value) => this.judge(located, value)));
    const fitting = judged.filter(({ breaks }) => !breaks).map(({ undecided }) => undecided);
    const open = fitting.filter((undecided) => undecided.length > 0);
    return { holding: fitting.length - open.length, open };
  }

  #leaveOpen(undecided: readonly Located[]): void {
    for (const located of undecided) this.#undecided.set(located.pointer, located);
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
      } else if (open.length > 0) this.#leaveOpen([located]);
    }
    return issues;
  }

  #members(
    schema: SchemaObject,
    value: SchemaObject,
    pointer: string,
    instance: string,
  ): SchemaIssue[] {
    const issues = Object.entries(value).flatMap(([name, member]) =>
      this.#rulesOf(schema, name, pointer).flatMap((rule) =>
        this.#issues(rule.schema, member, rule.pointer, childPointer(instance, name)),
      ),
    );
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

  /** What the value of a property owes. */
  #rulesOf(schema: SchemaObject, name: string, pointer: string): readonly Located[] {
    const properties = asObject(schema["properties"]);
    const rules: Located[] = [];
    if (Object.hasOwn(properties, name)) {
      rules.push({ schema: properties[name], pointer: childPointer(pointer, "properties", name) });
    }
    let isOpen = false;
    for (const [pattern, rule] of Object.entries(asObject(schema["patternProperties"]))) {
      const located = {
        schema: rule,
        pointer: childPointer(pointer, "patternProperties", pattern),
      };
      const matches = this.patterns.matches(pattern, name);
      if (matches === true) rules.push(located);
      if (matches !== null) continue;
      isOpen = true;
      this.#leaveOpen([located]);
    }
    return rules.length > 0 || isOpen ? rules : [at(schema, pointer, "additionalProperties")];
  }
}

const at = (schema: SchemaObject, pointer: string, keyword: string): Located => ({
  schema: schema[keyword],
  pointer: childPointer(pointer, keyword),
});

/** Keywords that are not looked at, by what they speak of. */
function undecidedFor(value: unknown): readonly string[] {
  if (Array.isArray(value)) return ["unevaluatedItems", ...REFERENCES];
  return isSchemaObject(value) ? ["unevaluatedProperties", ...REFERENCES] : REFERENCES;
}

const REFERENCES: readonly string[] = ["$dynamicRef", "$recursiveRef"];
