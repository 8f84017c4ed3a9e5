import type { Tool } from "../conversation.ts";

export type JsonType = "string" | "number" | "boolean" | "null" | "object" | "array";

const DEPTH_LIMIT = 16;

type Schema = Readonly<Record<string, unknown>>;

/** The tools of one request, as the parser asks about them. */
export class OfferedTools {
  readonly #tools: ReadonlyMap<string, Schema | null>;

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

  /** What an argument may be; null = anything, also when the schema does not say. */
  typesOf(tool: string, path: readonly string[]): ReadonlySet<JsonType> | null {
    const root = this.#tools.get(tool) ?? null;
    if (root === null) return null;
    const schemas = path.reduce<readonly Schema[]>(
      (found, key) => found.flatMap((schema) => children(schema, key, root)),
      [root],
    );
    if (schemas.length === 0) return null;
    const types = new Set<JsonType>();
    for (const schema of schemas) {
      const own = typesOfSchema(schema, root, 0);
      if (own === null) return null;
      for (const type of own) types.add(type);
    }
    return types;
  }
}

export function jsonTypeOf(value: unknown): JsonType {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  const type = typeof value;
  return type === "string" || type === "number" || type === "boolean" ? type : "object";
}

const asSchema = (value: unknown): Schema | null =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Schema) : null;

/** Schemas of a property, or of a list's items for the key `*`. */
function children(schema: Schema, key: string, root: Schema): readonly Schema[] {
  return alternatives(schema, root, 0).flatMap((option) => {
    const properties = asSchema(option["properties"]);
    const own = key === "*" ? option["items"] : properties && Object.hasOwn(properties, key);
    const child = own === true ? properties?.[key] : key === "*" ? own : null;
    const found = asSchema(child) ?? asSchema(key === "*" ? null : option["additionalProperties"]);
    return found === null ? [] : [found];
  });
}

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
