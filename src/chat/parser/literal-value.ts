import { isSpace, readWhole, type Input, type Step } from "./input.ts";
import { escapeJson, parseJson } from "./json-value.ts";
import { MarkerSet } from "./marker-set.ts";

/** How a notation that is not JSON writes its values. */
export interface LiteralStyle {
  /** Strings in this text and without escapes; null = only Python's and JSON's quotes. */
  quote: string | null;
  /** Keys of an object may stand without quotes. */
  bareKeys: boolean;
}

export const PYTHON_STYLE: LiteralStyle = { quote: null, bareKeys: false };

const DEPTH_LIMIT = 64;
const SPACE_LIMIT = 16;

/** A value as JSON text. `whole` is false when the input ended inside it. */
export interface Literal {
  json: string;
  whole: boolean;
}

/** Reads one Python or JSON literal. What cannot be understood becomes a string. */
export function* readLiteral(input: Input, style: LiteralStyle, depth = 0): Step<Literal> {
  yield* input.skipSpace();
  if (style.quote !== null && (yield* input.eat(style.quote))) {
    return yield* readQuoted(input, style.quote);
  }
  const first = yield* input.peek();
  if (first === '"' || first === "'") return yield* readPythonString(input, first);
  const canNest = depth < DEPTH_LIMIT;
  if (first === "{" && canNest) return yield* readObject(input, style, depth + 1);
  if ((first === "[" || first === "(") && canNest) return yield* readArray(input, style, depth + 1);
  return yield* readBareWord(input);
}

/** The JSON text of a whole Python literal (`{'a': True}`); null when it is none. */
export function pythonToJson(text: string): string | null {
  const first = text.trimStart().charAt(0);
  if (first !== "{" && first !== "[" && first !== "(") return null;
  return readWhole(text, function* (input): Step<string | null> {
    const { json, whole } = yield* readLiteral(input, PYTHON_STYLE);
    yield* input.skipSpace();
    return whole && input.isExhausted && parseJson(json) !== null ? json : null;
  });
}

/** A bare word as JSON text; null when it needs quotes. */
function scalarToJson(word: string): string | null {
  const constant = CONSTANTS.get(word);
  if (constant !== undefined) return constant;
  return NUMBER.test(word) ? word : null;
}

const CONSTANTS: ReadonlyMap<string, string> = new Map([
  ["True", "true"],
  ["true", "true"],
  ["False", "false"],
  ["false", "false"],
  ["None", "null"],
  ["null", "null"],
]);

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

function* readQuoted(input: Input, quote: string): Step<Literal> {
  let json = '"';
  const emit = (text: string): void => {
    json += escapeJson(text);
  };
  const end = yield* input.until(MarkerSet.of(quote), emit, true);
  return { json: `${json}"`, whole: end !== null };
}

function* readObject(input: Input, style: LiteralStyle, depth: number): Step<Literal> {
  input.take(1);
  const members: string[] = [];
  const close = (whole: boolean): Literal => ({ json: `{${members.join(", ")}}`, whole });
  for (;;) {
    yield* input.skipSpace();
    if (yield* input.eat("}")) return close(true);
    if (input.isExhausted) return close(false);
    if (yield* input.eat(",")) continue;
    const key = yield* readKey(input, style);
    if (key === null) return close(false);
    const { json, whole } = yield* readLiteral(input, style, depth);
    members.push(`${key}: ${json}`);
    if (!whole) return close(false);
  }
}

/** A key as JSON text, up to and with its colon. */
function* readKey(input: Input, style: LiteralStyle): Step<string | null> {
  const first = yield* input.peek();
  const isQuoted = first === '"' || first === "'" || (yield* startsQuote(input, style));
  let key: string;
  if (style.bareKeys && !isQuoted) {
    let text = "";
    for (;;) {
      if (!(yield* input.fill(1))) return null;
      if (input.charAt(0) === ":") break;
      if ("{}[],".includes(input.charAt(0))) return null;
      text += input.take(1);
    }
    key = `"${escapeJson(text.trim())}"`;
  } else {
    const { json, whole } = yield* readLiteral(input, style, DEPTH_LIMIT);
    if (!whole) return null;
    key = json.startsWith('"') ? json : `"${escapeJson(json)}"`;
  }
  yield* input.skipSpace();
  return (yield* input.eat(":")) ? key : null;
}

function* startsQuote(input: Input, { quote }: LiteralStyle): Step<boolean> {
  return quote !== null && (yield* input.looksAt([quote]));
}

function* readArray(input: Input, style: LiteralStyle, depth: number): Step<Literal> {
  const closer = input.take(1) === "[" ? "]" : ")";
  const items: string[] = [];
  const close = (whole: boolean): Literal => ({ json: `[${items.join(", ")}]`, whole });
  for (;;) {
    yield* input.skipSpace();
    if (yield* input.eat(closer)) return close(true);
    if (input.isExhausted) return close(false);
    if (yield* input.eat(",")) continue;
    const { json, whole } = yield* readLiteral(input, style, depth);
    items.push(json);
    if (!whole) return close(false);
  }
}

/** A word up to the next delimiter, at least one character. */
function* readBareWord(input: Input): Step<Literal> {
  yield* input.fill(1);
  let word = input.take(1);
  for (;;) {
    const count = wordLength(input.rest);
    word += input.take(count);
    if (input.available > 0 || input.end !== "open") break;
    input.consumeNext((chunk) => {
      if (wordLength(chunk) < chunk.length) return false;
      word += chunk;
      return true;
    });
    yield;
  }
  const whole = !input.isExhausted || input.end === "ended";
  const trimmed = word.trim();
  return { json: scalarToJson(trimmed) ?? `"${escapeJson(trimmed)}"`, whole };
}

function wordLength(text: string): number {
  let count = 0;
  while (count < text.length && !WORD_ENDS.has(text.charAt(count))) count++;
  return count;
}

const WORD_ENDS: ReadonlySet<string> = new Set(",)]}\n");

/**
 * Reads `'..'`, `".."` or a triple-quoted string. Some templates write strings without escaping
 * quotes inside; so a quote ends the string only where a literal can end.
 */
function* readPythonString(input: Input, quote: string): Step<Literal> {
  const isTriple = yield* input.eat(quote.repeat(3));
  const closer = isTriple ? quote.repeat(3) : quote;
  if (!isTriple) input.take(1);
  let text = "";
  const done = (whole: boolean): Literal => ({ json: `"${escapeJson(text)}"`, whole });
  for (;;) {
    if (input.available === 0) {
      if (input.end !== "open") return done(false);
      input.consumeNext((chunk) => {
        if (chunk.includes(quote) || chunk.includes("\\")) return false;
        text += chunk;
        return true;
      });
      yield;
      continue;
    }
    const next = input.charAt(0);
    if (next === "\\") text += yield* readEscape(input);
    else if (next !== quote) text += takePlain(input, quote);
    else if (yield* input.eat(closer)) {
      if (isTriple || (yield* canEnd(input))) return done(true);
      text += closer;
    } else text += input.take(1);
  }
}

function takePlain(input: Input, quote: string): string {
  const text = input.rest;
  let count = 1;
  while (count < text.length && text[count] !== "\\" && text[count] !== quote) count++;
  return input.take(count);
}

/** Whether a delimiter or the end follows, after a little whitespace. */
function* canEnd(input: Input): Step<boolean> {
  for (let offset = 0; offset < SPACE_LIMIT; offset++) {
    if (!(yield* input.fill(offset + 1))) return true;
    if (!isSpace(input.charCodeAt(offset))) return ",)]}:".includes(input.charAt(offset));
  }
  return true;
}

function* readEscape(input: Input): Step<string> {
  yield* input.fill(2);
  input.take(1);
  const kind = input.take(1);
  const length = HEX_LENGTHS.get(kind);
  if (length === undefined) return PYTHON_ESCAPES.get(kind) ?? `\\${kind}`;
  yield* input.fill(length);
  const digits = input.take(length);
  const code = /^[0-9a-fA-F]+$/.test(digits) ? Number.parseInt(digits, 16) : Number.NaN;
  return code <= 0x10ffff ? String.fromCodePoint(code) : `\\${kind}${digits}`;
}

const HEX_LENGTHS: ReadonlyMap<string, number> = new Map([
  ["x", 2],
  ["u", 4],
  ["U", 8],
]);

const PYTHON_ESCAPES: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["t", "\t"],
  ["r", "\r"],
  ["b", "\b"],
  ["f", "\f"],
  ["0", "\0"],
  ["a", "\u0007"],
  ["v", "\v"],
  ["/", "/"],
  ["\\", "\\"],
  ["'", "'"],
  ['"', '"'],
  ["\n", ""],
]);
