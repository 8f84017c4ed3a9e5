import { Arguments, NO_KEYWORDS } from "./call-arguments.ts";
import { attributeOf, type Filter, reversed, VALUE_FILTERS } from "./filters.ts";
import { binary, compare } from "./operators.ts";
import type { RenderRun } from "./render-run.ts";
import { TESTS } from "./tests.ts";
import { equals, Group, isDict, isTruthy, itemsOf, Tuple, type Value } from "./value.ts";
import { str } from "./python-text.ts";

const SEQUENCE_FILTERS: readonly (readonly [string, Filter])[] = [
  ["list", (value) => [...itemsOf(value)]],
  ["first", (value) => itemsOf(value)[0]],
  ["last", (value) => itemsOf(value).at(-1)],
  ["reverse", reversed],
  ["join", joined],
  ["sort", sorted],
  ["dictsort", dictSorted],
  ["unique", unique],
  ["min", (value, args) => extreme(value, args, -1)],
  ["max", (value, args) => extreme(value, args, 1)],
  ["sum", summed],
  ["map", mapped],
  ["select", (value, args, run) => selected(value, args, run, false, true)],
  ["reject", (value, args, run) => selected(value, args, run, false, false)],
  ["selectattr", (value, args, run) => selected(value, args, run, true, true)],
  ["rejectattr", (value, args, run) => selected(value, args, run, true, false)],
  ["groupby", grouped],
  ["batch", batched],
  ["slice", sliced],
];

const FILTERS: ReadonlyMap<string, Filter> = new Map([...VALUE_FILTERS, ...SEQUENCE_FILTERS]);

/** Applies a filter by name. @throws Error when there is none, or it refuses the value. */
export function applyFilter(name: string, value: Value, args: Arguments, run: RenderRun): Value {
  const filter = FILTERS.get(name);
  if (filter === undefined) throw new Error(`No filter named '${name}'.`);
  if (typeof value === "string") run.spend(value.length);
  const result = filter(value, args, run);
  if (typeof result === "string") run.checkLength(result.length);
  else if (Array.isArray(result)) run.checkItems(result.length);
  return result;
}

/** What a filter with an `attribute` argument looks at. */
const lookAt = (attribute: Value): ((item: Value) => Value) =>
  attribute === undefined || attribute === null
    ? (item) => item
    : (item) => attributeOf(item, str(attribute));

function joined(value: Value, args: Arguments, run: RenderRun): string {
  const separator = str(args.get(0, "d"));
  const parts = itemsOf(value)
    .map(lookAt(args.get(1, "attribute")))
    .map(str);
  run.checkLength(parts.reduce((sum, part) => sum + part.length + separator.length, 0));
  return parts.join(separator);
}

/** Text without case unless asked, as Jinja's sorting filters compare. */
const folded = (isCaseSensitive: boolean, value: Value): Value =>
  typeof value === "string" && !isCaseSensitive ? value.toLowerCase() : value;

function sorted(value: Value, args: Arguments): Value[] {
  const isReverse = isTruthy(args.get(0, "reverse"));
  const isCaseSensitive = isTruthy(args.get(1, "case_sensitive"));
  const look = lookAt(args.get(2, "attribute"));
  const direction = isReverse ? -1 : 1;
  const key = (item: Value): Value => folded(isCaseSensitive, look(item));
  return itemsOf(value).toSorted((a, b) => direction * compare(key(a), key(b)));
}

function dictSorted(value: Value, args: Arguments): Value[] {
  if (!isDict(value)) throw new Error("dictsort needs a dict");
  const isCaseSensitive = isTruthy(args.get(0, "case_sensitive"));
  const place = args.string(1, "by", "key") === "value" ? 1 : 0;
  const direction = isTruthy(args.get(2, "reverse")) ? -1 : 1;
  return [...value]
    .toSorted(
      (a, b) =>
        direction * compare(folded(isCaseSensitive, a[place]), folded(isCaseSensitive, b[place])),
    )
    .map(([key, item]) => new Tuple([key, item]));
}

function unique(value: Value, args: Arguments, run: RenderRun): Value[] {
  const isCaseSensitive = isTruthy(args.get(0, "case_sensitive"));
  const look = lookAt(args.get(1, "attribute"));
  const seen: Value[] = [];
  return itemsOf(value).filter((item) => {
    const key = folded(isCaseSensitive, look(item));
    run.spend(seen.length);
    if (seen.some((other) => equals(other, key))) return false;
    seen.push(key);
    return true;
  });
}

function extreme(value: Value, args: Arguments, sign: 1 | -1): Value {
  const isCaseSensitive = isTruthy(args.get(0, "case_sensitive"));
  const look = lookAt(args.get(1, "attribute"));
  const key = (item: Value): Value => folded(isCaseSensitive, look(item));
  const [first, ...rest] = itemsOf(value);
  return rest.reduce(
    (best, item) => (sign * compare(key(item), key(best)) > 0 ? item : best),
    first,
  );
}

/** The start decides what is summed: numbers, or with a list as `start` lists. */
function summed(value: Value, args: Arguments, run: RenderRun): Value {
  const look = lookAt(args.get(0, "attribute"));
  const start = args.has(1, "start") ? args.get(1, "start") : 0;
  return itemsOf(value)
    .map(look)
    .reduce<Value>((sum, item) => {
      if (typeof sum === "string" || typeof item === "string") throw new Error("cannot sum text");
      return binary("+", sum, item, run);
    }, start);
}

/** Items, where anything false counts as none: so Jinja's `map` and `select` read None. */
const present = (value: Value): readonly Value[] => (isTruthy(value) ? itemsOf(value) : []);

function mapped(value: Value, args: Arguments, run: RenderRun): Value[] {
  const attribute = args.keywords.get("attribute");
  if (attribute !== undefined) {
    const look = lookAt(attribute);
    const absent = args.keywords.get("default");
    return present(value).map((item) => look(item) ?? absent);
  }
  const inner = new Arguments(args.positional.slice(1), args.keywords);
  const name = args.string(0, "name");
  return present(value).map((item) => applyFilter(name, item, inner, run));
}

function selected(
  value: Value,
  args: Arguments,
  run: RenderRun,
  byAttribute: boolean,
  isKept: boolean,
): Value[] {
  const rest = byAttribute ? args.positional.slice(1) : args.positional;
  const look = byAttribute ? lookAt(args.get(0, "attribute")) : (item: Value) => item;
  const [name, ...parameters] = rest;
  const test = name === undefined ? null : TESTS.get(str(name));
  if (test === undefined) throw new Error(`No test named '${str(name)}'.`);
  const inner = new Arguments(parameters, NO_KEYWORDS);
  return present(value).filter((item) => {
    const passes = test === null ? isTruthy(look(item)) : test(look(item), inner, run);
    return passes === isKept;
  });
}

function grouped(value: Value, args: Arguments): Value[] {
  const attribute = args.get(0, "attribute");
  const look = lookAt(attribute);
  const groups: [Value, Value[]][] = [];
  for (const item of sorted(value, new Arguments([], new Map([["attribute", attribute]])))) {
    const key = look(item);
    const group = groups.find(([other]) => equals(other, key));
    if (group === undefined) groups.push([key, [item]]);
    else group[1].push(item);
  }
  return groups.map(([key, items]) => new Group(key, items));
}

function batched(value: Value, args: Arguments): Value[] {
  const size = Math.max(1, args.integer(0, "linecount"));
  const filler = args.get(1, "fill_with");
  const rows: Value[][] = [];
  for (const [index, item] of itemsOf(value).entries()) {
    if (index % size === 0) rows.push([]);
    rows.at(-1)?.push(item);
  }
  const last = rows.at(-1);
  if (filler !== undefined && filler !== null && last !== undefined) {
    while (last.length < Math.min(size, 10_000)) last.push(filler);
  }
  return rows;
}

function sliced(value: Value, args: Arguments): Value[] {
  const items = itemsOf(value);
  const count = Math.min(Math.max(1, args.integer(0, "slices")), 10_000);
  const size = Math.floor(items.length / count);
  const extra = items.length % count;
  return Array.from({ length: count }, (_, index) => {
    const start = index * size + Math.min(index, extra);
    return items.slice(start, start + size + (index < extra ? 1 : 0));
  });
}
