import type { Arguments } from "./call-arguments.ts";
import { entries } from "./collections.ts";
import { type JsonStyle, toJson } from "./tojson.ts";
import type { RenderRun } from "./render-run.ts";
import {
  float,
  isDict,
  isInteger,
  isList,
  isTruthy,
  itemsOf,
  numberOf,
  parseJson,
  Tuple,
  typeName,
  type Value,
  WholeFloat,
} from "./value.ts";
import { formatFilter } from "./python-format.ts";
import { str } from "./python-text.ts";
import {
  capitalize,
  countOf,
  lengthOf,
  points,
  replace,
  split,
  splitLines,
  strip,
  titleWords,
} from "./python-strings.ts";

export type Filter = (value: Value, args: Arguments, run: RenderRun) => Value;

/** Filters of one value. Those that walk over sequences are in jinja-sequence-filters.ts. */
export const VALUE_FILTERS: readonly (readonly [string, Filter])[] = [
  ["string", (value) => str(value)],
  ["safe", (value) => value],
  ["upper", (value) => str(value).toUpperCase()],
  ["lower", (value) => str(value).toLowerCase()],
  ["title", (value) => titleWords(str(value))],
  ["capitalize", (value) => capitalize(str(value))],
  ["trim", (value, args) => strip(str(value), args.optionalString(0, "chars"), true, true)],
  ["replace", replaced],
  ["format", (value, args, run) => formatFilter(str(value), args, run)],
  ["indent", indented],
  ["truncate", truncated],
  ["center", (value, args, run) => centered(str(value), args.integer(0, "width", 80), run)],
  ["wordcount", (value) => split(str(value), null, -1).length],
  ["striptags", (value) => split(str(value).replace(/<[^<>]*>/g, ""), null, -1).join(" ")],
  ["urlencode", (value) => encodeURIComponent(str(value)).replaceAll("%2F", "/")],
  ["e", (value) => escaped(str(value))],
  ["escape", (value) => escaped(str(value))],
  ["forceescape", (value) => escaped(str(value))],
  ["length", measured],
  ["count", measured],
  ["abs", (value) => absolute(value)],
  ["int", (value, args) => toInteger(value, args)],
  ["float", (value, args) => toFloat(value, args)],
  ["round", rounded],
  ["default", fallback],
  ["d", fallback],
  ["tojson", (value, args, run) => toJson(value, jsonStyle(args), run)],
  ["from_json", (value) => parsed(value)],
  ["fromjson", (value) => parsed(value)],
  ["items", items],
  ["attr", (value, args) => attributeOf(value, args.string(0, "name"))],
];

/** A part of a value by a path such as `function.name` or `items.0`. */
export function attributeOf(value: Value, path: string): Value {
  let part = value;
  for (const name of path.split(".")) {
    if (isDict(part)) part = part.get(name);
    else if (isList(part)) part = part[Number(name)];
    else if (part instanceof Tuple) part = part.field(name);
    else return undefined;
  }
  return part;
}

function replaced(value: Value, args: Arguments, run: RenderRun): string {
  const text = str(value);
  const old = str(args.get(0, "old"));
  const next = str(args.get(1, "new"));
  const growth = Math.max(0, next.length - old.length);
  run.checkLength(text.length + countOf(text, old) * growth);
  return replace(text, old, next, args.integer(2, "count", -1));
}

function indented(value: Value, args: Arguments, run: RenderRun): string {
  const width = args.get(0, "width");
  const blanks = typeof width === "string" ? width.length : args.integer(0, "width", 4);
  run.checkLength(blanks);
  const margin = typeof width === "string" ? width : " ".repeat(Math.max(0, blanks));
  const lines = splitLines(`${str(value)}\n`, false);
  run.checkLength(lines.length * (margin.length + 1) + str(value).length);
  const isEvery = isTruthy(args.get(2, "blank"));
  const rest = lines.slice(1).map((line) => (line === "" && !isEvery ? line : margin + line));
  const first = isTruthy(args.get(1, "first")) ? margin : "";
  return first + [lines[0] ?? "", ...rest].join("\n");
}

function truncated(value: Value, args: Arguments): string {
  const text = str(value);
  const limit = args.integer(0, "length", 255);
  const end = args.string(2, "end", "...");
  const leeway = args.integer(3, "leeway", 5);
  if (lengthOf(text) <= limit + leeway) return text;
  const cut = Array.from(text)
    .slice(0, Math.max(0, limit - lengthOf(end)))
    .join("");
  if (isTruthy(args.get(1, "killwords"))) return cut + end;
  const word = cut.lastIndexOf(" ");
  return (word === -1 ? cut : cut.slice(0, word)) + end;
}

function centered(text: string, width: number, run: RenderRun): string {
  run.checkLength(width);
  const missing = Math.max(0, width - lengthOf(text));
  const left = Math.floor(missing / 2);
  return " ".repeat(left) + text + " ".repeat(missing - left);
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
  ["'", "&#39;"],
  ['"', "&#34;"],
]);
const escaped = (text: string): string =>
  text.replace(/[&<>'"]/g, (char) => ENTITIES.get(char) ?? char);

function measured(value: Value): number {
  if (typeof value === "string") return lengthOf(value);
  if (isDict(value)) return value.size;
  if (value === undefined || isList(value) || value instanceof Tuple) return itemsOf(value).length;
  throw new Error(`object of type '${typeName(value)}' has no len()`);
}

function absolute(value: Value): Value {
  const number = numberOf(value);
  if (number === null) throw new Error(`bad operand type for abs(): '${typeName(value)}'`);
  return value instanceof WholeFloat ? new WholeFloat(Math.abs(number)) : Math.abs(number);
}

function toInteger(value: Value, args: Arguments): Value {
  const number = numberOf(value);
  if (number !== null) return Math.trunc(number);
  const text = typeof value === "string" ? strip(value, null, true, true) : "";
  if (/^[+-]?\d[\d_]*$/.test(text)) return Number(text.replaceAll("_", ""));
  const asFloat = parseFloatText(text);
  if (asFloat !== null) return Math.trunc(asFloat);
  return args.has(0, "default") ? args.get(0, "default") : 0;
}

function toFloat(value: Value, args: Arguments): Value {
  const number = numberOf(value) ?? parseFloatText(typeof value === "string" ? value.trim() : "");
  if (number !== null) return float(number);
  return args.has(0, "default") ? args.get(0, "default") : new WholeFloat(0);
}

const parseFloatText = (text: string): number | null =>
  /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : null;

function rounded(value: Value, args: Arguments): Value {
  const number = numberOf(value);
  if (number === null) throw new Error(`cannot round '${typeName(value)}'`);
  const scale = 10 ** args.integer(0, "precision", 0);
  const method = args.string(1, "method", "common");
  const scaled = number * scale;
  if (method === "ceil") return float(Math.ceil(scaled) / scale);
  if (method === "floor") return float(Math.floor(scaled) / scale);
  const result = roundHalfEven(scaled) / scale;
  return isInteger(value) || typeof value === "boolean" ? result : float(result);
}

function roundHalfEven(value: number): number {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

function fallback(value: Value, args: Arguments): Value {
  const isAbsent = value === undefined || (isTruthy(args.get(1, "boolean")) && !isTruthy(value));
  if (!isAbsent) return value;
  return args.has(0, "default_value") ? args.get(0, "default_value") : "";
}

function jsonStyle(args: Arguments): JsonStyle {
  const indent = args.get(0, "indent");
  const separators = args.keywords.get("separators");
  const [item, key] = separators === undefined || separators === null ? [] : itemsOf(separators);
  const width = indent === undefined || indent === null ? null : args.integer(0, "indent");
  return {
    indent: width === null ? null : Math.min(Math.max(width, 0), 100),
    itemSeparator: typeof item === "string" ? item : width === null ? ", " : ",",
    keySeparator: typeof key === "string" ? key : ": ",
    sortKeys: isTruthy(args.keywords.get("sort_keys")),
    ensureAscii: isTruthy(args.keywords.get("ensure_ascii")),
  };
}

function parsed(value: Value): Value {
  if (typeof value !== "string") return value;
  try {
    return parseJson(value);
  } catch {
    throw new Error("from_json needs JSON text");
  }
}

function items(value: Value, _args: Arguments, run: RenderRun): Value {
  if (value === undefined) return [];
  if (!isDict(value)) throw new Error("Can only get item pairs from a mapping.");
  run.checkItems(value.size);
  return entries(value);
}

/** The items of a sequence from its end, or the text backwards. */
export function reversed(value: Value): Value {
  if (typeof value === "string") return Array.from(points(value)).toReversed().join("");
  return [...itemsOf(value)].toReversed();
}
