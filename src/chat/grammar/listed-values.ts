import type { SchemaCheck } from "./schema-check.ts";
import { isMultiple } from "./schema-keywords.ts";
import type {
  ArrayRules,
  NumberRules,
  ObjectRules,
  PatternRule,
  RestRule,
  Shape,
  StringRules,
} from "./schema-shape.ts";
import { isSchemaObject, type Located } from "./schema-source.ts";

/** Which listed values keep what stands beside the list, decided before the grammar is made. */
export class ListedValues {
  readonly #check: SchemaCheck;
  readonly #report: (located: Located) => void;
  #undecided: Located[] = [];

  /** @param report receives each keyword that a value may break without our knowing. */
  constructor(check: SchemaCheck, report: (located: Located) => void) {
    this.#check = check;
    this.#report = report;
  }

  keeps(shape: Shape, value: unknown): boolean {
    this.#undecided = [];
    const isKept = this.#keeps(shape, value);
    if (isKept) for (const located of this.#undecided) this.#report(located);
    return isKept;
  }

  #keeps(shape: Shape, value: unknown): boolean {
    if (typeof value === "number") return keepsNumber(shape.number, value);
    if (typeof value === "string") return this.#keepsString(shape.string, value);
    if (Array.isArray(value)) return this.#keepsArray(shape.array, value);
    return !isSchemaObject(value) || this.#keepsObject(shape.object, value);
  }

  #keepsString({ min, max, patterns }: StringRules, value: string): boolean {
    const length = Array.from(value).length;
    if (length < min || (max !== null && length > max)) return false;
    return patterns.every((located) => {
      const matches = this.#check.patterns.matches(located.schema, value);
      if (matches === null) this.#undecided.push(located);
      return matches !== false;
    });
  }

  #keepsArray({ min, max, prefix, rest }: ArrayRules, value: readonly unknown[]): boolean {
    if (value.length < min || (max !== null && value.length > max)) return false;
    return value.every((item, index) => this.#satisfies(prefix[index] ?? rest, item));
  }

  #keepsObject(rules: ObjectRules, value: Readonly<Record<string, unknown>>): boolean {
    const names = Object.keys(value);
    if (names.length < rules.min || (rules.max !== null && names.length > rules.max)) return false;
    if (![...rules.required].every((name) => Object.hasOwn(value, name))) return false;
    this.#undecided.push(...rules.unenforced);
    return names.every((name) => {
      const declared = rules.properties.get(name) ?? [];
      return (
        this.#satisfies(rules.names, name) &&
        this.#satisfies(declared, value[name]) &&
        rules.patterns.every((rule) => this.#keepsPattern(rule, name, value[name])) &&
        rules.rest.every((rest) => this.#keepsRest(rest, name, value[name]))
      );
    });
  }

  #keepsPattern(
    { pattern, pointer, value: rules }: PatternRule,
    name: string,
    value: unknown,
  ): boolean {
    const matches = this.#check.patterns.matches(pattern, name);
    if (matches === null) this.#undecided.push({ schema: null, pointer });
    return matches !== true || this.#satisfies(rules, value);
  }

  #keepsRest({ value: rule, names, patterns }: RestRule, name: string, value: unknown): boolean {
    if (names.has(name)) return true;
    const results = [...patterns].map((pattern) => this.#check.patterns.matches(pattern, name));
    if (results.every((matches) => matches === false)) return this.#satisfies([rule], value);
    if (!results.includes(true)) this.#undecided.push(rule);
    return true;
  }

  #satisfies(all: readonly Located[], value: unknown): boolean {
    return all.every((located) => {
      const { breaks, undecided } = this.#check.judge(located, value);
      this.#undecided.push(...undecided.filter((each) => !isFormat(each)));
      return !breaks;
    });
  }
}

/** Who lists a value vouches for its format. The grammars of formats know only usual forms. */
const isFormat = ({ schema, pointer }: Located): boolean =>
  typeof schema === "string" && pointer.endsWith("/format");

function keepsNumber({ min, max, steps }: NumberRules, value: number): boolean {
  const isAbove = min === null || value > min.value || (value === min.value && !min.exclusive);
  const isBelow = max === null || value < max.value || (value === max.value && !max.exclusive);
  return isAbove && isBelow && steps.every(({ schema }) => isMultiple(Number(schema), value));
}
