import { HEAD_LIMIT, startCall, type CallReader } from "./call-reader.ts";
import type { Step } from "./input.ts";
import { readJsonSection } from "./json-section.ts";
import { escapeJson } from "./json-value.ts";
import { PYTHON_STYLE, readLiteral } from "./literal-value.ts";
import { MarkerSet } from "./marker-set.ts";

const NAME_END = new MarkerSet(["(", ")", "\n", '"', "'", "{", "]", "<"]);

/** Llama's notation for built-in tools: `NAME.call(..)`. */
const BUILTIN_SUFFIX = ".call";

/**
 * Reads `[f(a="x"), g()]` or one call per line, behind its marker. Some models write JSON there.
 * `close` ends the section. False = no call.
 */
export function* readPythonSection(reader: CallReader, close: string): Step<boolean> {
  const { input, output } = reader;
  yield* input.skipSpace();
  const bracket = yield* input.eat("[");
  if (yield* input.looksAt(["{"])) {
    if (!(yield* readJsonSection(reader, null, ""))) return false;
    return yield* endSection(reader, bracket, close);
  }
  // Without a marker in front an empty list is an answer.
  if (bracket && close === "" && (yield* input.looksAt(["]"]))) return false;
  if (bracket && (yield* input.eat("]"))) return yield* endSection(reader, false, close);
  if (!(yield* readPythonCall(reader))) return false;
  while (!output.isFull) {
    yield* input.skipSpace();
    yield* input.eatAny([",", ";"]);
    yield* input.skipSpace();
    if (yield* input.looksAt(close === "" ? ["]"] : ["]", close])) break;
    if (input.isExhausted || !input.mark()) break;
    if (yield* readPythonCall(reader)) continue;
    input.rewind();
    break;
  }
  input.commit();
  return yield* endSection(reader, bracket, close);
}

function* endSection({ input }: CallReader, bracket: boolean, close: string): Step<true> {
  yield* input.skipSpace();
  if (bracket && (yield* input.eat("]"))) yield* input.skipSpace();
  if (close !== "") yield* input.eatClosing(close);
  return true;
}

/** Reads `NAME(key=value, ..)`; values without a key take the declared names in order. */
function* readPythonCall(reader: CallReader): Step<boolean> {
  const { input, output, tools } = reader;
  const head = yield* input.readUntil(NAME_END, HEAD_LIMIT);
  if (head === null || head.marker !== "(") return false;
  const written = head.text.trim();
  const bare = written.endsWith(BUILTIN_SUFFIX) ? written.slice(0, -BUILTIN_SUFFIX.length) : null;
  const name = tools.resolve(written) ?? (bare === null ? null : tools.resolve(bare));
  if (name === null) return false;
  const index = startCall(reader, name, null);
  const whole = yield* readArguments(reader, name, index);
  output.endCall(index, whole);
  return true;
}

function* readArguments(reader: CallReader, name: string, index: number): Step<boolean> {
  const { input, output, tools } = reader;
  const declared = tools.argumentNames(name);
  let count = 0;
  const end = (whole: boolean): boolean => {
    if (input.end === "cut" && !whole) return false;
    output.arguments(index, count === 0 ? "{}" : "}");
    return whole;
  };
  for (;;) {
    yield* input.skipSpace();
    if (yield* input.eat(")")) return end(true);
    if (input.isExhausted) return end(false);
    if (yield* input.eat(",")) continue;
    const key = (yield* readKey(reader, declared)) ?? declared[count] ?? `arg${count}`;
    const { json, whole } = yield* readLiteral(input, PYTHON_STYLE);
    output.arguments(index, `${count === 0 ? "{" : ", "}"${escapeJson(key)}": ${json}`);
    count++;
    if (!whole) return end(false);
  }
}

/**
 * The keyword before `=`, or null when a value comes at once.
 * @param declared Names that a schema may give, which need not be words.
 */
function* readKey({ input }: CallReader, declared: readonly string[]): Step<string | null> {
  const odd = declared.filter((name) => !/^[\w$-]+$/.test(name)).map((name) => `${name}=`);
  const known = yield* input.eatAny(odd);
  if (known !== null) return known.slice(0, -1);
  let length = 0;
  while (length < HEAD_LIMIT && (yield* input.fill(length + 1))) {
    if (!isWordCode(input.charCodeAt(length))) break;
    length++;
  }
  let space = length;
  while (space < length + 8 && (yield* input.fill(space + 1)) && input.charAt(space) === " ")
    space++;
  if (length === 0 || input.charAt(space) !== "=") return null;
  const key = input.take(length);
  input.take(space - length + 1);
  return key;
}

const isWordCode = (code: number): boolean =>
  (code >= 48 && code <= 57) ||
  (code >= 65 && code <= 90) ||
  (code >= 97 && code <= 122) ||
  code === 95 ||
  code === 45 ||
  code === 36 ||
  code > 127;
