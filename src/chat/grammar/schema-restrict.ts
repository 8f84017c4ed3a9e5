import { evaluatedNames, type EvaluatedNames } from "./schema-evaluated.ts";
import {
  ALL_TYPES,
  smaller,
  tighter,
  type ArrayRules,
  type JsonType,
  type NumberRules,
  type ObjectRules,
  type RestRule,
  type Shape,
  type StringRules,
} from "./schema-shape.ts";
import {
  childPointer,
  isSchemaObject,
  type Located,
  type SchemaDocument,
  type SchemaObject,
} from "./schema-source.ts";

/**
 * Narrows a shape by the keywords that stand directly in one schema; applicators such as `anyOf`
 * are resolved by the caller.
 * @throws LmError invalid_request (invalid_json_schema) for a keyword with a value of a wrong type.
 */
export function restrict(shape: Shape, located: Located, document: SchemaDocument): Shape {
  if (!isSchemaObject(located.schema)) return shape;
  const keywords = new Keywords(located.schema, located.pointer, document);
  const named = keywords.types();
  const next: Shape = {
    ...shape,
    types: named === null ? shape.types : shape.types.intersection(named),
    typeNamed: shape.typeNamed || named !== null,
    hints: shape.hints.union(keywords.hints()),
    string: stringRules(shape.string, keywords),
    number: numberRules(shape.number, keywords),
    array: arrayRules(shape.array, keywords),
    object: objectRules(shape.object, keywords),
  };
  if (keywords.has("const")) {
    next.values = sameValues(next.values, [keywords.get("const")]);
  }
  const list = keywords.list("enum");
  if (list !== null) next.values = sameValues(next.values, list);
  return next;
}

/** The values of both lists; null stands for every value. */
function sameValues(a: readonly unknown[] | null, b: readonly unknown[]): readonly unknown[] {
  if (a === null) return b;
  const texts = new Set(b.map((value) => JSON.stringify(value)));
  return a.filter((value) => texts.has(JSON.stringify(value)));
}

const HINTS: ReadonlyMap<JsonType, readonly string[]> = new Map([
  [
    "object",
    [
      "properties",
      "required",
      "additionalProperties",
      "patternProperties",
      "propertyNames",
      "minProperties",
      "maxProperties",
      "unevaluatedProperties",
      "dependentRequired",
      "dependentSchemas",
    ],
  ],
  ["array", ["items", "prefixItems", "minItems", "maxItems", "contains", "uniqueItems"]],
  ["string", ["pattern", "minLength", "maxLength", "format"]],
  ["number", ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]],
]);

/** Typed access to the keywords of one schema. */
class Keywords {
  readonly #schema: SchemaObject;
  readonly pointer: string;
  readonly #document: SchemaDocument;

  constructor(schema: SchemaObject, pointer: string, document: SchemaDocument) {
    this.#schema = schema;
    this.pointer = pointer;
    this.#document = document;
  }

  has(keyword: string): boolean {
    return Object.hasOwn(this.#schema, keyword) && this.#schema[keyword] !== undefined;
  }

  get(keyword: string): unknown {
    return this.has(keyword) ? this.#schema[keyword] : undefined;
  }

  at(keyword: string): Located {
    return { schema: this.get(keyword), pointer: childPointer(this.pointer, keyword) };
  }

  hints(): Set<JsonType> {
    const found = [...HINTS].filter(([, words]) => words.some((word) => this.has(word)));
    return new Set(found.map(([type]) => type));
  }

  /** The types named by `type` and `nullable`; null = all. */
  types(): Set<JsonType> | null {
    const type = this.get("type");
    if (type === undefined) return null;
    const names = Array.isArray(type) ? type : [type];
    const types = new Set<JsonType>();
    for (const name of names) {
      const known = ALL_TYPES.find((candidate) => candidate === name);
      if (known === undefined) this.#fail("type", "is not a JSON Schema type");
      types.add(known);
      if (known === "number") types.add("integer");
    }
    if (this.get("nullable") === true) types.add("null");
    return types;
  }

  list(keyword: string): readonly unknown[] | null {
    const value = this.get(keyword);
    if (value === undefined) return null;
    if (!Array.isArray(value)) this.#fail(keyword, "must be an array");
    return value;
  }

  /** What `unevaluatedProperties` leaves alone. */
  evaluated(): EvaluatedNames {
    return evaluatedNames(this.#schema, this.pointer, this.#document);
  }

  /** A subschema; null when absent. */
  schema(keyword: string): Located | null {
    const located = this.at(keyword);
    if (located.schema === undefined) return null;
    if (typeof located.schema !== "boolean" && !isSchemaObject(located.schema)) {
      this.#fail(keyword, "must be a schema");
    }
    return located;
  }

  /** Subschemas by name. */
  schemas(keyword: string): [name: string, schema: Located][] {
    const value = this.get(keyword);
    if (value === undefined) return [];
    if (!isSchemaObject(value)) this.#fail(keyword, "must be an object");
    return Object.entries(value).map(([name, schema]) => {
      const pointer = childPointer(this.pointer, keyword, name);
      if (typeof schema !== "boolean" && !isSchemaObject(schema)) {
        throw this.#document.error(pointer, "must be an object or a boolean");
      }
      return [name, { schema, pointer }];
    });
  }

  count(keyword: string): number | null {
    const value = this.get(keyword);
    if (value === undefined) return null;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      this.#fail(keyword, "must be an integer of at least 0");
    }
    return value;
  }

  number(keyword: string): number | null {
    const value = this.get(keyword);
    if (value === undefined) return null;
    if (typeof value !== "number" || !Number.isFinite(value))
      this.#fail(keyword, "must be a number");
    return value;
  }

  text(keyword: string): Located | null {
    const located = this.at(keyword);
    if (located.schema === undefined) return null;
    if (typeof located.schema !== "string") this.#fail(keyword, "must be a string");
    return located;
  }

  #fail(keyword: string, message: string): never {
    throw this.#document.error(childPointer(this.pointer, keyword), message);
  }
}

function stringRules(rules: StringRules, keywords: Keywords): StringRules {
  const pattern = keywords.text("pattern");
  const format = keywords.text("format");
  const limits = ["minLength", "maxLength"].filter((keyword) => keywords.has(keyword));
  return {
    min: Math.max(rules.min, keywords.count("minLength") ?? 0),
    max: smaller(rules.max, keywords.count("maxLength")),
    patterns: pattern === null ? rules.patterns : [...rules.patterns, pattern],
    formats: format === null ? rules.formats : [...rules.formats, format],
    lengthPointers: [...rules.lengthPointers, ...limits.map((keyword) => keywords.at(keyword))],
  };
}

function numberRules(rules: NumberRules, keywords: Keywords): NumberRules {
  const next = { ...rules };
  const words = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];
  for (const word of words) {
    if (!keywords.has(word)) continue;
    next.pointers = [...next.pointers, keywords.at(word)];
    // Draft 4: a boolean makes the neighbouring bound exclusive.
    if (typeof keywords.get(word) === "boolean") continue;
    const value = keywords.number(word) ?? 0;
    const lower = word.endsWith("inimum");
    const draft4 = keywords.get(lower ? "exclusiveMinimum" : "exclusiveMaximum") === true;
    const bound = { value, exclusive: word.startsWith("exclusive") || draft4 };
    if (lower) next.min = tighter(next.min, bound, 1);
    else next.max = tighter(next.max, bound, -1);
  }
  const step = keywords.number("multipleOf");
  if (step !== null) next.steps = [...next.steps, keywords.at("multipleOf")];
  return next;
}

function arrayRules(rules: ArrayRules, keywords: Keywords): ArrayRules {
  const tuple = Array.isArray(keywords.get("items"));
  const prefixWord = tuple ? "items" : "prefixItems";
  const prefix = (keywords.list(prefixWord) ?? []).map((schema, index) => ({
    schema,
    pointer: childPointer(keywords.pointer, prefixWord, index),
  }));
  const rest = keywords.schema(tuple ? "additionalItems" : "items");
  const length = Math.max(prefix.length, rules.prefix.length);
  const positions = Array.from({ length }, (_, index) => {
    const own = prefix[index] ?? rest;
    const others = rules.prefix[index] ?? rules.rest;
    return own === null ? others : [...others, own];
  });
  return {
    prefix: positions,
    rest: rest === null ? rules.rest : [...rules.rest, rest],
    restGiven: rules.restGiven || rest !== null,
    min: Math.max(rules.min, keywords.count("minItems") ?? 0),
    minGiven: rules.minGiven || keywords.has("minItems"),
    max: smaller(rules.max, keywords.count("maxItems")),
  };
}

function objectRules(rules: ObjectRules, keywords: Keywords): ObjectRules {
  const own = keywords.schemas("properties");
  const patterns = keywords.schemas("patternProperties");
  const { held, lost } = restRules(keywords, own, patterns);
  const properties = new Map(rules.properties);
  for (const [name, schema] of own) properties.set(name, [...(properties.get(name) ?? []), schema]);
  const required = keywords.list("required") ?? [];
  const names = keywords.schema("propertyNames");
  return {
    properties,
    required: rules.required.union(
      new Set(required.filter((name): name is string => typeof name === "string")),
    ),
    rest: [...rules.rest, ...held],
    unenforced: [...rules.unenforced, ...lost],
    patterns: [
      ...rules.patterns,
      ...patterns.map(([pattern, value]) => ({ pattern, pointer: value.pointer, value: [value] })),
    ],
    names: names === null ? rules.names : [...rules.names, names],
    min: Math.max(rules.min, keywords.count("minProperties") ?? 0),
    max: smaller(rules.max, keywords.count("maxProperties")),
  };
}

/** What the schema says of the names it leaves over, and what of that is not enforced. */
function restRules(
  keywords: Keywords,
  own: readonly [name: string, schema: Located][],
  patterns: readonly [pattern: string, schema: Located][],
): { held: readonly RestRule[]; lost: readonly Located[] } {
  const additional = keywords.schema("additionalProperties");
  const unevaluated = keywords.schema("unevaluatedProperties");
  if (additional !== null) {
    const names = new Set(own.map(([name]) => name));
    const covered = new Set(patterns.map(([pattern]) => pattern));
    return { held: [{ value: additional, names, patterns: covered }], lost: [] };
  }
  if (unevaluated === null) return { held: [], lost: [] };
  const { others, ...evaluated } = keywords.evaluated();
  return {
    held: others === "never" ? [{ value: unevaluated, ...evaluated }] : [],
    lost: others === "maybe" ? [unevaluated] : [],
  };
}
