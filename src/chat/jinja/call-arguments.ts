import { isInteger, type Keywords, typeName, type Value, WholeFloat } from "./value.ts";

/** The arguments of one call, read by position or by Python's name for them. */
export class Arguments {
  readonly positional: readonly Value[];
  readonly keywords: Keywords;

  constructor(positional: readonly Value[], keywords: Keywords) {
    this.positional = positional;
    this.keywords = keywords;
  }

  get(index: number, name: string): Value {
    return index < this.positional.length ? this.positional[index] : this.keywords.get(name);
  }

  has(index: number, name: string): boolean {
    return index < this.positional.length || this.keywords.has(name);
  }

  /** @throws Error when the argument is absent and has no `fallback`, or is no string. */
  string(index: number, name: string, fallback?: string): string {
    const value = this.get(index, name);
    if (typeof value === "string") return value;
    if (value === undefined && fallback !== undefined) return fallback;
    throw new Error(`argument '${name}' must be str, not ${typeName(value)}`);
  }

  /** A string, or null when the argument is absent or None. */
  optionalString(index: number, name: string): string | null {
    const value = this.get(index, name);
    return value === undefined || value === null ? null : this.string(index, name);
  }

  integer(index: number, name: string, fallback?: number): number {
    const value = this.get(index, name);
    if (isInteger(value)) return value;
    if (value instanceof WholeFloat) return value.value;
    if (typeof value === "boolean") return Number(value);
    if (value === undefined && fallback !== undefined) return fallback;
    throw new Error(`argument '${name}' must be int, not ${typeName(value)}`);
  }
}

export const NO_KEYWORDS: Keywords = new Map();
