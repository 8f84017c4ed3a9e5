import { Arguments } from "./call-arguments.ts";
import type { RenderRun } from "./render-run.ts";
import { isDict, type Keywords, keyOf, numberOf, Tuple, type Value } from "./value.ts";
import { repr, str } from "./python-text.ts";
import { lengthOf } from "./python-strings.ts";

const SPEC = /^(?:(.)?([<>^=]))?([+ ]?)(0?)(\d*)(,?)(?:\.(\d+))?([a-zA-Z%]?)$/u;
const MAX_WIDTH = 1000;

/** One value by a format specification such as `>8`, `05d`, `.2f` or `x`. */
function formatValue(value: Value, spec: string): string {
  if (spec === "") return str(value);
  const match = SPEC.exec(spec);
  if (match === null) throw new Error(`Invalid format specifier '${spec}'`);
  const [, fill, align, sign = "", zero, width = "", comma, precision, kind = ""] = match;
  const number = kind === "s" ? null : numberOf(value);
  const digits = precision === undefined ? null : Math.min(Number(precision), 100);
  let text = number === null ? str(value) : formatNumber(number, kind, digits, value);
  if (number === null && digits !== null) text = Array.from(text).slice(0, digits).join("");
  if (comma === ",") text = text.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  if (number !== null && number >= 0) text = sign + text;
  const padding = zero === "0" && align === undefined ? "0" : (fill ?? " ");
  const side = align ?? (zero === "0" ? "=" : number === null ? "<" : ">");
  return pad(text, Math.min(Number(width || 0), MAX_WIDTH), side, padding);
}

function formatNumber(value: number, kind: string, digits: number | null, source: Value): string {
  switch (kind) {
    case "f":
    case "F":
      return value.toFixed(digits ?? 6);
    case "e":
      return value.toExponential(digits ?? 6).replace(/e([+-])(\d)$/, "e$10$2");
    case "%":
      return `${(value * 100).toFixed(digits ?? 6)}%`;
    case "x":
      return Math.trunc(value).toString(16);
    case "X":
      return Math.trunc(value).toString(16).toUpperCase();
    case "o":
      return Math.trunc(value).toString(8);
    case "b":
      return Math.trunc(value).toString(2);
    case "d":
    case "i":
      return str(Math.trunc(value));
    default:
      return digits === null ? str(source) : String(Number(value.toPrecision(digits || 1)));
  }
}

function pad(text: string, width: number, side: string, fill: string): string {
  const missing = width - lengthOf(text);
  if (missing <= 0) return text;
  if (side === "<") return text + fill.repeat(missing);
  if (side === "^") {
    const left = Math.floor(missing / 2);
    return fill.repeat(left) + text + fill.repeat(missing - left);
  }
  const sign = side === "=" && /^[+-]/.test(text) ? text.slice(0, 1) : "";
  return sign + fill.repeat(missing) + text.slice(sign.length);
}

/** `str.format`: fields by position, number or name; attributes of fields are not reachable. */
export function formatBraces(text: string, args: readonly Value[], keywords: Keywords): string {
  let next = 0;
  return text.replace(/\{\{|\}\}|\{([^{}]*)\}/g, (whole, field: string | undefined) => {
    if (field === undefined) return whole.slice(0, 1);
    const [reference = "", spec = ""] = splitOnce(field, ":");
    const [name = "", conversion = ""] = splitOnce(reference, "!");
    if (!/^\w*$/.test(name)) throw new Error(`unsupported format field '${name}'`);
    const isIndex = /^\d*$/.test(name);
    const index = name === "" ? next++ : Number(name);
    const isKnown = isIndex ? index < args.length : keywords.has(name);
    if (!isKnown) throw new Error(`no replacement for format field '${name}'`);
    const value = isIndex ? args[index] : keywords.get(name);
    return formatValue(conversion === "r" ? repr(value) : value, spec);
  });
}

function splitOnce(text: string, separator: string): string[] {
  const index = text.indexOf(separator);
  return index === -1 ? [text] : [text.slice(0, index), text.slice(index + 1)];
}

/** `text % values`: a tuple gives several values, a dict named ones. */
export function formatPercent(text: string, values: Value, run: RenderRun): string {
  const args = values instanceof Tuple ? values.items : [values];
  let next = 0;
  const pattern = /%(?:\((\w+)\))?([-+ 0]*)(\d*)(?:\.(\d+))?([a-zA-Z%])/g;
  const result = text.replace(
    pattern,
    (_, name: string | undefined, flags: string, width: string, digits?: string, kind = "") => {
      if (kind === "%") return "%";
      const named = name !== undefined && isDict(values) ? values.get(keyOf(name)) : undefined;
      if (name === undefined && next >= args.length)
        throw new Error("not enough arguments for format string");
      const value = name === undefined ? args[next++] : named;
      const shown = kind === "r" ? repr(value) : value;
      const align = flags.includes("-") ? "<" : flags.includes("0") ? "" : ">";
      const sign = flags.includes("+") ? "+" : "";
      const zero = align === "" ? "0" : "";
      const precision = digits === undefined ? "" : `.${digits}`;
      return formatValue(
        shown,
        `${align}${sign}${zero}${width}${precision}${kind === "r" ? "s" : kind}`,
      );
    },
  );
  run.checkLength(result.length);
  return result;
}

/** For the filter `format`: positional values, or named ones. */
export function formatFilter(text: string, args: Arguments, run: RenderRun): string {
  const named = new Map<string, Value>(args.keywords);
  return formatPercent(text, named.size > 0 ? named : new Tuple(args.positional), run);
}
