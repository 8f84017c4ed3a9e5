import { arrayGrammar } from "./array-grammar.ts";
import { sequence, type GrammarBuilder } from "./gbnf.ts";
import { ListedValues } from "./listed-values.ts";
import { oneOf } from "./literal-trie.ts";
import { numberGrammar } from "./number-grammar.ts";
import { objectGrammar } from "./object-grammar.ts";
import type { Emitter } from "./schema-emit.ts";
import { membersOf, SchemaExpander } from "./schema-expand.ts";
import { SchemaCheck } from "./schema-check.ts";
import type { JsonType, Shape } from "./schema-shape.ts";
import { isSchemaObject, type Located, type SchemaDocument } from "./schema-source.ts";
import { constraintsOf, effectiveTypes, isAnything, typeOf } from "./schema-values.ts";
import { isFreeString, stringGrammar } from "./string-grammar.ts";
import { JSON_STYLE, type ValueStyle } from "./value-style.ts";

/** A keyword that the grammar does not enforce. `pointer` ends with the keyword. */
export interface UnsupportedKeyword {
  pointer: string;
  keyword: string;
  /** Strict mode does not refuse it: it is told, and a finished answer is held against it. */
  isTold: boolean;
}

const BOOLEAN: ReadonlySet<JsonType> = new Set(["boolean"]);

/** Levels of subschemas. */
const MAX_DEPTH = 64;

interface Visit {
  /** Set when the rule is needed before its body is known. */
  reserved: string | null;
  /** undefined while the visit is in progress. */
  rule: string | null | undefined;
}

const keywordOf = (pointer: string): string => pointer.slice(pointer.lastIndexOf("/") + 1);

const typesOf = (shapes: readonly Shape[]): ReadonlySet<JsonType> =>
  new Set(shapes.flatMap((shape) => shape.values?.map(typeOf) ?? [...effectiveTypes(shape)]));

/** Rules for one schema document inside a grammar that may hold more. */
export class SchemaRules implements Emitter {
  readonly builder: GrammarBuilder;
  readonly style: ValueStyle;
  readonly #document: SchemaDocument;
  readonly #nested: SchemaRules | null;
  readonly #expander: SchemaExpander;
  readonly #listed: ListedValues;
  readonly #unsupported = new Map<string, UnsupportedKeyword>();
  readonly #visits = new Map<string, Visit>();
  readonly #ids = new Map<unknown, number>();
  #depth = 0;

  /** @param nested writes the objects and arrays, where they have another style than the rest. */
  constructor(
    builder: GrammarBuilder,
    document: SchemaDocument,
    style: ValueStyle = JSON_STYLE,
    nested: SchemaRules | null = null,
  ) {
    this.builder = builder;
    this.style = style;
    this.#document = document;
    this.#nested = nested;
    const report = (located: Located) => this.report(located);
    const tell = (located: Located) => this.tell(located);
    this.#expander = new SchemaExpander(this.#document, builder, { report, tell });
    this.#listed = new ListedValues(new SchemaCheck(document, builder.budgets.values), report);
  }

  /** The rule for the whole document. */
  root(): string {
    const rule = this.visit([this.#document.root], "value");
    if (rule === null) throw this.#document.error("", "can never be satisfied");
    return rule;
  }

  unsupported(): readonly UnsupportedKeyword[] {
    return [...this.#unsupported.values(), ...(this.#nested?.unsupported() ?? [])];
  }

  report({ pointer }: Located): void {
    this.#unsupported.set(pointer, { pointer, keyword: keywordOf(pointer), isTold: false });
  }

  tell({ pointer }: Located): void {
    if (this.#unsupported.has(pointer)) return;
    this.#unsupported.set(pointer, { pointer, keyword: keywordOf(pointer), isTold: true });
  }

  target(located: Located): Located {
    let found = located;
    for (let steps = 0; steps < MAX_DEPTH && isSchemaObject(found.schema); steps++) {
      const constraints = constraintsOf(found.schema);
      if (constraints.length !== 1 || constraints[0] !== "$ref") break;
      found = this.#document.resolve(found.schema["$ref"], found.pointer);
    }
    return found;
  }

  visit(all: readonly Located[], hint: string): string | null {
    if (all.some(({ schema }) => schema === false)) return null;
    const found = new Map<unknown, Located>();
    for (const located of all) if (!isAnything(located.schema)) found.set(located.schema, located);
    const relevant = [...found.values()];
    if (relevant.length === 0) return this.style.anyValue(this.builder);
    const key = relevant
      .map(({ schema }) => this.#id(schema))
      .toSorted((a, b) => a - b)
      .join(" ");
    const known = this.#visits.get(key);
    if (known !== undefined) return this.#known(known, hint);
    const visit: Visit = { reserved: null, rule: undefined };
    this.#visits.set(key, visit);
    const pointer = relevant[0]?.pointer ?? "";
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH)
      throw this.#document.error(pointer, "is nested more than 64 levels deep");
    const rule = this.#rule(relevant, hint, pointer);
    this.#depth -= 1;
    visit.rule = this.#close(visit.reserved, rule, pointer);
    return visit.rule;
  }

  #known(visit: Visit, hint: string): string | null {
    if (visit.rule !== undefined) return visit.rule;
    visit.reserved ??= this.builder.reserve(hint);
    return visit.reserved;
  }

  #close(reserved: string | null, rule: string | null, pointer: string): string | null {
    if (reserved === null) return rule;
    if (rule === null) throw this.#document.error(pointer, "can never be satisfied");
    this.builder.define(reserved, rule);
    return reserved;
  }

  #id(schema: unknown): number {
    const known = this.#ids.get(schema);
    if (known !== undefined) return known;
    this.#ids.set(schema, this.#ids.size);
    return this.#ids.size - 1;
  }

  /** The types of the values that satisfy all of these. */
  types(all: readonly Located[]): ReadonlySet<JsonType> {
    return typesOf(this.#expander.expand(all, ""));
  }

  /** The alternatives of the whole document, for callers that write its members themselves. */
  shapes(): readonly Shape[] {
    return this.#expander.expand([this.#document.root], "");
  }

  #rule(all: readonly Located[], hint: string, pointer: string): string | null {
    const direct =
      all.length === 1 && all[0] !== undefined ? this.#direct(all[0], hint) : undefined;
    if (direct !== undefined) return direct;
    const shapes = this.#expander.expand(all, pointer);
    const types = typesOf(shapes);
    const style = types.size > 1 ? (this.style.beside?.(types) ?? this.style) : this.style;
    return this.#either(
      hint,
      shapes.flatMap((shape) => this.#shape(shape, hint, style)),
    );
  }

  /** A schema that only points elsewhere keeps its parts as rules of their own. */
  #direct(located: Located, hint: string): string | null | undefined {
    const { schema, pointer } = located;
    if (!isSchemaObject(schema)) return undefined;
    const [keyword, ...others] = constraintsOf(schema);
    if (others.length > 0) return undefined;
    if (keyword === "$ref") {
      const target = this.#document.resolve(schema["$ref"], pointer);
      return this.visit([target], hint);
    }
    if (keyword !== "anyOf" && keyword !== "oneOf") return undefined;
    // Each member is to know of the others.
    if (this.style.beside !== undefined) return undefined;
    const members = membersOf(schema, pointer, keyword, this.#document);
    if (keyword === "oneOf") {
      this.#expander.reportOverlap({ list: schema[keyword], members, beside: [] }, pointer);
    }
    const rules = members.map((member, index) => this.visit([member], `${hint}-${index}`));
    return this.#either(
      hint,
      rules.filter((rule) => rule !== null),
    );
  }

  #either(hint: string, rules: readonly string[]): string | null {
    const options = [...new Set(rules)];
    if (options.length === 0) return null;
    return options.length === 1 ? options.join("") : this.builder.add(hint, options.join(" | "));
  }

  #shape(shape: Shape, hint: string, style: ValueStyle): string[] {
    const types = effectiveTypes(shape);
    const forbidden = new Set(shape.forbidden.map((value) => JSON.stringify(value)));
    if (shape.values !== null) {
      const values = shape.values
        .filter((value) => types.has(typeOf(value)) && !forbidden.has(JSON.stringify(value)))
        .filter((value) => this.#listed.keeps(shape, value));
      const among = new Set(values.map(typeOf));
      const texts = values.flatMap((value) => style.texts(value, among));
      return texts.length === 0 ? [] : [this.#ended(oneOf(this.builder, texts))];
    }
    const rules: string[] = [];
    for (const type of types) {
      if (type === "integer" && types.has("number")) continue;
      if (type === "string") {
        const rule = this.#text(shape, style);
        if (rule !== null) rules.push(rule);
        continue;
      }
      const rule = this.#typed(shape, type, hint, forbidden);
      if (rule !== null) rules.push(this.#ended(rule));
    }
    return rules;
  }

  #typed(
    shape: Shape,
    type: Exclude<JsonType, "string">,
    hint: string,
    forbidden: ReadonlySet<string>,
  ): string | null {
    const banned = shape.forbidden.filter((value) => typeOf(value) === type);
    switch (type) {
      case "null":
        return forbidden.has("null") ? null : this.style.null(this.builder);
      case "boolean": {
        const left = [true, false].filter((value) => !forbidden.has(String(value)));
        if (left.length === 2) return this.style.boolean(this.builder);
        const texts = left.flatMap((value) => this.style.texts(value, BOOLEAN));
        return texts.length === 0 ? null : oneOf(this.builder, texts);
      }
      case "integer":
      case "number":
        if (shape.forbidden.some((value) => typeof value === "number")) this.#reportNot(shape);
        return numberGrammar(this, shape.number, type === "integer");
      case "array":
        if (banned.length > 0) this.#reportNot(shape);
        return arrayGrammar(this.#nested ?? this, shape.array, hint);
      default:
        if (banned.length > 0) this.#reportNot(shape);
        return objectGrammar(this.#nested ?? this, shape.object, hint, shape.pointer);
    }
  }

  #text(shape: Shape, style: ValueStyle): string | null {
    const texts = shape.forbidden.filter((value) => typeof value === "string");
    const keeps = style.text.excludes && isFreeString(shape.string);
    if (texts.length > 0 && !keeps) this.#reportNot(shape);
    return stringGrammar(style === this.style ? this : this.#with(style), shape.string, texts);
  }

  /** As this, in another style. */
  #with(style: ValueStyle): Emitter {
    return {
      builder: this.builder,
      style,
      visit: (all, hint) => this.visit(all, hint),
      report: (located) => this.report(located),
      tell: (located) => this.tell(located),
      target: (located) => this.target(located),
    };
  }

  /** A value that is no string, with what ends values in this style. */
  #ended(rule: string): string {
    return this.style.end === "" ? rule : this.builder.add("ended", sequence(rule, this.style.end));
  }

  #reportNot(shape: Shape): void {
    this.report({ schema: null, pointer: `${shape.pointer}/not` });
  }
}
