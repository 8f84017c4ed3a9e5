import type { Bound } from "./decimal-grammar.ts";
import type { Located } from "./schema-source.ts";

export type JsonType = "null" | "boolean" | "string" | "integer" | "number" | "object" | "array";

export const ALL_TYPES: readonly JsonType[] = [
  "object",
  "array",
  "string",
  "number",
  "integer",
  "boolean",
  "null",
];

/**
 * What one alternative of a schema asks for, with every `$ref`, `allOf`, `anyOf` and `oneOf`
 * resolved: a value fits when it has one of the types and keeps that type's rules. A list of
 * subschemas means all of them at once; an empty list means anything.
 */
export interface Shape {
  /** Where unenforced keywords of this alternative are reported. */
  pointer: string;
  types: ReadonlySet<JsonType>;
  /** Whether a schema named its type; otherwise the type is read off the other keywords. */
  typeNamed: boolean;
  /** Types whose keywords occur, in order of precedence. */
  hints: ReadonlySet<JsonType>;
  /** The only values allowed; null = no such list. */
  values: readonly unknown[] | null;
  /** Values not allowed. */
  forbidden: readonly unknown[];
  string: StringRules;
  number: NumberRules;
  array: ArrayRules;
  object: ObjectRules;
}

export interface StringRules {
  min: number;
  max: number | null;
  patterns: readonly Located[];
  formats: readonly Located[];
  /** Where the length limits stand. */
  lengthPointers: readonly Located[];
}

export interface NumberRules {
  min: Bound | null;
  max: Bound | null;
  steps: readonly Located[];
  pointers: readonly Located[];
}

export interface ArrayRules {
  prefix: readonly (readonly Located[])[];
  rest: readonly Located[];
  /** Whether a schema said what follows the prefix; otherwise nothing does. */
  restGiven: boolean;
  min: number;
  minGiven: boolean;
  max: number | null;
}

export interface ObjectRules {
  /** In declared order. */
  properties: ReadonlyMap<string, readonly Located[]>;
  required: ReadonlySet<string>;
  /**
   * Rules for the names that some schema leaves over. Where there are none, undeclared names are
   * refused if any name is declared.
   */
  rest: readonly RestRule[];
  /** Rules about names that depend on more than the names that stand here. */
  unenforced: readonly Located[];
  patterns: readonly PatternRule[];
  /** Rules for the names themselves. */
  names: readonly Located[];
  min: number;
  max: number | null;
}

/** `additionalProperties` or `unevaluatedProperties`: for names that its schema does not look at. */
export interface RestRule {
  value: Located;
  names: ReadonlySet<string>;
  patterns: ReadonlySet<string>;
}

/** A member of `patternProperties`: for names that match. */
export interface PatternRule {
  pattern: string;
  pointer: string;
  value: readonly Located[];
}

/** The shape of the schema `true`. */
export function anyShape(pointer: string): Shape {
  return {
    pointer,
    types: new Set(ALL_TYPES),
    typeNamed: false,
    hints: new Set(),
    values: null,
    forbidden: [],
    string: { min: 0, max: null, patterns: [], formats: [], lengthPointers: [] },
    number: { min: null, max: null, steps: [], pointers: [] },
    array: { prefix: [], rest: [], restGiven: false, min: 0, minGiven: false, max: null },
    object: {
      properties: new Map(),
      required: new Set(),
      rest: [],
      unenforced: [],
      patterns: [],
      names: [],
      min: 0,
      max: null,
    },
  };
}

export function smaller(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null ? a : Math.min(a, b);
}

/** The tighter of two lower bounds (`side` 1) or upper bounds (`side` -1). */
export function tighter(a: Bound | null, b: Bound, side: 1 | -1): Bound {
  if (a === null) return b;
  if (a.value === b.value) return { value: a.value, exclusive: a.exclusive || b.exclusive };
  return (a.value - b.value) * side > 0 ? a : b;
}
