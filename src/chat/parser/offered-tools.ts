import type { Tool } from "../conversation.ts";
import { PatternMatchers } from "../grammar/regex-match.ts";
import { WorkBudget } from "../grammar/work-budget.ts";

export type JsonType = "string" | "number" | "boolean" | "null" | "object" | "array";

const DEPTH_LIMIT = 16;

/** Where a value stands in arguments: names of members and places in lists. */
export type SchemaPath = readonly (string | number)[];

type Schema = Readonly<Record<string, unknown>>;

/** The tools of one request, as the parser asks about them. */
export class OfferedTools {
  readonly #tools: ReadonlyMap<string, Schema | null>;
  readonly #patterns = new PatternMatchers(new WorkBudget(PATTERN_STEPS));

  constructor(tools: readonly Pick<Tool, "name" | "parameters">[]) {
    this.#tools = new Map(tools.map((tool) => [tool.name, tool.parameters]));
  }

  get isEmpty(): boolean {
    return this.#tools.size === 0;
  }

  /**
   * The offered tool a model means, byte for byte as it was offered; null = none. Namespaces that
   * models put before a name are ignored.
   */
  resolve(written: string): string | null {
    const name = written.trim();
    if (this.#tools.has(name)) return name;
    for (const prefix of ["functions.", "function.", "tools."]) {
      const bare = name.startsWith(prefix) ? name.slice(prefix.length) : null;
      if (bare !== null && this.#tools.has(bare)) return bare;
    }
    return null;
  }

  /** Names of the arguments in declared order. */
  argumentNames(tool: string): readonly string[] {
    const properties = asSchema(this.#tools.get(tool)?.["properties"]);
    return properties === null ? [] : Object.keys(properties);
  }

  /** Names of the properties that the schema of what stands at `path` declares. */
  memberNames(tool: string, path: SchemaPath): readonly string[] {
    const root = this.#tools.get(tool) ?? null;
    if (root === null) return [];
    const options = this.#schemasAt(root, path).flatMap((found) => alternatives(found, root, 0));
    return options.flatMap((option) => Object.keys(asSchema(option["properties"]) ?? {}));
  }

  /** What an argument may be; null = anything, also when the schema does not say. */
  typesOf(tool: string, path: SchemaPath): ReadonlySet<JsonType> | null {
    const root = this.#tools.get(tool) ?? null;
    if (root === null) return null;
    const schemas = this.#schemasAt(root, path);
    if (schemas.length === 0) return null;
    const types = new Set<JsonType>();
    for (const schema of schemas) {
      const own = typesOfSchema(schema, root, 0);
      if (own === null) return null;
      for (const type of own) types.add(type);
    }
    return types;
  }

  /** Whether the schema of what stands at `path` has a property of this name. */
  declares(tool: string, path: SchemaPath, name: string): boolean {
    const root = this.#tools.get(tool) ?? null;
    if (root === null) return false;
    const options = this.#schemasAt(root, path).flatMap((found) => alternatives(found, root, 0));
    return options.some((option) => hasProperty(option, name));
  }

  #schemasAt(root: Schema, path: SchemaPath): readonly Schema[] {
    return path.reduce<readonly Schema[]>(
      (found, key) =>
        found
          .flatMap((schema) => alternatives(schema, root, 0))
          .flatMap((option) =>
            typeof key === "number" ? itemSchemas(option, key) : this.#members(option, key),
          ),
      [root],
    );
  }

  /** Schemas of a property by its declaration, else by the patterns it matches, else of all others. */
  #members(option: Schema, name: string): readonly Schema[] {
    if (hasProperty(option, name)) return schemasAmong([asSchema(option["properties"])?.[name]]);
    const patterns = Object.entries(asSchema(option["patternProperties"]) ?? {});
    const matching = patterns.filter(
      ([pattern]) => this.#patterns.matches(pattern, name) !== false,
    );
    if (matching.length > 0) return schemasAmong(matching.map(([, schema]) => schema));
    return schemasAmong([option["additionalProperties"]]);
  }
}

/** Work for the patterns of names, for all calls of one answer: some milliseconds. */
const PATTERN_STEPS = 100_000;

const hasProperty = (schema: Schema, name: string): boolean => {
  const properties = asSchema(schema["properties"]);
  return properties !== null && Object.hasOwn(properties, name);
};

/** Schemas of a place in a list. */
function itemSchemas(list: Schema, index: number): readonly Schema[] {
  const { prefixItems, items, additionalItems } = list;
  const tuple = Array.isArray(items) ? items : Array.isArray(prefixItems) ? prefixItems : [];
  if (index < tuple.length) return schemasAmong([tuple[index]]);
  return schemasAmong([Array.isArray(items) ? additionalItems : items]);
}

const schemasAmong = (found: readonly unknown[]): readonly Schema[] =>
  found.map(asSchema).filter((schema) => schema !== null);

export function jsonTypeOf(value: unknown): JsonType {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  const type = typeof value;
  return type === "string" || type === "number" || type === "boolean" ? type : "object";
}

const asSchema = (value: unknown): Schema | null =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Schema) : null;

/** The schema itself and what it is composed of, references followed. */
function alternatives(schema: Schema, root: Schema, depth: number): readonly Schema[] {
  if (depth > DEPTH_LIMIT) return [];
  const parts = ["anyOf", "oneOf", "allOf"].flatMap((key) => {
    const list = schema[key];
    return Array.isArray(list) ? list : [];
  });
  const target = resolveReference(schema["$ref"], root);
  const inner = (target === null ? parts : [...parts, target]).flatMap((part) => {
    const found = asSchema(part);
    return found === null ? [] : alternatives(found, root, depth + 1);
  });
  return [schema, ...inner];
}

function typesOfSchema(schema: Schema, root: Schema, depth: number): Set<JsonType> | null {
  if (depth > DEPTH_LIMIT) return null;
  const declared = schema["type"];
  if (declared !== undefined) return withNull(schema, namedTypes(declared));
  const listed = schema["enum"];
  if (Array.isArray(listed)) return new Set(listed.map(jsonTypeOf));
  if ("const" in schema) return new Set([jsonTypeOf(schema["const"])]);
  const target = resolveReference(schema["$ref"], root);
  if (target !== null) return typesOfSchema(target, root, depth + 1);
  for (const key of ["anyOf", "oneOf", "allOf"]) {
    const list = schema[key];
    if (!Array.isArray(list)) continue;
    const types = typesOfParts(list, root, depth, key === "allOf");
    return types === null ? null : withNull(schema, types);
  }
  if ("properties" in schema) return new Set(["object"]);
  return "items" in schema ? new Set(["array"]) : null;
}

/** @param mustAll Each part narrows what the others allow, so that silent parts do not matter. */
function typesOfParts(
  parts: readonly unknown[],
  root: Schema,
  depth: number,
  mustAll: boolean,
): Set<JsonType> | null {
  const types = new Set<JsonType>();
  for (const part of parts) {
    const found = asSchema(part);
    const own = found === null ? null : typesOfSchema(found, root, depth + 1);
    if (own === null && !mustAll) return null;
    for (const type of own ?? []) types.add(type);
  }
  return types.size === 0 ? null : types;
}

function withNull(schema: Schema, types: Set<JsonType>): Set<JsonType> {
  if (schema["nullable"] === true) types.add("null");
  return types;
}

function namedTypes(declared: unknown): Set<JsonType> {
  const names = Array.isArray(declared) ? declared : [declared];
  return new Set(
    names.map((name) => (name === "integer" ? "number" : name)).filter((name) => isType(name)),
  );
}

const TYPES: ReadonlySet<unknown> = new Set([
  "string",
  "number",
  "boolean",
  "null",
  "object",
  "array",
]);

const isType = (name: unknown): name is JsonType => TYPES.has(name);

/** Only references into the tool's own schema (`#/$defs/..`) are followed. */
function resolveReference(reference: unknown, root: Schema): Schema | null {
  if (typeof reference !== "string" || !reference.startsWith("#")) return null;
  let found: Schema | null = root;
  for (const part of reference.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    found = found !== null && Object.hasOwn(found, key) ? asSchema(found[key]) : null;
  }
  return found;
}
