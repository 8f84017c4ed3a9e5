import type { Input, Step } from "./input.ts";
import { BACKSLASH, QUOTE, ValueScanner } from "./value-scanner.ts";

/** Receives consecutive pieces of a value. */
export type Emit = (text: string) => void;

/**
 * Passes on the raw text of one JSON value and stops exactly behind it. The text is not checked, so
 * Python's `True` or a trailing comma pass as well; a character that no such value can hold outside
 * a string (`<`, a backtick) ends it. False = the value broke off.
 */
export function* passJsonValue(input: Input, emit: Emit): Step<boolean> {
  yield* input.skipSpace();
  const first = yield* input.peek();
  if (first !== "{" && first !== "[" && first !== '"') return yield* passScalar(input, emit);
  const scanner = new ValueScanner();
  for (;;) {
    const count = scanner.scan(input.rest);
    if (count > 0) emit(input.take(count));
    if (scanner.state !== "open") return scanner.state === "done";
    if (input.end !== "open") return false;
    input.consumeNext((chunk) => {
      if (!scanner.staysOpen(chunk)) return false;
      emit(chunk);
      return true;
    });
    yield;
  }
}

/** Passes on what a JSON string says, without quotes and escapes. */
export function* passDecodedString(input: Input, emit: Emit): Step<boolean> {
  input.take(1);
  for (;;) {
    const count = plainLength(input.rest);
    if (count > 0) emit(input.take(count));
    if (input.available === 0) {
      if (input.end !== "open") return false;
      input.consumeNext((chunk) => {
        if (plainLength(chunk) < chunk.length) return false;
        emit(chunk);
        return true;
      });
      yield;
      continue;
    }
    if (input.take(1) === '"') return true;
    if (!(yield* input.fill(1))) return false;
    const escape = input.take(1);
    if (escape === "u") {
      yield* input.fill(4);
      const digits = input.take(4);
      const code = /^[0-9a-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : null;
      emit(code === null ? digits : String.fromCharCode(code));
    } else {
      emit(ESCAPES.get(escape) ?? escape);
    }
  }
}

/** The value of a JSON string that is next; null when it breaks off. */
export function* readString(input: Input): Step<string | null> {
  let text = "";
  const whole = yield* passDecodedString(input, (piece) => (text += piece));
  return whole ? text : null;
}

/** The raw text of the value that is next. */
export function* readRawValue(input: Input): Step<{ text: string; whole: boolean }> {
  let text = "";
  const whole = yield* passJsonValue(input, (piece) => (text += piece));
  return { text, whole };
}

export function parseJson(text: string): { value: unknown } | null {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return null;
  }
}

/** `text` as the inside of a JSON string. Halves of a surrogate pair stay as they are. */
export function escapeJson(text: string): string {
  return text.replace(SPECIAL, (char) => SHORT_ESCAPES.get(char) ?? unicodeEscape(char));
}

const unicodeEscape = (char: string): string =>
  `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** Characters up to the next quote or backslash. */
function plainLength(text: string): number {
  let count = 0;
  for (; count < text.length; count++) {
    const code = text.charCodeAt(count);
    if (code === QUOTE || code === BACKSLASH) break;
  }
  return count;
}

function* passScalar(input: Input, emit: Emit): Step<boolean> {
  let isEmpty = true;
  for (;;) {
    let count = 0;
    while (count < input.available && !SCALAR_ENDS.has(input.charAt(count))) count++;
    if (count > 0) emit(input.take(count));
    isEmpty &&= count === 0;
    if (input.available > 0) return !isEmpty;
    if (input.end !== "open") return !isEmpty && input.end === "ended";
    yield;
  }
}

const SCALAR_ENDS: ReadonlySet<string> = new Set(',]}:"<` \n\r\t');

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["t", "\t"],
  ["r", "\r"],
  ["b", "\b"],
  ["f", "\f"],
]);

const SPECIAL = /["\\\u0000-\u001f]/g;

const SHORT_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\n", "\\n"],
  ["\t", "\\t"],
  ["\r", "\\r"],
]);
