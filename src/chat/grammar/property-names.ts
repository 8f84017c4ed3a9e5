import type { LengthRange } from "./regex-grammar.ts";
import { PatternMatcher } from "./regex-match.ts";
import type { Emitter } from "./schema-emit.ts";
import { smaller, type ObjectRules } from "./schema-shape.ts";
import { isSchemaObject, type Located, type SchemaObject } from "./schema-source.ts";
import { constraintsOf, isAnything } from "./schema-values.ts";
import type { TextShape } from "./shaped-text.ts";
import { STRING_FORMATS } from "./string-formats.ts";

/** Matching steps that count as one grammar element. */
const STEPS_PER_ELEMENT = 100;

/** What the rules about names in general mean for single names. */
export class PropertyNames {
  /** In declared order, required names without a declaration last. */
  readonly declared: readonly string[];
  /** `propertyNames` of every schema, where it says something. */
  readonly rules: readonly Located[];
  readonly #emitter: Emitter;
  readonly #object: ObjectRules;
  readonly #matchers = new Map<string, PatternMatcher>();
  #steps = 0;

  constructor(emitter: Emitter, rules: ObjectRules) {
    this.#emitter = emitter;
    this.#object = rules;
    this.declared = [...new Set([...rules.properties.keys(), ...rules.required])];
    this.rules = namesRules(emitter, rules);
  }

  /** Notes that the rules for names are not kept. */
  report(): void {
    for (const located of this.rules) this.#emitter.report(located);
  }

  /** Whether a property may have this name; null = not every rule is looked at. */
  allow(name: string): boolean | null {
    return all(this.rules.map(({ schema }) => this.#fits(schema, name)));
  }

  /**
   * What a name that is not declared keeps, as a text; and whether that is all that the rules say.
   * @param pattern It matches this as well; null = no pattern.
   */
  shape(pattern: string | null): { shape: TextShape; isWhole: boolean } {
    const patterns = pattern === null ? [] : [pattern];
    const formats: string[] = [];
    const length: LengthRange = { min: 0, max: null };
    let isWhole = true;
    for (const { schema } of this.rules) {
      const rule = isSchemaObject(schema) ? schema : {};
      for (const keyword of constraintsOf(rule)) {
        const value = rule[keyword];
        if (keyword === "pattern" && typeof value === "string") patterns.push(value);
        else if (keyword === "format" && isKnownFormat(value)) formats.push(value);
        else if (keyword === "minLength" && typeof value === "number") {
          length.min = Math.max(length.min, value);
        } else if (keyword === "maxLength" && typeof value === "number") {
          length.max = smaller(length.max, value);
        } else if (!saysNothing(rule, keyword)) isWhole = false;
      }
    }
    // A name that is declared may not be written once more: it would owe more than this.
    const except = this.declared.filter(
      (name) =>
        this.allow(name) !== false && (pattern === null || this.#matches(pattern, name) !== false),
    );
    return { shape: { patterns, formats, length, except }, isWhole };
  }

  /** What the value of a property owes; null when no property may have the name. */
  owed(name: string): readonly Located[] | null {
    const allowed = this.allow(name);
    if (allowed === false) return null;
    if (allowed === null) this.report();
    const owed = [...(this.#object.properties.get(name) ?? [])];
    for (const { pattern, pointer, value } of this.#object.patterns) {
      const matches = this.#matches(pattern, name);
      if (matches === true) owed.push(...value);
      if (matches === null) this.#emitter.report({ schema: value, pointer });
    }
    for (const { value, names, patterns } of this.#object.rest) {
      if (names.has(name)) continue;
      const results = [...patterns].map((pattern) => this.#matches(pattern, name));
      if (results.every((matches) => matches === false)) owed.push(value);
      else if (!results.includes(true)) this.#emitter.report(value);
    }
    return owed;
  }

  /** What the value of an undeclared property owes whose name matches this pattern. */
  owedBy(pattern: string): readonly Located[] {
    const { patterns, rest } = this.#object;
    const owed = patterns.filter((each) => each.pattern === pattern).flatMap(({ value }) => value);
    for (const rule of rest) {
      if (rule.patterns.has(pattern)) continue;
      // A name may match a pattern of the other schema as well.
      if (rule.patterns.size > 0) this.#emitter.report(rule.value);
      else owed.push(rule.value);
    }
    return owed;
  }

  /** Whether a pattern may give a name that is declared as well. */
  isDeclared(pattern: string): boolean {
    const names = [...this.#object.properties.keys()];
    return names.some((name) => this.#matches(pattern, name) !== false);
  }

  #matches(pattern: string, name: string): boolean | null {
    let matcher = this.#matchers.get(pattern);
    if (matcher === undefined) {
      matcher = new PatternMatcher(pattern);
      this.#matchers.set(pattern, matcher);
    }
    const { matches, steps } = matcher.match(name);
    this.#steps += steps;
    this.#emitter.builder.spend(Math.floor(this.#steps / STEPS_PER_ELEMENT));
    this.#steps %= STEPS_PER_ELEMENT;
    return matches;
  }

  /** Whether a name satisfies a schema; null = not every keyword is looked at. */
  #fits(schema: unknown, name: string): boolean | null {
    if (isAnything(schema)) return true;
    if (!isSchemaObject(schema)) return false;
    return all(constraintsOf(schema).map((keyword) => this.#holds(schema, keyword, name)));
  }

  #holds(schema: SchemaObject, keyword: string, name: string): boolean | null {
    const rule = schema[keyword];
    const length = Array.from(name).length;
    switch (keyword) {
      case "type":
        return rule === "string" || (Array.isArray(rule) && rule.includes("string"));
      case "const":
        return rule === name;
      case "enum":
        return Array.isArray(rule) ? rule.includes(name) : null;
      case "minLength":
        return typeof rule === "number" ? length >= rule : null;
      case "maxLength":
        return typeof rule === "number" ? length <= rule : null;
      case "pattern":
        return typeof rule === "string" ? this.#matches(rule, name) : null;
      case "format":
        if (isKnownFormat(rule)) return this.#matches(STRING_FORMATS.get(rule)?.full ?? "", name);
        return saysNothing(schema, keyword) ? true : null;
      default:
        return null;
    }
  }
}

/** `propertyNames` of every schema that says something of a name, with a `$ref` followed. */
export function namesRules(emitter: Emitter, { names }: ObjectRules): readonly Located[] {
  return names
    .map((located) => ({ ...emitter.target(located), pointer: located.pointer }))
    .filter(({ schema }) => {
      if (!isSchemaObject(schema)) return schema !== true;
      return constraintsOf(schema).some((keyword) => !saysNothing(schema, keyword));
    });
}

/** Whether every name keeps this keyword. Beside a pattern, an unknown format is a remark. */
function saysNothing(schema: SchemaObject, keyword: string): boolean {
  const rule = schema[keyword];
  if (keyword === "type") return [rule].flat().includes("string");
  if (keyword === "minLength") return rule === 0;
  if (keyword === "format") return schema["pattern"] !== undefined && !isKnownFormat(rule);
  return false;
}

const isKnownFormat = (name: unknown): name is string =>
  typeof name === "string" && STRING_FORMATS.has(name);

function all(results: readonly (boolean | null)[]): boolean | null {
  if (results.includes(false)) return false;
  return results.includes(null) ? null : true;
}
