import type { GrammarBuilder } from "./gbnf.ts";
import { areExclusive, type Union } from "./one-of.ts";
import type { Emitter } from "./schema-emit.ts";
import { restrict } from "./schema-restrict.ts";
import { anyShape, type JsonType, type Shape, ALL_TYPES } from "./schema-shape.ts";
import {
  childPointer,
  isSchemaObject,
  type Located,
  type SchemaDocument,
  type SchemaObject,
} from "./schema-source.ts";

/** Alternatives of one subschema after `allOf` was multiplied out. */
const MAX_ALTERNATIVES = 1024;

/**
 * Of the builder's elements, for a subschema that is applied once more: to another alternative, or
 * on another way to it. The first time costs what it adds.
 */
const REPEATED_COST = 20;

/** Keywords that no grammar of ours enforces. */
const UNENFORCED = [
  "if",
  "contains",
  "minContains",
  "maxContains",
  "dependencies",
  "dependentRequired",
  "dependentSchemas",
  "unevaluatedItems",
  "$dynamicRef",
  "$recursiveRef",
];

/** Receives each keyword that the grammar cannot hold to. */
type Reports = Pick<Emitter, "report" | "tell">;

/** The subschemas that each alternative of a conjunction satisfies: once more changes nothing. */
class Applied {
  /** The whole conjunction. */
  readonly all: readonly Located[];
  /** Each `oneOf` whose members were compared. */
  readonly compared = new Set<unknown>();
  readonly #schemas = new Set<unknown>();
  readonly #order: unknown[] = [];

  constructor(all: readonly Located[]) {
    this.all = all;
  }

  has(schema: unknown): boolean {
    return this.#schemas.has(schema);
  }

  add(schema: unknown): void {
    this.#schemas.add(schema);
    this.#order.push(schema);
  }

  /** Runs `work` for one alternative; what it adds holds for no other. */
  within<T>(work: () => T): T {
    const before = this.#order.length;
    const result = work();
    for (const schema of this.#order.splice(before)) this.#schemas.delete(schema);
    return result;
  }
}

/** Resolves `$ref`, `allOf`, `anyOf`, `oneOf` and `not` of subschemas that all hold at once. */
export class SchemaExpander {
  readonly #document: SchemaDocument;
  readonly #builder: GrammarBuilder;
  readonly #reports: Reports;
  /** Subschemas that were applied before. */
  readonly #seen = new Set<unknown>();

  constructor(document: SchemaDocument, builder: GrammarBuilder, reports: Reports) {
    this.#document = document;
    this.#builder = builder;
    this.#reports = reports;
  }

  /** The alternatives of the conjunction; none when nothing can satisfy it. */
  expand(all: readonly Located[], pointer: string): readonly Shape[] {
    let shapes: readonly Shape[] = [anyShape(pointer)];
    const applied = new Applied(all);
    for (const located of all) shapes = this.#apply(located, shapes, new Set(), applied);
    return shapes;
  }

  #apply(
    located: Located,
    shapes: readonly Shape[],
    trail: ReadonlySet<unknown>,
    applied: Applied,
  ): readonly Shape[] {
    const { schema, pointer } = located;
    if (schema === true) return shapes;
    if (schema === false) return [];
    if (!isSchemaObject(schema))
      throw this.#document.error(pointer, "must be an object or a boolean");
    if (trail.has(schema)) throw this.#document.error(pointer, "refers to itself without an end");
    if (applied.has(schema)) return shapes;
    const inner = new Set([...trail, schema]);
    if (inner.size > 64) throw this.#document.error(pointer, "is nested more than 64 levels deep");
    let next: readonly Shape[] = shapes.map((shape) => {
      this.#builder.spend(this.#costOf(schema, shape));
      return restrict(shape, located, this.#document);
    });
    if (schema["$ref"] !== undefined) {
      const target = this.#document.resolve(schema["$ref"], pointer);
      next = this.#apply(target, next, inner, applied);
    }
    for (const member of this.#members(located, "allOf")) {
      next = this.#apply(member, next, inner, applied);
    }
    for (const keyword of ["anyOf", "oneOf"]) {
      if (schema[keyword] === undefined) continue;
      const before = next;
      const members = this.#members(located, keyword);
      if (keyword === "oneOf" && !applied.compared.has(schema[keyword])) {
        applied.compared.add(schema[keyword]);
        this.reportOverlap({ list: schema[keyword], members, beside: applied.all }, pointer);
      }
      next = members.flatMap((member) =>
        applied.within(() => this.#apply(member, before, inner, applied)),
      );
    }
    if (next.length > MAX_ALTERNATIVES) {
      throw this.#document.error(pointer, "has more than 1,024 alternatives");
    }
    this.#reportUnenforced(schema, pointer);
    applied.add(schema);
    return this.#exclude(schema, pointer, next);
  }

  #costOf(schema: SchemaObject, { object, values, forbidden }: Shape): number {
    const added = 1 + object.properties.size;
    if (!this.#seen.has(schema)) {
      this.#seen.add(schema);
      return added;
    }
    const listed = Array.isArray(schema["enum"]) ? schema["enum"].length : 0;
    return REPEATED_COST + added + listed + (values?.length ?? 0) + forbidden.length;
  }

  /** Reports a `oneOf` whose members overlap: the grammar takes it as `anyOf`. */
  reportOverlap(union: Union, pointer: string): void {
    if (areExclusive(union, this.#document, this.#builder.budgets.unions)) return;
    this.#reports.report({ schema: null, pointer: childPointer(pointer, "oneOf") });
  }

  #members(located: Located, keyword: string): readonly Located[] {
    if (!isSchemaObject(located.schema) || located.schema[keyword] === undefined) return [];
    return membersOf(located.schema, located.pointer, keyword, this.#document);
  }

  #reportUnenforced(schema: SchemaObject, pointer: string): void {
    for (const keyword of UNENFORCED) {
      if (schema[keyword] === undefined) continue;
      this.#reports.report({ schema: schema[keyword], pointer: childPointer(pointer, keyword) });
    }
    const max = schema["maxItems"];
    if (schema["uniqueItems"] === true && !(typeof max === "number" && max <= 1)) {
      this.#reports.tell({ schema: true, pointer: childPointer(pointer, "uniqueItems") });
    }
  }

  /** `not` with only types or only values is enforced; anything else is reported. */
  #exclude(schema: SchemaObject, pointer: string, shapes: readonly Shape[]): readonly Shape[] {
    const not = schema["not"];
    if (not === undefined || not === false) return shapes;
    const located = { schema: not, pointer: childPointer(pointer, "not") };
    if (not === true) return [];
    if (!isSchemaObject(not)) throw this.#document.error(located.pointer, "must be a schema");
    const keys = Object.keys(not).filter((key) => key !== "description" && key !== "title");
    const [key, ...others] = keys;
    if (key === undefined) return [];
    if (others.length > 0 || !["type", "const", "enum"].includes(key)) {
      this.#reports.report(located);
      return shapes;
    }
    if (key === "type") {
      const banned = restrict(anyShape(pointer), located, this.#document).types;
      if (banned.has("integer") && !banned.has("number")) this.#reports.report(located);
      return shapes.map((shape) => ({ ...shape, types: without(shape.types, banned) }));
    }
    const values = restrict(anyShape(pointer), located, this.#document).values ?? [];
    return shapes.map((shape) => ({ ...shape, forbidden: [...shape.forbidden, ...values] }));
  }
}

function without(types: ReadonlySet<JsonType>, banned: ReadonlySet<JsonType>): Set<JsonType> {
  return new Set(ALL_TYPES.filter((type) => types.has(type) && !banned.has(type)));
}

/** The subschemas of `allOf`, `anyOf` or `oneOf`. @throws LmError when it is not a list of them. */
export function membersOf(
  schema: SchemaObject,
  pointer: string,
  keyword: string,
  document: SchemaDocument,
): readonly Located[] {
  const members = schema[keyword];
  if (!Array.isArray(members) || members.length === 0) {
    throw document.error(childPointer(pointer, keyword), "must be an array of schemas");
  }
  return members.map((member: unknown, index) => ({
    schema: member,
    pointer: childPointer(pointer, keyword, index),
  }));
}
