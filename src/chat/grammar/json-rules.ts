import type { GrammarBuilder } from "./gbnf.ts";

/** Rules of JSON itself. White space and digits are bounded: a model cannot emit either forever. */
const RULES = {
  /** Nothing, a space, or line breaks with indentation. */
  ws: '| " " | "\\n"{1,2} [ \\t]{0,20}',
  comma: 'ws "," ws',
  colon: 'ws ":" ws',
  null: '"null"',
  boolean: '"true" | "false"',
  digits: '"0" | [1-9] [0-9]{0,15}',
  integer: '"-"? digits',
  /** The exponent keeps every number finite as a double. */
  exponent: '[eE] ( "-" [0-9]{1,3} | "+"? [0-9]{1,2} )',
  number: '"-"? digits ( "." [0-9]{1,16} )? exponent?',
  plain: "[\\x20\\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\ud7ff\\ue000-\\U0010ffff]",
  hex: "[0-9a-fA-F]",
  /** One code point; a surrogate pair counts once and never comes alone. */
  unit: '[0-9abcefABCEF] hex{3} | [dD] ( [0-7] hex{2} | [89abAB] hex{2} "\\\\u" [dD] [c-fC-F] hex{2} )',
  char: 'plain | "\\\\" ( ["\\\\/bfnrt] | "u" unit )',
  string: '"\\"" char* "\\""',
  member: "string colon value",
  object: '"{" ws ( member ( comma member )* ws )? "}"',
  array: '"[" ws ( value ( comma value )* ws )? "]"',
  value: "object | array | string | number | boolean | null",
} as const;

export type JsonRule = keyof typeof RULES;

const NEEDS: Readonly<Partial<Record<JsonRule, readonly JsonRule[]>>> = {
  comma: ["ws"],
  colon: ["ws"],
  integer: ["digits"],
  number: ["digits", "exponent"],
  unit: ["hex"],
  char: ["plain", "unit"],
  string: ["char"],
  member: ["string", "colon", "value"],
  object: ["ws", "member", "comma"],
  array: ["ws", "value", "comma"],
  value: ["object", "array", "string", "number", "boolean", "null"],
};

/** The name of a rule of JSON itself, defined together with what it needs. */
export function jsonRule(builder: GrammarBuilder, name: JsonRule): string {
  if (builder.has(name)) return name;
  builder.define(name, RULES[name]);
  for (const needed of NEEDS[name] ?? []) jsonRule(builder, needed);
  return name;
}
