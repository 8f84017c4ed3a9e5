import { startCall, type CallReader } from "./call-reader.ts";
import type { Step } from "./input.ts";
import {
  parseJson,
  passDecodedString,
  passJsonValue,
  readRawValue,
  readString,
} from "./json-value.ts";
import { PYTHON_STYLE, readLiteral } from "./literal-value.ts";

/** `ignored`: it names no tool on purpose. `none`: not a call; what was read must be brought back. */
export type JsonCallResult = "call" | "ignored" | "none";

export interface JsonCallOptions {
  /** The only key of the object is the name. */
  nameIsKey: boolean;
  ignoredNames: readonly string[];
  /** Without arguments it is a call only where a marker announced one. */
  needsArguments: boolean;
}

const NAME_KEYS: ReadonlySet<string> = new Set(["name", "tool_name", "function", "tool"]);
const ARGUMENT_KEYS: ReadonlySet<string> = new Set(["arguments", "parameters", "args", "input"]);
const ID_KEYS: ReadonlySet<string> = new Set(["id", "tool_call_id", "call_id"]);

/** What is known of a call while its object is read. */
interface Draft {
  name: string | null;
  id: string | null;
  lateId: string | null;
  /** Arguments that came before the name. */
  held: string | null;
  index: number | null;
  argumentsWhole: boolean;
  isIgnored: boolean;
}

/**
 * Reads `{"name": .., "arguments": ..}` with its keys in any order, also nested under `function`.
 * It becomes a call once an offered tool is named and the arguments begin.
 */
export function* readJsonCall(reader: CallReader, options: JsonCallOptions): Step<JsonCallResult> {
  const draft: Draft = {
    name: null,
    id: null,
    lateId: null,
    held: null,
    index: null,
    argumentsWhole: true,
    isIgnored: false,
  };
  const { input } = reader;
  yield* input.skipSpace();
  if (yield* input.looksAt(["{'"])) return yield* readPythonDict(reader);
  if (!(yield* input.eat("{"))) return "none";
  // Some models repeat the brace as their template's source escapes it.
  yield* input.eat("{");
  const whole = yield* readMembers(reader, options, draft, 0);
  if (draft.isIgnored && whole) return "ignored";
  const atEnd = whole || input.isExhausted;
  if (draft.index === null && draft.name !== null && atEnd)
    startHeld(reader, options, draft, whole);
  if (draft.index === null) {
    // Without a marker an offered name is what makes it a call.
    if (draft.name !== null) reader.output.noCall();
    return "none";
  }
  reader.output.endCall(draft.index, draft.argumentsWhole, draft.lateId);
  return "call";
}

/** Reads a call that is written as Python's dict. */
function* readPythonDict(reader: CallReader): Step<JsonCallResult> {
  const { json, whole } = yield* readLiteral(reader.input, PYTHON_STYLE);
  const parsed = parseJson(json)?.value;
  if (!whole || typeof parsed !== "object" || parsed === null) return "none";
  const members = new Map<string, unknown>(Object.entries(parsed));
  const written = members.get("name");
  const name = typeof written === "string" ? reader.tools.resolve(written) : null;
  const args = members.get("arguments") ?? members.get("parameters");
  if (name === null || typeof args !== "object" || args === null) return "none";
  const index = startCall(reader, name, null);
  reader.output.arguments(index, JSON.stringify(args));
  reader.output.endCall(index, true);
  return "call";
}

/** Starts a call whose arguments came first, or which has none. */
function startHeld(
  reader: CallReader,
  options: JsonCallOptions,
  draft: Draft,
  whole: boolean,
): void {
  if (draft.name === null || (draft.held === null && options.needsArguments)) return;
  draft.index = startCall(reader, draft.name, draft.id);
  const isCut = !whole && reader.input.end === "cut";
  if (isCut && draft.held === null) draft.argumentsWhole = false;
  else reader.output.arguments(draft.index, draft.held ?? "{}");
}

/** True when the object was closed. */
function* readMembers(
  reader: CallReader,
  options: JsonCallOptions,
  draft: Draft,
  depth: number,
): Step<boolean> {
  const { input } = reader;
  for (let first = true; ; first = false) {
    yield* input.skipSpace();
    if (yield* input.eat("}")) return true;
    if (!first) {
      if (!(yield* input.eat(","))) return false;
      yield* input.skipSpace();
      if (yield* input.eat("}")) return true;
    }
    if ((yield* input.peek()) !== '"') return false;
    const key = yield* readString(input);
    yield* input.skipSpace();
    if (key === null || !(yield* input.eat(":"))) return false;
    yield* input.skipSpace();
    const isFine = yield* readMember(reader, options, draft, key, depth);
    if (!isFine) return false;
  }
}

/** False when the object cannot go on as a call. */
function* readMember(
  reader: CallReader,
  options: JsonCallOptions,
  draft: Draft,
  key: string,
  depth: number,
): Step<boolean> {
  const { input, tools } = reader;
  const next = yield* input.peek();
  if (key === "function" && next === "{" && depth === 0) {
    input.take(1);
    return yield* readMembers(reader, options, draft, depth + 1);
  }
  const keyName = options.nameIsKey ? tools.resolve(key) : null;
  if (keyName !== null && draft.name === null) {
    draft.name = keyName;
    return yield* readArguments(reader, draft, next);
  }
  if (NAME_KEYS.has(key) && draft.name === null)
    return yield* readName(reader, options, draft, next);
  const isSecond = draft.index !== null || draft.held !== null;
  if (ARGUMENT_KEYS.has(key) && !isSecond) return yield* readArguments(reader, draft, next);
  const { text, whole } = yield* readRawValue(input);
  const id = ID_KEYS.has(key) && whole ? parseJson(text)?.value : null;
  if (typeof id === "string") {
    if (draft.index === null) draft.id = id;
    else draft.lateId = id;
  }
  return whole;
}

function* readName(
  { input, tools }: CallReader,
  options: JsonCallOptions,
  draft: Draft,
  next: string,
): Step<boolean> {
  const written = next === '"' ? yield* readString(input) : null;
  if (written === null) return false;
  draft.name = tools.resolve(written);
  draft.isIgnored = draft.name === null && options.ignoredNames.includes(written);
  return draft.name !== null || draft.isIgnored;
}

/** Reads the arguments: an object, or JSON text inside a string. */
function* readArguments(reader: CallReader, draft: Draft, next: string): Step<boolean> {
  const { input, output } = reader;
  if (next === "" && input.isExhausted) return false;
  const isObject = next === "{";
  if (draft.name !== null) draft.index = startCall(reader, draft.name, draft.id);
  const { index } = draft;
  let isEmpty = true;
  const emit = (text: string): void => {
    isEmpty &&= text === "";
    if (index === null) draft.held = (draft.held ?? "") + text;
    else output.arguments(index, text);
  };
  if (isObject) draft.argumentsWhole = yield* passJsonValue(input, emit);
  else if (next === '"') draft.argumentsWhole = yield* passDecodedString(input, emit);
  else {
    const { text, whole } = yield* readRawValue(input);
    draft.argumentsWhole = whole;
    if (text !== "null") emit(text);
  }
  if (isEmpty && draft.argumentsWhole) emit("{}");
  return draft.argumentsWhole;
}
