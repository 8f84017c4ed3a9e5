import {
  Callable,
  type Dict,
  isDict,
  isList,
  LoopState,
  Namespace,
  Tuple,
  type Value,
  WholeFloat,
} from "./value.ts";

/** Python's `str(value)`: what `{{ value }}`, `~` and `|string` print. */
export function str(value: Value): string {
  if (typeof value === "string") return value;
  return value === undefined ? "" : repr(value);
}

/** Python's `repr(value)`: strings in quotes, as inside printed lists. */
export function repr(value: Value): string {
  if (typeof value === "string") return quoted(value);
  if (value === undefined) return "Undefined";
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return numberText(value);
  if (value instanceof WholeFloat) return floatText(value.value);
  if (isList(value)) return `[${value.map(repr).join(", ")}]`;
  if (value instanceof Tuple) {
    const comma = value.items.length === 1 ? "," : "";
    return `(${value.items.map(repr).join(", ")}${comma})`;
  }
  if (isDict(value)) return dictText(value);
  if (value instanceof Namespace) return `<Namespace ${dictText(value.attributes)}>`;
  if (value instanceof LoopState) return "<LoopContext>";
  return value instanceof Callable ? `<function ${value.name}>` : "";
}

const dictText = (dict: Dict | ReadonlyMap<string, Value>): string =>
  `{${[...dict].map(([key, item]) => `${repr(key)}: ${repr(item)}`).join(", ")}}`;

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["\\", "\\\\"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

/** What Python's `isprintable` denies: controls, formats, surrogates, unassigned, and blanks but the space. */
const HIDDEN = /[\p{C}\p{Z}\\'"]/gu;

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(HIDDEN, (char) => {
    if (char === " ") return char;
    if (char === "'" || char === '"') return char === quote ? `\\${char}` : char;
    return ESCAPES.get(char) ?? codeEscape(char.codePointAt(0) ?? 0);
  });
  return quote + escaped + quote;
}

function codeEscape(code: number): string {
  const [letter, width] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
  return `\\${letter}${code.toString(16).padStart(width, "0")}`;
}

function numberText(value: number): string {
  if (!Number.isInteger(value)) return floatText(value);
  return Math.abs(value) < 1e21 ? String(value) : BigInt(value).toString();
}

/** Python's shortest form of a float: a point always, exponents of two digits at least. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0.0";
  const exponent = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  if (exponent >= -4 && exponent < 16) {
    const text = String(value);
    return text.includes(".") ? text : `${text}.0`;
  }
  const [mantissa, power = "0"] = value.toExponential().split("e");
  const digits = power.replace(/^[+-]/, "").padStart(2, "0");
  return `${mantissa}e${power.startsWith("-") ? "-" : "+"}${digits}`;
}
