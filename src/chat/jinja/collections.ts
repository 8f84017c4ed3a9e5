import { Arguments } from "./call-arguments.ts";
import type { RenderRun } from "./render-run.ts";
import { Callable, type Dict, equals, isDict, itemsOf, keyOf, Tuple, type Value } from "./value.ts";
import { repr } from "./python-text.ts";

type ListMethod = (list: Value[], args: Arguments, run: RenderRun) => Value;
type DictMethod = (dict: Dict, args: Arguments, run: RenderRun) => Value;

/** A method that changes its object and answers None. */
const changing =
  <Subject>(change: (subject: Subject, args: Arguments, run: RenderRun) => void) =>
  (subject: Subject, args: Arguments, run: RenderRun): null => {
    change(subject, args, run);
    return null;
  };

const LIST_METHODS: ReadonlyMap<string, ListMethod> = new Map<string, ListMethod>([
  ["append", changing((list, args) => list.push(args.get(0, "object")))],
  ["extend", changing((list, args, run) => extend(list, itemsOf(args.get(0, "iterable")), run))],
  [
    "insert",
    changing((list, args) => list.splice(args.integer(0, "index"), 0, args.get(1, "object"))),
  ],
  ["remove", changing((list, args) => list.splice(indexIn(list, args.get(0, "value")), 1))],
  ["clear", changing((list) => list.splice(0))],
  ["reverse", changing((list) => list.splice(0, list.length, ...list.toReversed()))],
  ["pop", (list, args) => popped(list, args.integer(0, "index", -1))],
  ["copy", (list) => [...list]],
  ["index", (list, args) => indexIn(list, args.get(0, "value"))],
  ["count", (list, args) => list.filter((item) => equals(item, args.get(0, "value"))).length],
]);

const DICT_METHODS: ReadonlyMap<string, DictMethod> = new Map<string, DictMethod>([
  ["get", (dict, args) => fetched(dict, args)],
  ["items", (dict) => entries(dict)],
  ["keys", (dict) => [...dict.keys()]],
  ["values", (dict) => [...dict.values()]],
  ["update", changing(update)],
  ["clear", changing((dict) => dict.clear())],
  ["pop", popKey],
  ["setdefault", setDefault],
  ["copy", (dict) => new Map(dict)],
]);

/** A method of a list bound to it, or undefined. */
export function listMethod(list: Value[], name: string): Callable | undefined {
  const method = LIST_METHODS.get(name);
  if (method === undefined) return undefined;
  return new Callable(name, (positional, keywords, run) => {
    const result = method(list, new Arguments(positional, keywords), run);
    run.checkItems(list.length);
    return result;
  });
}

/** A method of a dict bound to it, or undefined. */
export function dictMethod(dict: Dict, name: string): Callable | undefined {
  const method = DICT_METHODS.get(name);
  if (method === undefined) return undefined;
  return new Callable(name, (positional, keywords, run) => {
    run.checkItems(dict.size);
    return method(dict, new Arguments(positional, keywords), run);
  });
}

/** The (key, value) pairs of a dict. */
export const entries = (dict: Dict): Value[] =>
  [...dict].map(([key, value]) => new Tuple([key, value]));

function extend(list: Value[], items: readonly Value[], run: RenderRun): void {
  run.checkItems(list.length + items.length);
  const added = items.slice();
  for (const item of added) list.push(item);
}

function popped(list: Value[], index: number): Value {
  const at = index < 0 ? list.length + index : index;
  if (at < 0 || at >= list.length) throw new Error("pop index out of range");
  return list.splice(at, 1)[0];
}

function indexIn(list: readonly Value[], value: Value): number {
  const index = list.findIndex((item) => equals(item, value));
  if (index === -1) throw new Error(`${repr(value)} is not in list`);
  return index;
}

function fetched(dict: Dict, args: Arguments): Value {
  const key = args.get(0, "key");
  if (key === undefined) return args.has(1, "default") ? args.get(1, "default") : null;
  const name = keyOf(key);
  if (dict.has(name)) return dict.get(name);
  return args.has(1, "default") ? args.get(1, "default") : null;
}

function update(dict: Dict, args: Arguments, run: RenderRun): void {
  const source = args.get(0, "other");
  if (isDict(source)) for (const [key, value] of source) dict.set(key, value);
  else if (source !== undefined) for (const [key, value] of pairs(source)) dict.set(key, value);
  for (const [key, value] of args.keywords) dict.set(key, value);
  run.checkItems(dict.size);
}

/** The entries of a list of pairs, as `dict(pairs)` reads them. */
export function pairs(value: Value): [ReturnType<typeof keyOf>, Value][] {
  return itemsOf(value).map((pair) => {
    const [key, item, ...rest] = itemsOf(pair);
    if (key === undefined || rest.length > 0) throw new Error("expected (key, value) pairs");
    return [keyOf(key), item];
  });
}

function popKey(dict: Dict, args: Arguments): Value {
  const key = keyOf(args.get(0, "key"));
  const value = dict.has(key) ? dict.get(key) : args.get(1, "default");
  if (!dict.delete(key) && !args.has(1, "default")) throw new Error(`KeyError: ${repr(key)}`);
  return value;
}

function setDefault(dict: Dict, args: Arguments): Value {
  const key = keyOf(args.get(0, "key"));
  if (!dict.has(key)) dict.set(key, args.get(1, "default") ?? null);
  return dict.get(key);
}
