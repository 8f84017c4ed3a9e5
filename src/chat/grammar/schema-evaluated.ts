import {
  childPointer,
  isSchemaObject,
  type Located,
  type SchemaDocument,
  type SchemaObject,
} from "./schema-source.ts";

/** The property names that a schema looks at: its own, and those of what it is composed of. */
export interface EvaluatedNames {
  /** Also those of alternatives that a value may not take. */
  readonly names: ReadonlySet<string>;
  /** Patterns that give further names. */
  readonly patterns: ReadonlySet<string>;
  /** Whether names that are nowhere listed are looked at, too. */
  readonly others: "always" | "maybe" | "never";
}

/** Keywords whose names count only for some values, which a grammar cannot tell. */
const CONDITIONAL = ["if", "dependentSchemas", "dependencies", "$dynamicRef", "$recursiveRef"];

const KNOWN = new WeakMap<SchemaObject, EvaluatedNames>();

/** What `unevaluatedProperties` of this schema leaves alone. Source: JSON Schema 2020-12, 11.3. */
export function evaluatedNames(
  schema: SchemaObject,
  pointer: string,
  document: SchemaDocument,
): EvaluatedNames {
  let found = KNOWN.get(schema);
  if (found === undefined) {
    found = new NameSearch(document).run(schema, pointer);
    KNOWN.set(schema, found);
  }
  return found;
}

class NameSearch {
  readonly #document: SchemaDocument;
  readonly #names = new Set<string>();
  readonly #patterns = new Set<string>();
  readonly #seen = new Set<unknown>();
  #others: EvaluatedNames["others"] = "never";

  constructor(document: SchemaDocument) {
    this.#document = document;
  }

  run(schema: SchemaObject, pointer: string): EvaluatedNames {
    this.#visit({ schema, pointer }, { isOwn: true, isSure: true });
    return { names: this.#names, patterns: this.#patterns, others: this.#others };
  }

  #visit(
    { schema, pointer }: Located,
    { isOwn, isSure }: { isOwn: boolean; isSure: boolean },
  ): void {
    if (!isSchemaObject(schema) || this.#seen.has(schema)) return;
    this.#seen.add(schema);
    const { properties, patternProperties } = schema;
    for (const name of keysOf(properties)) this.#names.add(name);
    for (const pattern of keysOf(patternProperties)) this.#patterns.add(pattern);
    const rest = schema["additionalProperties"] ?? (isOwn ? undefined : schema[UNEVALUATED]);
    if (rest !== undefined && rest !== false) this.#open(isSure);
    if (CONDITIONAL.some((keyword) => schema[keyword] !== undefined)) this.#open(false);
    if (schema["$ref"] !== undefined) {
      const target = this.#document.resolve(schema["$ref"], pointer);
      this.#visit(target, { isOwn: false, isSure });
    }
    for (const keyword of ["allOf", "anyOf", "oneOf"]) {
      const members = schema[keyword];
      if (!Array.isArray(members)) continue;
      const always = isSure && (keyword === "allOf" || members.length === 1);
      for (const [index, member] of members.entries()) {
        const at = childPointer(pointer, keyword, index);
        this.#visit({ schema: member, pointer: at }, { isOwn: false, isSure: always });
      }
    }
  }

  #open(isSure: boolean): void {
    if (isSure) this.#others = "always";
    else if (this.#others === "never") this.#others = "maybe";
  }
}

const UNEVALUATED = "unevaluatedProperties";

const keysOf = (value: unknown): readonly string[] =>
  isSchemaObject(value) ? Object.keys(value) : [];
