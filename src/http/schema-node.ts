/** The part of JSON Schema that our TypeBox values use. */
export interface SchemaNode {
  type?: string;
  const?: unknown;
  enum?: readonly unknown[];
  anyOf?: readonly SchemaNode[];
  properties?: Readonly<Record<string, SchemaNode>>;
  required?: readonly string[];
  patternProperties?: Readonly<Record<string, SchemaNode>>;
  items?: SchemaNode;
  minItems?: number;
  maxItems?: number;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
}

/** The fixed values a node allows, null when it allows more than a list. */
export function wordsOf(node: SchemaNode): readonly unknown[] | null {
  if (node.enum) return node.enum;
  return "const" in node ? [node.const] : null;
}

/** Fields that say which of several forms an object has. */
export const TAGS: readonly string[] = ["type", "role"];

/** The words that a form's tag field may hold. */
export function tagsOf(form: SchemaNode, key: string): readonly unknown[] {
  const tag = form.properties?.[key];
  return (tag && wordsOf(tag)) ?? [];
}

/** The field that tells these forms apart; undefined when not every form has it. */
export function discriminator(forms: readonly SchemaNode[]): string | undefined {
  return TAGS.find((key) => forms.every((form) => tagsOf(form, key).length > 0));
}

/** Whether the kind of `value` is one the node allows, whatever its length, range or word. */
export function hasType(node: SchemaNode, value: unknown): boolean {
  if (node.anyOf) return node.anyOf.some((branch) => hasType(branch, value));
  const words = wordsOf(node);
  if (words) return words.some((word) => typeof word === typeof value);
  switch (node.type) {
    case undefined:
      return true;
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "array":
      return Array.isArray(value);
    case "integer":
      // Infinity is how `1e400` arrives: a number, beyond every bound.
      return Number.isInteger(value) || value === Infinity || value === -Infinity;
    case "null":
      return value === null;
    default:
      return typeof value === node.type;
  }
}
