import { dictMethod, listMethod } from "./collections.ts";
import { stringMethod } from "./methods.ts";
import type { RenderRun } from "./render-run.ts";
import {
  isDict,
  isList,
  LoopState,
  Namespace,
  numberOf,
  Tuple,
  typeName,
  type Value,
} from "./value.ts";
import { points } from "./python-strings.ts";
import { str } from "./python-text.ts";

/**
 * `value.name`. Jinja asks for an attribute first: a key called `items` does not hide the method.
 * Reading from Undefined gives Undefined, as in the engines that chat templates are tried on.
 */
export function attribute(value: Value, name: string): Value {
  if (isDict(value)) return dictMethod(value, name) ?? value.get(name);
  if (value instanceof Namespace) return value.attributes.get(name);
  if (value instanceof LoopState) return value.attribute(name);
  if (value instanceof Tuple) return value.field(name);
  return method(value, name);
}

/** `value[key]`: an item first, then a method. */
export function item(value: Value, key: Value): Value {
  if (isDict(value)) {
    const isKey = key !== undefined && typeof key !== "object";
    if (key === null || (isKey && typeof key !== "function")) {
      if (value.has(key)) return value.get(key);
      return typeof key === "string" ? dictMethod(value, key) : undefined;
    }
    return undefined;
  }
  if (typeof key === "string") return attribute(value, key);
  const index = numberOf(key);
  if (index === null) return undefined;
  if (isList(value)) return value.at(index);
  if (value instanceof Tuple) return value.items.at(index);
  return typeof value === "string" ? Array.from(points(value)).at(index) : undefined;
}

function method(value: Value, name: string): Value {
  if (typeof value === "string") return stringMethod(value, name);
  return isList(value) ? listMethod(value, name) : undefined;
}

/** `value[start:stop:step]`, with Python's rules for absent and negative bounds. */
export function slice(value: Value, bounds: readonly Value[], run: RenderRun): Value {
  if (value === undefined) return undefined;
  const items: string | readonly Value[] =
    typeof value === "string" ? points(value) : sequence(value);
  const [start, stop, step] = bounds.map((bound) => {
    if (bound === undefined || bound === null) return null;
    const number = numberOf(bound);
    if (number === null) throw new Error("slice indices must be integers or None");
    return number;
  });
  const stride = step ?? 1;
  if (stride === 0) throw new Error("slice step cannot be zero");
  const picked =
    stride === 1
      ? items.slice(start ?? 0, stop ?? items.length)
      : strided(items, start ?? null, stop ?? null, stride);
  run.spend(picked.length);
  if (typeof picked === "string") return picked;
  if (typeof value === "string") return picked.map(str).join("");
  return value instanceof Tuple ? new Tuple(picked) : picked;
}

function sequence(value: Value): readonly Value[] {
  if (isList(value)) return value;
  if (value instanceof Tuple) return value.items;
  throw new Error(`'${typeName(value)}' object cannot be sliced`);
}

function strided<Item>(
  items: string | readonly Item[],
  start: number | null,
  stop: number | null,
  step: number,
): (Item | string)[] {
  const count = items.length;
  const [low, high] = step > 0 ? [0, count] : [-1, count - 1];
  const bound = (value: number | null, absent: number): number => {
    if (value === null) return absent;
    return Math.min(Math.max(value < 0 ? value + count : value, low), high);
  };
  const end = bound(stop, step > 0 ? high : low);
  const picked: (Item | string)[] = [];
  for (let at = bound(start, step > 0 ? low : high); step > 0 ? at < end : at > end; at += step) {
    const found = items[at];
    if (found !== undefined) picked.push(found);
  }
  return picked;
}
