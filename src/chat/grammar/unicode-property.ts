import { charSet, type CharSet } from "./char-set.ts";

/** Those that are known, so that a client cannot have hundreds looked up: each takes milliseconds. */
const NAMES: ReadonlySet<string> = new Set(
  `L Letter Lu Uppercase_Letter Ll Lowercase_Letter Lt Lm Lo M Mark Mn Mc N Number Nd Nl No
  P Punctuation Pc Pd Ps Pe Pi Pf Po S Symbol Sm Sc Sk So Z Separator Zs Zl Zp Cc Cf
  Alphabetic Alpha Uppercase Upper Lowercase Lower White_Space space ASCII ID_Start ID_Continue
  XID_Start XID_Continue Emoji Emoji_Presentation Emoji_Modifier Emoji_Modifier_Base Emoji_Component
  Extended_Pictographic Regional_Indicator Ideographic`.split(/\s+/),
);
const SCRIPTS: ReadonlySet<string> = new Set(
  `Latin Greek Cyrillic Armenian Hebrew Arabic Devanagari Bengali Tamil Thai Georgian Hangul
  Hiragana Katakana Han`.split(/\s+/),
);
const CHUNK = 0x1000;
/** Where Unicode has assigned characters, in chunks: in four planes, and tags. */
const CHUNKS: readonly number[] = [
  ...Array.from({ length: 0x40 }, (_, index) => index * CHUNK),
  0xe0000,
];

const found = new Map<string, CharSet>();

/** The characters of `\p{expression}` in ECMA-262; null for what is not known here. */
export function unicodeProperty(expression: string): CharSet | null {
  const [name = "", value] = expression.split("=");
  const isKnown =
    value === undefined
      ? NAMES.has(name)
      : ["Script", "sc", "Script_Extensions", "scx"].includes(name)
        ? SCRIPTS.has(value)
        : ["General_Category", "gc"].includes(name) && NAMES.has(value);
  if (!isKnown) return null;
  const known = found.get(expression);
  if (known !== undefined) return known;
  const set = scan(expression);
  if (set !== null) found.set(expression, set);
  return set;
}

function scan(expression: string): CharSet | null {
  let pattern: RegExp;
  try {
    pattern = new RegExp(`\\p{${expression}}+`, "gu");
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
  const ranges: [number, number][] = [];
  for (const start of CHUNKS) {
    const codes = Array.from({ length: CHUNK }, (_, index) => start + index);
    for (const { 0: run, index } of String.fromCodePoint(...codes).matchAll(pattern)) {
      // One unit for each character of the first plane, two for others.
      const from = start + (start > 0xffff ? index / 2 : index);
      ranges.push([from, from + Array.from(run).length - 1]);
    }
  }
  return charSet(...ranges);
}
