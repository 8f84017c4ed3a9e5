import type { RenderRun } from "./render-run.ts";

/**
 * What a template computes with: Python's values as plain JavaScript ones, and nothing of the host.
 * `undefined` is Jinja's Undefined, `null` is None, a list is an array, a dict is a Map.
 */
export type Value =
  | undefined
  | null
  | boolean
  | number
  | string
  | WholeFloat
  | Value[]
  | Tuple
  | Dict
  | Namespace
  | Callable
  | LoopState;
export type DictKey = string | number | boolean | null;
export type Dict = Map<DictKey, Value>;

/** A float without a fraction, which Python prints as `2.0`; other floats are plain numbers. */
export class WholeFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export class Tuple {
  readonly items: readonly Value[];
  constructor(items: readonly Value[]) {
    this.items = items;
  }

  /** An item by its place as text, or by the name that some tuples give it. */
  field(name: string): Value {
    return this.items[Number(name)];
  }
}

/** What `groupby` makes of each key: a pair whose items have names. */
export class Group extends Tuple {
  constructor(key: Value, members: Value[]) {
    super([key, members]);
  }

  override field(name: string): Value {
    if (name === "grouper") return this.items[0];
    return name === "list" ? this.items[1] : super.field(name);
  }
}

/** The result of `namespace(...)`: the only object whose attributes a template may set. */
export class Namespace {
  readonly attributes: Map<string, Value>;
  constructor(attributes: Map<string, Value>) {
    this.attributes = attributes;
  }
}

export type Keywords = ReadonlyMap<string, Value>;
export type NativeFunction = (args: readonly Value[], keywords: Keywords, run: RenderRun) => Value;

/** A macro, a method bound to its object, or a global function. */
export class Callable {
  readonly name: string;
  readonly call: NativeFunction;
  constructor(name: string, call: NativeFunction) {
    this.name = name;
    this.call = call;
  }
}

/** The `loop` variable. Its values are computed when asked for. */
export class LoopState {
  readonly items: readonly Value[];
  index0 = 0;
  #changedFrom: Value[] | null = null;

  constructor(items: readonly Value[]) {
    this.items = items;
  }

  attribute(name: string): Value {
    const { index0, items } = this;
    const count = items.length;
    switch (name) {
      case "index":
        return index0 + 1;
      case "index0":
        return index0;
      case "revindex":
        return count - index0;
      case "revindex0":
        return count - index0 - 1;
      case "first":
        return index0 === 0;
      case "last":
        return index0 === count - 1;
      case "length":
        return count;
      case "depth":
        return 1;
      case "depth0":
        return 0;
      case "previtem":
        return index0 > 0 ? items[index0 - 1] : undefined;
      case "nextitem":
        return items[index0 + 1];
      case "cycle":
        return new Callable("cycle", (args) => args[index0 % args.length]);
      case "changed":
        return new Callable("changed", (args) => this.#changed([...args]));
      default:
        return undefined;
    }
  }

  #changed(values: Value[]): boolean {
    const before = this.#changedFrom;
    this.#changedFrom = values;
    return before === null || !equals(before, values);
  }
}

export const float = (value: number): number | WholeFloat =>
  Number.isInteger(value) ? new WholeFloat(value) : value;

export const isDict = (value: Value): value is Dict => value instanceof Map;
export const isList = (value: Value): value is Value[] => Array.isArray(value);
export const isInteger = (value: Value): value is number =>
  typeof value === "number" && Number.isInteger(value);

/** The number a value stands for, booleans included as Python has it; null = not a number. */
export function numberOf(value: Value): number | null {
  if (typeof value === "number") return value;
  if (value instanceof WholeFloat) return value.value;
  return typeof value === "boolean" ? Number(value) : null;
}

export function isTruthy(value: Value): boolean {
  if (isList(value)) return value.length > 0;
  if (isDict(value)) return value.size > 0;
  if (value instanceof Tuple) return value.items.length > 0;
  if (value instanceof WholeFloat) return value.value !== 0;
  return Boolean(value);
}

/** Python's `==`: structural, and true for equal numbers of different types. */
export function equals(a: Value, b: Value): boolean {
  if (a === b) return true;
  const left = numberOf(a);
  if (left !== null) return left === numberOf(b);
  if (isList(a)) return isList(b) && sameItems(a, b);
  if (a instanceof Tuple) return b instanceof Tuple && sameItems(a.items, b.items);
  if (!isDict(a) || !isDict(b) || a.size !== b.size) return false;
  return [...a].every(([key, value]) => b.has(key) && equals(value, b.get(key)));
}

const sameItems = (a: readonly Value[], b: readonly Value[]): boolean =>
  a.length === b.length && a.every((item, index) => equals(item, b[index]));

/** Python's name of the type, as its error messages have it. */
export function typeName(value: Value): string {
  if (value === undefined) return "Undefined";
  if (value === null) return "NoneType";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "string") return "str";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float";
  if (value instanceof WholeFloat) return "float";
  if (isList(value)) return "list";
  if (value instanceof Tuple) return "tuple";
  if (isDict(value)) return "dict";
  if (value instanceof Namespace) return "Namespace";
  return value instanceof LoopState ? "LoopContext" : "function";
}

/**
 * What a `for` loop or a sequence filter walks over: items, keys of a dict, characters of a string.
 * Undefined counts as empty, as in Jinja.
 * @throws Error for values that Python cannot iterate.
 */
export function itemsOf(value: Value): readonly Value[] {
  if (isList(value)) return value;
  if (value === undefined) return [];
  if (value instanceof Tuple) return value.items;
  if (isDict(value)) return [...value.keys()];
  if (typeof value === "string") return Array.from(value);
  throw new Error(`'${typeName(value)}' object is not iterable`);
}

/** A key of a dict. @throws Error for values that Python cannot hash, and for rare ones. */
export function keyOf(value: Value): DictKey {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return value;
  if (value === null) return null;
  if (value instanceof WholeFloat) return value.value;
  throw new Error(`unhashable type: '${typeName(value)}'`);
}

/** JSON text as data for `toValue`: unlike `JSON.parse` alone it keeps `2.0` a float. */
export function parseJsonData(text: string): unknown {
  return JSON.parse(text, (_key, item: unknown, context?: { source?: string }) => {
    const isWhole = typeof item === "number" && Number.isInteger(item);
    return isWhole && /[.eE]/.test(context?.source ?? "") ? new WholeFloat(item) : item;
  });
}

export const parseJson = (text: string): Value => toValue(parseJsonData(text));

/** JSON data as template values. Own keys only; prototypes are never looked at. */
export function toValue(data: unknown): Value {
  if (data instanceof WholeFloat) return data;
  if (Array.isArray(data)) return data.map(toValue);
  if (typeof data === "object" && data !== null) {
    return new Map(Object.entries(data).map(([key, item]) => [key, toValue(item)]));
  }
  const isPlain =
    data === null ||
    typeof data === "string" ||
    typeof data === "number" ||
    typeof data === "boolean";
  return isPlain ? data : undefined;
}
