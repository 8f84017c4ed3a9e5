import { restrict } from "./schema-restrict.ts";
import { anyShape, type JsonType, type NumberRules, type Shape } from "./schema-shape.ts";
import {
  childPointer,
  isSchemaObject,
  type Located,
  type SchemaDocument,
  type SchemaObject,
} from "./schema-source.ts";
import { effectiveTypes, typeOf } from "./schema-values.ts";
import type { WorkBudget } from "./work-budget.ts";

/** What tells values of one member of a `oneOf` from those of another. */
export interface Facts {
  types: ReadonlySet<JsonType>;
  /** Those of them that the grammar writes. */
  writtenTypes: ReadonlySet<JsonType>;
  /** JSON texts of the only values; null = others, or no scalars. */
  values: ReadonlySet<string> | null;
  /** Of numbers. */
  range: NumberRules;
  /** Properties with listed values, such as the kind in a union of objects. */
  fixed: ReadonlyMap<string, ReadonlySet<string>>;
  required: ReadonlySet<string>;
  /** The only names that the schema allows; null = there may be others. */
  names: ReadonlySet<string> | null;
  /** The only names that the grammar writes, which closes objects that declare names; null = any. */
  written: ReadonlySet<string> | null;
}

/** Where schemas come from, and what reading them may cost. */
export interface FactsSource {
  document: SchemaDocument;
  budget: WorkBudget;
  /** The `oneOf` that is asked about: its members are passed over where it stands. */
  list: unknown;
}

/** References and lists of schemas that are followed. */
const MAX_DEPTH = 16;
/** Steps for reading the keywords of a schema. */
const SCHEMA_STEPS = 10;

export function areDisjoint(lists: readonly (ReadonlySet<string> | null)[]): boolean {
  const seen = new Set<string>();
  let total = 0;
  for (const list of lists) {
    if (list === null) return false;
    total += list.size;
    for (const text of list) seen.add(text);
  }
  return seen.size === total;
}

/** Reads what is known of a value that satisfies some schemas; less when the budget is spent. */
export class FactsReader {
  readonly #source: FactsSource;
  readonly #seen = new Set<unknown>();
  /** All that surely holds. */
  #shape: Shape = anyShape("");
  /** Names of alternatives, which the value may take or not. */
  readonly #possible = new Set<string>();
  #hasAlternatives = false;
  /** Whether an alternative names types or values besides objects. */
  #namesOthers = false;
  /** Whether names that nobody declares may be written. */
  #isOpen = false;

  constructor(source: FactsSource, all: readonly Located[]) {
    this.#source = source;
    for (const located of all) this.#read(located, true, 0);
  }

  /** A reader that knows of one more schema. */
  with(located: Located): FactsReader {
    const next = new FactsReader(this.#source, []);
    this.#source.budget.spend(1 + this.#seen.size + this.#possible.size);
    for (const schema of this.#seen) next.#seen.add(schema);
    for (const name of this.#possible) next.#possible.add(name);
    next.#shape = this.#shape;
    next.#hasAlternatives = this.#hasAlternatives;
    next.#namesOthers = this.#namesOthers;
    next.#isOpen = this.#isOpen;
    next.#read(located, true, 0);
    return next;
  }

  /** @param isSure false where the schema is one of several alternatives. */
  #read(located: Located, isSure: boolean, depth: number): void {
    const { schema, pointer } = located;
    const { budget, document, list } = this.#source;
    if (schema === false && isSure) this.#shape = { ...this.#shape, types: new Set() };
    if (!isSchemaObject(schema) || this.#seen.has(schema)) return;
    this.#seen.add(schema);
    if (depth > MAX_DEPTH || budget.left === 0) {
      this.#isOpen = true;
      return;
    }
    this.#keep(located, schema, isSure);
    const next = depth + 1;
    if (schema["$ref"] !== undefined) {
      this.#read(document.resolve(schema["$ref"], pointer), isSure, next);
    }
    for (const keyword of ["allOf", "anyOf", "oneOf"]) {
      const members = schema[keyword];
      if (!Array.isArray(members) || members === list) continue;
      for (const [index, member] of members.entries()) {
        const at = childPointer(pointer, keyword, index);
        this.#read({ schema: member, pointer: at }, isSure && keyword === "allOf", next);
      }
    }
  }

  #keep(located: Located, schema: SchemaObject, isSure: boolean): void {
    const { document, budget } = this.#source;
    const before = isSure ? this.#shape : anyShape("");
    const narrowed = restrict(before, located, document);
    const { values, object } = narrowed;
    budget.spend(SCHEMA_STEPS + object.properties.size + object.required.size);
    budget.spend((before.values?.length ?? 0) + (listed(schema)?.length ?? 0));
    const opens = object.rest.some(({ value }) => value.schema !== false);
    // Listed objects are written as they are.
    const areListed = values !== null && values.some(isSchemaObject);
    if (opens || object.patterns.length > 0 || areListed) this.#isOpen = true;
    if (isSure) this.#shape = narrowed;
    else {
      this.#hasAlternatives = true;
      if (values !== null || (narrowed.typeNamed && !isOnlyObject(narrowed))) {
        this.#namesOthers = true;
      }
      for (const name of declaredBy(narrowed)) this.#possible.add(name);
    }
  }

  facts(): Facts {
    const { types, values, hints, typeNamed, number, object } = this.#shape;
    const fixed = new Map<string, ReadonlySet<string>>();
    for (const [name, all] of object.properties) {
      const texts = all.map((located) => this.#valuesOf(located, 0)).find((each) => each !== null);
      if (texts !== undefined) fixed.set(name, texts);
    }
    // Without a type or values, a schema that speaks of properties means an object, and objects are
    // written for it; any other value satisfies it all the same.
    const isNamed = typeNamed || values !== null || this.#namesOthers;
    const isObject = !isNamed && hints.has("object") && types.has("object");
    const meant = isObject ? new Set<JsonType>(["object"]) : types;
    const written = this.#hasAlternatives ? meant : effectiveTypes(this.#shape);
    const closed = object.rest.find(
      ({ value, patterns }) => value.schema === false && patterns.size === 0,
    );
    const declared = declaredBy(this.#shape);
    return {
      types: listedTypes(values, types),
      writtenTypes: listedTypes(values, written),
      values: values === null ? null : textsOf(values),
      range: number,
      fixed,
      required: object.required,
      names: closed?.names ?? null,
      written: this.#isOpen || declared.size === 0 ? null : declared.union(this.#possible),
    };
  }

  /** The scalars that a schema lists, there or where it refers to. */
  #valuesOf({ schema, pointer }: Located, depth: number): ReadonlySet<string> | null {
    const { document, budget } = this.#source;
    if (!isSchemaObject(schema) || depth > MAX_DEPTH || budget.left === 0) return null;
    const values = listed(schema);
    budget.spend(1 + (values?.length ?? 0));
    if (values !== null) return textsOf(values);
    if (schema["$ref"] === undefined) return null;
    return this.#valuesOf(document.resolve(schema["$ref"], pointer), depth + 1);
  }
}

const isOnlyObject = ({ types }: Shape): boolean => types.size === 1 && types.has("object");

const declaredBy = ({ object }: Shape): ReadonlySet<string> =>
  new Set(object.properties.keys()).union(object.required);

function listedTypes(
  values: readonly unknown[] | null,
  types: ReadonlySet<JsonType>,
): ReadonlySet<JsonType> {
  return values === null ? types : types.intersection(new Set(values.map(typeOf)));
}

function listed(schema: SchemaObject): readonly unknown[] | null {
  if (Object.hasOwn(schema, "const")) return [schema["const"]];
  return Array.isArray(schema["enum"]) ? schema["enum"] : null;
}

/** null when a value is no scalar: equal objects may be written differently. */
function textsOf(values: readonly unknown[]): ReadonlySet<string> | null {
  if (values.some((value) => typeof value === "object" && value !== null)) return null;
  return new Set(values.map((value) => JSON.stringify(value)));
}
