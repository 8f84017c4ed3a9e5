import { ALL_TYPES, type JsonType } from "./schema-shape.ts";
import {
  childPointer,
  isSchemaObject,
  type Located,
  type SchemaDocument,
} from "./schema-source.ts";
import { typeOf } from "./schema-values.ts";
import type { WorkBudget } from "./work-budget.ts";

/** What tells one member of a `oneOf` from another. */
interface Facts {
  types: ReadonlySet<JsonType>;
  /** JSON texts of the only values; null = others, or no scalars. */
  values: ReadonlySet<string> | null;
  /** Properties with listed values, such as the kind in a union of objects. */
  fixed: ReadonlyMap<string, ReadonlySet<string>>;
  required: ReadonlySet<string>;
  /** The only names; null = there may be others. */
  names: ReadonlySet<string> | null;
}

/** Members that are compared with each other one by one. */
const MAX_COMPARED = 64;
/** References and `allOf`s that are followed. */
const MAX_DEPTH = 8;

/**
 * Whether no value satisfies two members of a `oneOf`: they have different types, or only different
 * scalars, or a property with different ones, or lack what another requires. Grammars take `oneOf`
 * as `anyOf`, which is the same for these. False when in doubt, or when `budget` is spent.
 */
export function areExclusive(
  members: readonly Located[],
  document: SchemaDocument,
  budget: WorkBudget,
): boolean {
  const source: Source = { document, budget };
  const facts = members.map((member) => factsOf(member, source, 0));
  if (areDisjoint(facts.map(({ values }) => values))) return true;
  if (facts.length > MAX_COMPARED) return hasDiscriminator(facts);
  return facts.every((one, index) =>
    facts.slice(index + 1).every((other) => {
      budget.spend(1 + one.fixed.size + one.required.size + other.required.size);
      return budget.left > 0 && exclude(one, other);
    }),
  );
}

/** Where schemas come from, and what reading them may cost. */
interface Source {
  document: SchemaDocument;
  budget: WorkBudget;
}

/** Whether one property tells all of them apart. */
function hasDiscriminator(facts: readonly Facts[]): boolean {
  const names = facts.flatMap(({ fixed }) => [...fixed.keys()]).slice(0, MAX_COMPARED);
  return [...new Set(names)].some(
    (name) =>
      facts.every(({ required }) => required.has(name)) &&
      areDisjoint(facts.map(({ fixed }) => fixed.get(name) ?? null)),
  );
}

function areDisjoint(lists: readonly (ReadonlySet<string> | null)[]): boolean {
  const seen = new Set<string>();
  let total = 0;
  for (const list of lists) {
    if (list === null) return false;
    total += list.size;
    for (const text of list) seen.add(text);
  }
  return seen.size === total;
}

function exclude(a: Facts, b: Facts): boolean {
  if (a.types.isDisjointFrom(b.types)) return true;
  if (areDisjoint([a.values, b.values])) return true;
  for (const [name, values] of a.fixed) {
    const isPresent = a.required.has(name) || b.required.has(name);
    if (isPresent && areDisjoint([values, b.fixed.get(name) ?? null])) return true;
  }
  return lacks(a, b) || lacks(b, a);
}

/** Whether `a` allows only names among which one is missing that `b` requires. */
const lacks = (a: Facts, b: Facts): boolean =>
  a.names !== null && ![...b.required].every((name) => a.names?.has(name));

function factsOf({ schema, pointer }: Located, source: Source, depth: number): Facts {
  if (schema === false) return { ...ANYTHING, types: new Set() };
  const { document, budget } = source;
  if (!isSchemaObject(schema) || depth > MAX_DEPTH || budget.left === 0) return ANYTHING;
  const values = listed(schema);
  const { properties, required, additionalProperties, patternProperties, allOf, $ref } = schema;
  const declared = isSchemaObject(properties) ? Object.entries(properties) : [];
  budget.spend(1 + declared.length + (values?.length ?? 0));
  const fixed = new Map<string, ReadonlySet<string>>();
  for (const [name, property] of declared) {
    const own = valuesOf({ schema: property, pointer }, source, depth);
    if (own !== null) fixed.set(name, own);
  }
  const isClosed = additionalProperties === false && patternProperties === undefined;
  const own: Facts = {
    types: typesOf(schema, values),
    values: values === null ? null : textsOf(values),
    fixed,
    required: new Set(Array.isArray(required) ? required.map(String) : []),
    names: isClosed ? new Set(declared.map(([name]) => name)) : null,
  };
  const others = Array.isArray(allOf)
    ? allOf.map((member: unknown, index) => ({
        schema: member,
        pointer: childPointer(pointer, "allOf", index),
      }))
    : [];
  if ($ref !== undefined) others.push(document.resolve($ref, pointer));
  return others.map((other) => factsOf(other, source, depth + 1)).reduce(both, own);
}

const ANYTHING: Facts = {
  types: new Set(ALL_TYPES),
  values: null,
  fixed: new Map(),
  required: new Set(),
  names: null,
};

/** Of a value that satisfies two schemas. */
function both(a: Facts, b: Facts): Facts {
  return {
    types: a.types.intersection(b.types),
    values: a.values ?? b.values,
    fixed: new Map([...b.fixed, ...a.fixed]),
    required: a.required.union(b.required),
    names: a.names ?? b.names,
  };
}

function typesOf(
  schema: Readonly<Record<string, unknown>>,
  values: readonly unknown[] | null,
): ReadonlySet<JsonType> {
  if (values !== null) return new Set(values.map(typeOf));
  const { type, properties, required, nullable } = schema;
  // Without a type, a schema that speaks of properties means an object.
  const hinted = properties !== undefined || required !== undefined ? ["object"] : ALL_TYPES;
  const names: readonly unknown[] = Array.isArray(type)
    ? type
    : type === undefined
      ? hinted
      : [type];
  const types = new Set(ALL_TYPES.filter((known) => names.includes(known)));
  if (types.has("number")) types.add("integer");
  if (nullable === true && type !== undefined) types.add("null");
  return types;
}

/** The scalars that a schema lists, there or where it refers to. */
function valuesOf(
  { schema, pointer }: Located,
  source: Source,
  depth: number,
): ReadonlySet<string> | null {
  const { document, budget } = source;
  if (!isSchemaObject(schema) || depth > MAX_DEPTH || budget.left === 0) return null;
  const values = listed(schema);
  budget.spend(1 + (values?.length ?? 0));
  if (values !== null) return textsOf(values);
  if (schema["$ref"] === undefined) return null;
  return valuesOf(document.resolve(schema["$ref"], pointer), source, depth + 1);
}

function listed(schema: Readonly<Record<string, unknown>>): readonly unknown[] | null {
  if (Object.hasOwn(schema, "const")) return [schema["const"]];
  return Array.isArray(schema["enum"]) ? schema["enum"] : null;
}

/** null when a value is no scalar: equal objects may be written differently. */
function textsOf(values: readonly unknown[]): ReadonlySet<string> | null {
  if (values.some((value) => typeof value === "object" && value !== null)) return null;
  return new Set(values.map((value) => JSON.stringify(value)));
}
