import { Arguments } from "./call-arguments.ts";
import type { RenderRun } from "./render-run.ts";
import { Callable, itemsOf, Tuple, type Value } from "./value.ts";
import { formatBraces } from "./python-format.ts";
import { str } from "./python-text.ts";
import {
  capitalize,
  countOf,
  lengthOf,
  pointIndex,
  replace,
  split,
  splitLines,
  splitRight,
  strip,
  swapCase,
  title,
} from "./python-strings.ts";

type StringMethod = (text: string, args: Arguments, run: RenderRun) => Value;

/** Methods of Python's `str`. Indices count code points. */
const METHODS: ReadonlyMap<string, StringMethod> = new Map<string, StringMethod>([
  ["upper", (text) => text.toUpperCase()],
  ["lower", (text) => text.toLowerCase()],
  ["casefold", (text) => text.toLowerCase()],
  ["title", (text) => title(text)],
  ["capitalize", (text) => capitalize(text)],
  ["swapcase", (text) => swapCase(text)],
  ["strip", (text, args) => strip(text, args.optionalString(0, "chars"), true, true)],
  ["lstrip", (text, args) => strip(text, args.optionalString(0, "chars"), true, false)],
  ["rstrip", (text, args) => strip(text, args.optionalString(0, "chars"), false, true)],
  ["startswith", (text, args) => affixes(args).some((part) => text.startsWith(part))],
  ["endswith", (text, args) => affixes(args).some((part) => text.endsWith(part))],
  ["removeprefix", (text, args) => withoutStart(text, args.string(0, "prefix"))],
  ["removesuffix", (text, args) => withoutEnd(text, args.string(0, "suffix"))],
  ["find", (text, args) => pointIndex(text, text.indexOf(args.string(0, "sub")))],
  ["rfind", (text, args) => pointIndex(text, text.lastIndexOf(args.string(0, "sub")))],
  ["index", (text, args) => found(text, text.indexOf(args.string(0, "sub")))],
  ["rindex", (text, args) => found(text, text.lastIndexOf(args.string(0, "sub")))],
  ["count", (text, args) => countOf(text, args.string(0, "sub"))],
  ["replace", replaced],
  [
    "split",
    (text, args) => split(text, args.optionalString(0, "sep"), args.integer(1, "maxsplit", -1)),
  ],
  [
    "rsplit",
    (text, args) =>
      splitRight(text, args.optionalString(0, "sep"), args.integer(1, "maxsplit", -1)),
  ],
  ["splitlines", (text, args) => splitLines(text, Boolean(args.get(0, "keepends")))],
  ["partition", (text, args) => partition(text, args.string(0, "sep"))],
  ["rpartition", (text, args) => partitionRight(text, args.string(0, "sep"))],
  ["join", joined],
  ["format", (text, args) => formatBraces(text, args.positional, args.keywords)],
  ["zfill", (text, args, run) => zeroFilled(text, widthOf(args, run))],
  ["ljust", (text, args, run) => text + padding(text, args, run)],
  ["rjust", (text, args, run) => padding(text, args, run) + text],
  ["center", centered],
  ["isdigit", (text) => /^\p{Nd}+$/u.test(text)],
  ["isdecimal", (text) => /^\p{Nd}+$/u.test(text)],
  ["isnumeric", (text) => /^\p{N}+$/u.test(text)],
  ["isalpha", (text) => /^\p{L}+$/u.test(text)],
  ["isalnum", (text) => /^[\p{L}\p{N}]+$/u.test(text)],
  ["isspace", (text) => text !== "" && strip(text, null, true, true) === ""],
  ["isupper", (text) => text === text.toUpperCase() && text !== text.toLowerCase()],
  ["islower", (text) => text === text.toLowerCase() && text !== text.toUpperCase()],
]);

/** A method of `text` bound to it, or undefined when strings have no such method. */
export function stringMethod(text: string, name: string): Callable | undefined {
  const method = METHODS.get(name);
  if (method === undefined) return undefined;
  return new Callable(name, (positional, keywords, run) => {
    run.spend(text.length);
    const result = method(text, new Arguments(positional, keywords), run);
    if (typeof result === "string") run.checkLength(result.length);
    if (Array.isArray(result)) run.checkItems(result.length);
    return result;
  });
}

function affixes(args: Arguments): readonly string[] {
  const value = args.get(0, "prefix");
  const list = value instanceof Tuple ? value.items : [value];
  return list.map((part) => {
    if (typeof part === "string") return part;
    throw new Error("startswith and endswith need a str or a tuple of str");
  });
}

const withoutStart = (text: string, part: string): string =>
  text.startsWith(part) ? text.slice(part.length) : text;

const withoutEnd = (text: string, part: string): string =>
  part !== "" && text.endsWith(part) ? text.slice(0, -part.length) : text;

function found(text: string, index: number): number {
  if (index === -1) throw new Error("substring not found");
  return pointIndex(text, index);
}

function replaced(text: string, args: Arguments, run: RenderRun): string {
  const old = args.string(0, "old");
  const next = args.string(1, "new");
  const growth = next.length - old.length;
  if (growth > 0) run.checkLength(text.length + countOf(text, old) * growth);
  return replace(text, old, next, args.integer(2, "count", -1));
}

function partition(text: string, separator: string): Tuple {
  const index = text.indexOf(separator);
  if (index === -1) return new Tuple([text, "", ""]);
  return new Tuple([text.slice(0, index), separator, text.slice(index + separator.length)]);
}

function partitionRight(text: string, separator: string): Tuple {
  const index = text.lastIndexOf(separator);
  if (index === -1) return new Tuple(["", "", text]);
  return new Tuple([text.slice(0, index), separator, text.slice(index + separator.length)]);
}

function joined(separator: string, args: Arguments, run: RenderRun): string {
  const parts = itemsOf(args.get(0, "iterable")).map(str);
  run.checkLength(parts.reduce((sum, part) => sum + part.length + separator.length, 0));
  return parts.join(separator);
}

function widthOf(args: Arguments, run: RenderRun): number {
  const width = args.integer(0, "width");
  run.checkLength(width);
  return width;
}

function padding(text: string, args: Arguments, run: RenderRun): string {
  const missing = widthOf(args, run) - lengthOf(text);
  return args.string(1, "fillchar", " ").repeat(Math.max(0, missing));
}

function centered(text: string, args: Arguments, run: RenderRun): string {
  const all = padding(text, args, run);
  const left = Math.floor(all.length / 2);
  return all.slice(0, left) + text + all.slice(left);
}

function zeroFilled(text: string, width: number): string {
  const sign = /^[+-]/.test(text) ? text.slice(0, 1) : "";
  return sign + text.slice(sign.length).padStart(width - sign.length, "0");
}
