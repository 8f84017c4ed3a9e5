import { bareNames } from "./bare-names.ts";
import { literal, sequence, type GrammarBuilder } from "./gbnf.ts";
import { jsonRule } from "./json-rules.ts";
import { rawText } from "./raw-text.ts";
import { JSON_STYLE, type ValueStyle } from "./value-style.ts";

/** Python literals; `true`, `false` and `null` are read as well. */
export const PYTHON_STYLE: ValueStyle = {
  ...JSON_STYLE,
  id: "python",
  texts: (value) => [...new Set([pythonText(value), JSON.stringify(value)])],
  null: (builder) => named(builder, "py-null", '"None" | "null"'),
  boolean: (builder) => named(builder, "py-boolean", '"True" | "False" | "true" | "false"'),
  anyValue: (builder) => freeValue(builder, "py", PYTHON_STYLE),
  anyObject: (builder) => freeObject(builder, "py", PYTHON_STYLE),
};

/** JavaScript-like objects with bare names in alphabetical order, strings between `quote`s. */
export function dictStyle(quote: string): ValueStyle {
  const style: ValueStyle = {
    ...JSON_STYLE,
    id: "dict",
    text: rawText(quote, quote),
    texts: (value) => dictTexts(value, quote),
    anyValue: (builder) => freeValue(builder, "dict", style),
    anyObject: (builder) => freeObject(builder, "dict", style),
    member: (builder, name, value) => sequence(literal(name), jsonRule(builder, "colon"), value),
    names: DICT_NAMES,
    extra: (builder, declared, value) =>
      sequence(DICT_NAMES.other(builder, declared, jsonRule(builder, "colon")), value),
    keyed: (builder, key, value) => sequence(key, jsonRule(builder, "colon"), value),
    sorted: true,
  };
  return style;
}

/** What else would end a name, or begin a string. */
const DICT_NAMES = bareNames(":,{}[]<>|\"'`", true);

function named(builder: GrammarBuilder, name: string, body: string): string {
  if (!builder.has(name)) builder.define(name, body);
  return name;
}

function freeObject(builder: GrammarBuilder, prefix: string, style: ValueStyle): string {
  const name = `${prefix}-object`;
  if (builder.has(name)) return name;
  const value = `${prefix}-value`;
  const member = style.extra(builder, [], value);
  const list = `( ${member} ( ${style.comma(builder)} ${member} )* ${style.ws(builder)} )?`;
  builder.define(name, `${style.object.open} ${style.ws(builder)} ${list} ${style.object.close}`);
  freeValue(builder, prefix, style);
  return name;
}

function freeValue(builder: GrammarBuilder, prefix: string, style: ValueStyle): string {
  const name = `${prefix}-value`;
  if (builder.has(name)) return name;
  const ws = style.ws(builder);
  const list = `( ${name} ( ${style.comma(builder)} ${name} )* ${ws} )?`;
  const array = `${style.array.open} ${ws} ${list} ${style.array.close}`;
  const scalars = [
    style.text.free(builder, []),
    jsonRule(builder, "number"),
    style.boolean(builder),
    style.null(builder),
  ];
  builder.define(name, [`${prefix}-object`, array, ...scalars].join(" | "));
  freeObject(builder, prefix, style);
  return name;
}

/** A value as Python's `repr` writes it, with JSON's strings. */
function pythonText(value: unknown): string {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(pythonText).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([key, member]) => `${JSON.stringify(key)}: ${pythonText(member)}`,
  );
  return `{${members.join(", ")}}`;
}

function dictTexts(value: unknown, quote: string): string[] {
  if (typeof value === "string") return value.includes(quote) ? [] : [quote + value + quote];
  if (typeof value !== "object" || value === null) return [JSON.stringify(value)];
  const inner = Object.entries(value).map(([key, member]) => {
    const [text] = dictTexts(member, quote);
    return text === undefined ? undefined : Array.isArray(value) ? text : `${key}:${text}`;
  });
  if (inner.includes(undefined)) return [];
  return [Array.isArray(value) ? `[${inner.join(",")}]` : `{${inner.join(",")}}`];
}
