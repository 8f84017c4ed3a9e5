import type { JsonType, NumberRules } from "./schema-shape.ts";
import {
  childPointer,
  isSchemaObject,
  type Located,
  type SchemaDocument,
} from "./schema-source.ts";
import { constraintsOf } from "./schema-values.ts";
import { areDisjoint, FactsReader, type Facts } from "./union-facts.ts";
import type { WorkBudget } from "./work-budget.ts";

/** A `oneOf`, and the schemas that hold beside it. */
export interface Union {
  /** The value of the keyword. */
  list: unknown;
  members: readonly Located[];
  /** All schemas of the conjunction that it stands in, also the one with the keyword itself. */
  beside: readonly Located[];
}

/** Members that are compared with each other one by one. */
const MAX_COMPARED = 64;
/** Unions in unions, and references to them, that are followed. */
const MAX_DEPTH = 8;

/**
 * Whether nothing that the grammar writes satisfies two members of a `oneOf`: they have different
 * types, or only different scalars, numbers in different ranges, or a property with different
 * scalars, or lack what another requires. Grammars take `oneOf` as `anyOf`, which is the same for
 * these. False when in doubt, or when `budget` is spent.
 */
export function areExclusive(
  { list, members, beside }: Union,
  document: SchemaDocument,
  budget: WorkBudget,
): boolean {
  const reader = new FactsReader({ document, budget, list }, beside);
  const groups = members.map((member) =>
    alternativesOf(member, document).map((each) => reader.with(each).facts()),
  );
  const facts = groups.flat();
  const isFlat = facts.length === groups.length;
  if (isFlat && areDisjoint(facts.map(({ values }) => values))) return true;
  if (isFlat && hasDiscriminator(facts, budget)) return true;
  return groupsExclude(groups, budget);
}

/** The members of a union that is itself a member, as a nested discriminated union has them. */
function alternativesOf(
  located: Located,
  document: SchemaDocument,
  depth: number = 0,
  found: Located[] = [],
): readonly Located[] {
  const { schema, pointer } = located;
  const constraints = isSchemaObject(schema) ? constraintsOf(schema) : [];
  const keyword = constraints.length === 1 ? (constraints[0] ?? "") : "";
  const rule: unknown = isSchemaObject(schema) ? schema[keyword] : null;
  if (depth < MAX_DEPTH && keyword === "$ref") {
    alternativesOf(document.resolve(rule, pointer), document, depth + 1, found);
  } else if (depth < MAX_DEPTH && Array.isArray(rule) && ["anyOf", "oneOf"].includes(keyword)) {
    for (const [index, member] of rule.entries()) {
      if (found.length > MAX_COMPARED) break;
      const at = { schema: member, pointer: childPointer(pointer, keyword, index) };
      alternativesOf(at, document, depth + 1, found);
    }
  } else found.push(located);
  return found;
}

/** Whether nothing satisfies alternatives of two groups. */
function groupsExclude(groups: readonly (readonly Facts[])[], budget: WorkBudget): boolean {
  if (groups.flat().length > MAX_COMPARED) return false;
  return groups.every((group, index) =>
    groups
      .slice(index + 1)
      .flat()
      .every((other) =>
        group.every((one) => {
          budget.spend(1 + one.fixed.size + one.required.size + other.required.size);
          return budget.left > 0 && exclude(one, other);
        }),
      ),
  );
}

/** Whether objects are all that is written, and one property tells them apart. */
function hasDiscriminator(facts: readonly Facts[], budget: WorkBudget): boolean {
  const names = facts.flatMap(({ fixed }) => [...fixed.keys()]).slice(0, MAX_COMPARED);
  return [...new Set(names)].some((name) => {
    budget.spend(facts.length);
    return (
      budget.left > 0 &&
      facts.every((one) => one.writtenTypes.isSubsetOf(OBJECTS) && one.required.has(name)) &&
      areDisjoint(facts.map(({ fixed }) => fixed.get(name) ?? null))
    );
  });
}

function exclude(a: Facts, b: Facts): boolean {
  if (a.types.isDisjointFrom(b.types)) return true;
  if (areDisjoint([a.values, b.values])) return true;
  if (shareOnly(NUMBERS, a, b)) return areApart(a.range, b.range);
  return shareOnly(OBJECTS, a, b) && areOtherObjects(a, b);
}

function areOtherObjects(a: Facts, b: Facts): boolean {
  for (const [name, values] of a.fixed) {
    const isPresent = a.required.has(name) || b.required.has(name);
    if (isPresent && areDisjoint([values, b.fixed.get(name) ?? null])) return true;
  }
  if (lacks(a.names, b) || lacks(b.names, a)) return true;
  // What the grammar writes for one is to break the other, and the other way round.
  return lacks(a.written, b) && lacks(b.written, a);
}

/** Whether one of the names that `other` requires is not among `names`; null = any name. */
const lacks = (names: ReadonlySet<string> | null, other: Facts): boolean =>
  names !== null && !other.required.isSubsetOf(names);

/** Whether what is written for one can satisfy the other only by these types. */
const shareOnly = (kinds: ReadonlySet<JsonType>, a: Facts, b: Facts): boolean =>
  [a.writtenTypes.intersection(b.types), b.writtenTypes.intersection(a.types)].every((types) =>
    types.isSubsetOf(kinds),
  );

const NUMBERS: ReadonlySet<JsonType> = new Set(["number", "integer"]);
const OBJECTS: ReadonlySet<JsonType> = new Set(["object"]);

const areApart = (a: NumberRules, b: NumberRules): boolean => isBelow(a, b) || isBelow(b, a);

/** Whether every number of `a` is smaller than each of `b`. */
function isBelow({ max }: NumberRules, { min }: NumberRules): boolean {
  if (max === null || min === null) return false;
  return max.value < min.value || (max.value === min.value && (max.exclusive || min.exclusive));
}
