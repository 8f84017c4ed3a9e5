import { invalidRequest, type LmError } from "../../lib/errors.ts";

/** A subschema and where it stands in its document. */
export interface Located {
  schema: unknown;
  /** JSON Pointer from the root schema; "" = the root. */
  pointer: string;
}

export type SchemaObject = Readonly<Record<string, unknown>>;

/** Largest schema, as JSON text. */
const MAX_SCHEMA_LENGTH = 1024 * 1024;
/** Nested objects and arrays in a schema's JSON text: two for each level of the schema. */
const MAX_JSON_DEPTH = 140;

export function isSchemaObject(value: unknown): value is SchemaObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The error for a schema that cannot be used; `pointer` is where. */
export function invalidSchema(
  param: string,
  pointer: string,
  message: string,
): LmError<"invalid_request"> {
  const where = pointer === "" ? "The schema" : `The schema at ${pointer}`;
  return invalidRequest(param, "invalid_json_schema", `${where} ${message}.`);
}

export function childPointer(pointer: string, ...keys: readonly (string | number)[]): string {
  const steps = keys.map((key) => String(key).replaceAll("~", "~0").replaceAll("/", "~1"));
  return [pointer, ...steps].join("/");
}

/**
 * A schema document: bounded in size, with its `$ref`s resolved inside itself only.
 * Nothing is ever fetched.
 */
export class SchemaDocument {
  readonly root: Located;
  readonly #param: string;
  readonly #byId = new Map<string, Located>();

  /** @throws LmError invalid_request (invalid_json_schema) when it is too large or too deep. */
  constructor(schema: unknown, param: string) {
    this.root = { schema, pointer: "" };
    this.#param = param;
    this.#scan(schema);
  }

  /** @throws LmError invalid_request (invalid_json_schema) for what is not in this document. */
  resolve(reference: unknown, pointer: string): Located {
    if (typeof reference !== "string") throw this.error(pointer, "has a $ref that is not a string");
    const known = this.#byId.get(reference);
    if (known !== undefined) return known;
    if (!reference.startsWith("#")) {
      throw this.error(pointer, "has a $ref to another document, which is not supported");
    }
    let path: string;
    try {
      path = decodeURIComponent(reference.slice(1));
    } catch (cause) {
      throw this.error(pointer, "has a $ref that is not a URI fragment", cause);
    }
    const found = path === "" ? this.root : this.#follow(path);
    if (found === null) throw this.error(pointer, "has a $ref that leads nowhere");
    return found;
  }

  error(pointer: string, message: string, cause?: unknown): LmError<"invalid_request"> {
    const error = invalidSchema(this.#param, pointer, message);
    if (cause !== undefined) error.cause = cause;
    return error;
  }

  #follow(path: string): Located | null {
    if (!path.startsWith("/")) return null;
    let value: unknown = this.root.schema;
    for (const step of path.slice(1).split("/")) {
      const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return null;
      value = Array.isArray(value) ? value[Number(key)] : (value as SchemaObject)[key];
    }
    return { schema: value, pointer: path };
  }

  /** Measures the document without recursion and notes its `$id`s and `$anchor`s. */
  #scan(schema: unknown): void {
    const todo: { value: unknown; depth: number; pointer: string }[] = [
      { value: schema, depth: 0, pointer: "" },
    ];
    let length = 0;
    for (let item = todo.pop(); item !== undefined; item = todo.pop()) {
      const { value, depth, pointer } = item;
      length += typeof value === "string" ? value.length + 2 : 4;
      if (length > MAX_SCHEMA_LENGTH) throw this.error("", "is larger than 1 MiB");
      if (typeof value !== "object" || value === null) continue;
      if (depth > MAX_JSON_DEPTH) throw this.error("", "is nested more than 64 levels deep");
      if (isSchemaObject(value)) this.#note(value, pointer);
      for (const [key, child] of Object.entries(value)) {
        length += key.length + 4;
        // Pointers are only needed where an identifier may stand.
        const below = depth < 8 ? childPointer(pointer, key) : pointer;
        todo.push({ value: child, depth: depth + 1, pointer: below });
      }
    }
  }

  #note(value: SchemaObject, pointer: string): void {
    const { $id, $anchor } = value;
    if (typeof $id === "string" && !this.#byId.has($id))
      this.#byId.set($id, { schema: value, pointer });
    if (typeof $anchor === "string" && !this.#byId.has(`#${$anchor}`)) {
      this.#byId.set(`#${$anchor}`, { schema: value, pointer });
    }
  }
}
