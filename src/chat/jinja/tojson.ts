import type { RenderRun } from "./render-run.ts";
import { isDict, isList, Namespace, Tuple, typeName, type Value, WholeFloat } from "./value.ts";
import { floatText, str } from "./python-text.ts";

export interface JsonStyle {
  /** Blanks per level, or null for one line. */
  indent: number | null;
  itemSeparator: string;
  keySeparator: string;
  sortKeys: boolean;
  ensureAscii: boolean;
}

/** Python's `json.dumps` with the given style; Undefined becomes null. */
export function toJson(value: Value, style: JsonStyle, run: RenderRun): string {
  const write = (item: Value, level: number): string => {
    if (typeof item === "string") return quote(item, style.ensureAscii);
    if (item === null || item === undefined) return "null";
    if (typeof item === "boolean") return String(item);
    if (item instanceof WholeFloat) return floatText(item.value);
    if (typeof item === "number") return str(item);
    if (isList(item) || item instanceof Tuple) {
      const items = isList(item) ? item : item.items;
      return bracket(
        "[]",
        items.map((child) => write(child, level + 1)),
        level,
      );
    }
    if (isDict(item) || item instanceof Namespace) {
      const entries = [...(isDict(item) ? item : item.attributes)].map(
        ([key, child]): [string, Value] => [typeof key === "string" ? key : jsonKey(key), child],
      );
      if (style.sortKeys) entries.sort(([a], [b]) => (a < b ? -1 : 1));
      const parts = entries.map(
        ([key, child]) =>
          quote(key, style.ensureAscii) + style.keySeparator + write(child, level + 1),
      );
      return bracket("{}", parts, level);
    }
    throw new Error(`Object of type ${typeName(item)} is not JSON serializable`);
  };
  const bracket = (pair: string, parts: readonly string[], level: number): string => {
    run.spend(parts.length + 1);
    const [open = "", close = ""] = pair;
    if (parts.length === 0) return pair;
    if (style.indent === null) return open + parts.join(style.itemSeparator) + close;
    const outer = `\n${" ".repeat(style.indent * level)}`;
    const inner = outer + " ".repeat(style.indent);
    return open + inner + parts.join(style.itemSeparator + inner) + outer + close;
  };
  const text = write(value, 0);
  run.checkLength(text.length);
  return text;
}

function quote(text: string, ensureAscii: boolean): string {
  const json = JSON.stringify(text);
  if (!ensureAscii) return json;
  return json.replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const jsonKey = (key: number | boolean | null): string =>
  typeof key === "number" ? str(key) : String(key);
