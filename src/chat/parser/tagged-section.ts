import type { TaggedFormat } from "../formats/format.ts";
import { HEAD_LIMIT, startCall, type CallReader } from "./call-reader.ts";
import type { Step } from "./input.ts";
import { readJsonSection } from "./json-section.ts";
import { escapeJson, passJsonValue } from "./json-value.ts";
import { MarkerSet } from "./marker-set.ts";
import { readSectionCalls } from "./section-calls.ts";
import { isPlainString, rawToJson } from "./tagged-value.ts";
import type { JsonType } from "./offered-tools.ts";

/** Reads calls whose arguments are tags. `marker` was consumed. False = no call. */
export function* readTaggedSection(
  reader: CallReader,
  format: TaggedFormat,
  marker: string,
): Step<boolean> {
  if (format.sectionStart === null) return yield* readSingle(reader, format, marker);
  return yield* readSectionCalls(reader, format, marker, () => readTaggedCall(reader, format));
}

/** A call with an opening marker of its own. Some models write JSON there instead of tags. */
function* readSingle(reader: CallReader, format: TaggedFormat, marker: string): Step<boolean> {
  const { input } = reader;
  const isInside = marker === format.nameStart;
  if (format.nameStart !== "" && !isInside) {
    yield* input.skipSpace();
    if (!(yield* input.eat(format.nameStart))) return yield* readJsonInstead(reader, format);
  } else if (!isInside && format.nameEnd.trim() === "" && (yield* startsJson(reader))) {
    return yield* readJsonInstead(reader, format);
  }
  if (!(yield* readTaggedCall(reader, format))) return false;
  if (format.nameStart !== "") yield* readFurtherCalls(reader, format);
  return true;
}

/** Calls that follow within the same outer tag. */
function* readFurtherCalls(reader: CallReader, format: TaggedFormat): Step<void> {
  const { input, output } = reader;
  while (!output.isFull && input.mark()) {
    yield* input.skipSpace();
    if ((yield* input.eat(format.nameStart)) && (yield* readTaggedCall(reader, format))) continue;
    input.rewind();
    return;
  }
}

function* startsJson({ input }: CallReader): Step<boolean> {
  yield* input.skipSpace();
  const next = yield* input.peek();
  return next === "{" || next === "[";
}

function* readJsonInstead(reader: CallReader, format: TaggedFormat): Step<boolean> {
  if (!(yield* readJsonSection(reader, null, ""))) return false;
  yield* reader.input.skipSpace();
  yield* reader.input.eatClosing(format.callEnd);
  return true;
}

/** Reads from the name to the end of the call. */
function* readTaggedCall(reader: CallReader, format: TaggedFormat): Step<boolean> {
  const { input, output } = reader;
  const name = yield* readName(reader, format);
  if (name === null) return false;
  if (name.ended === "" && !(yield* goesOn(reader, format))) return false;
  const index = startCall(reader, name.tool, null);
  if (name.ended === format.callEnd) {
    output.arguments(index, "{}");
    output.endCall(index, true);
    return true;
  }
  input.unread(name.ended);
  const whole =
    name.ended === "{"
      ? yield* readJsonBlock(reader, format, index, "")
      : yield* readArguments(reader, format, name.tool, index);
  output.endCall(index, whole);
  return true;
}

/** Whether arguments or an end follow a name: otherwise it was only mentioned in a text. */
function* goesOn({ input }: CallReader, format: TaggedFormat): Step<boolean> {
  yield* input.skipSpace();
  const block = format.jsonBlock?.[0] ?? "";
  const marks = [format.keyStart, format.nameClose, format.callEnd, block, format.callStart];
  const next = [...marks, format.nameStart, format.sectionEnd ?? ""].filter((mark) => mark !== "");
  return input.isExhausted || (yield* input.looksAt(next)) || input.isCutWithin(next);
}

/** The tool, and the marker that ended its name where that is more than the name's own end. */
function* readName(
  { input, tools }: CallReader,
  format: TaggedFormat,
): Step<{ tool: string; ended: string } | null> {
  yield* input.skipSpace();
  const nameEnd = format.nameEnd === "" ? "\n" : format.nameEnd;
  const isOpen = nameEnd === "\n";
  const ends = [nameEnd, format.keyStart, format.callEnd, ...(isOpen ? ["{"] : [])];
  const part = yield* input.readUntil(MarkerSet.of(...ends), HEAD_LIMIT);
  if (part === null || (part.marker === "" && !isOpen)) return null;
  const tool = tools.resolve(format.escaped ? unescapeXml(part.text) : part.text);
  if (tool === null) return null;
  if (format.nameTailEnd !== null) {
    const tail = yield* input.readUntil(MarkerSet.of(format.nameTailEnd), HEAD_LIMIT);
    if (tail === null || tail.marker === "") return null;
  }
  return { tool, ended: part.marker === nameEnd ? "" : part.marker };
}

/** Whether the arguments are whole. */
function* readArguments(
  reader: CallReader,
  format: TaggedFormat,
  tool: string,
  index: number,
): Step<boolean> {
  const { input, output } = reader;
  let count = 0;
  const finish = (whole: boolean): boolean => {
    if (!whole && input.end === "cut") return false;
    output.arguments(index, count === 0 ? "{}" : "}");
    return whole;
  };
  for (;;) {
    yield* input.skipSpace();
    if (format.jsonBlock !== null && count === 0 && (yield* input.eat(format.jsonBlock[0]))) {
      return yield* readJsonBlock(reader, format, index, format.jsonBlock[1]);
    }
    input.mark();
    if (!(yield* input.eatClosing(format.keyStart))) break;
    const key = yield* readKey(reader, format, tool);
    if (key === null) {
      if (!input.isExhausted) input.rewind();
      return finish(false);
    }
    input.commit();
    output.arguments(index, `${count === 0 ? "{" : ", "}"${escapeJson(key)}": `);
    count++;
    if (!(yield* readValue(reader, format, index, tool, key))) return finish(false);
  }
  input.commit();
  const closed = yield* eatCallEnd(reader, format);
  return finish(closed || !input.isExhausted || input.end !== "cut");
}

function* eatCallEnd({ input }: CallReader, format: TaggedFormat): Step<boolean> {
  const inner = format.nameClose !== "" && (yield* input.eatClosing(format.nameClose));
  yield* input.skipSpace();
  const outer = yield* input.eatClosing(format.callEnd);
  return inner || outer;
}

function* readJsonBlock(
  reader: CallReader,
  format: TaggedFormat,
  index: number,
  end: string,
): Step<boolean> {
  const { input, output } = reader;
  const whole = yield* passJsonValue(input, (text) => output.arguments(index, text));
  yield* input.skipSpace();
  if (end !== "") yield* input.eatClosing(end);
  yield* input.skipSpace();
  yield* eatCallEnd(reader, format);
  return whole;
}

/** The key of an argument; null = it does not end. */
function* readKey(
  { input, tools }: CallReader,
  format: TaggedFormat,
  tool: string,
): Step<string | null> {
  // Names that a schema gives may hold what ends others.
  const odd = format.escaped ? [] : tools.argumentNames(tool).filter(hasEnd(format.keyEnd));
  const known = yield* input.eatAny(odd.map((name) => name + format.keyEnd));
  if (known !== null) return known.slice(0, -format.keyEnd.length);
  const part = yield* input.readUntil(MarkerSet.of(format.keyEnd), HEAD_LIMIT);
  if (part === null || part.marker === "") return null;
  const written = part.text.trim();
  return format.escaped ? unescapeXml(written) : written;
}

const hasEnd =
  (end: string) =>
  (name: string): boolean =>
    name.includes(end);

/** The value of an argument, streamed where it can only be a string. False = it broke off. */
function* readValue(
  reader: CallReader,
  format: TaggedFormat,
  index: number,
  tool: string,
  key: string,
): Step<boolean> {
  const { input, output, tools } = reader;
  const stated = yield* readTypeMark(reader, format);
  const types = stated ?? tools.typesOf(tool, [key]);
  if (format.valueStart !== "") {
    yield* input.skipSpace();
    yield* input.eat(format.valueStart);
  }
  if (format.valueNewlines) yield* input.eat("\n");
  const isCdata = format.cdata && (yield* eatCdata(reader));
  const ends = valueEnds(format, isCdata);
  if (isPlainString(types) || (isCdata && (types === null || types.has("string")))) {
    output.arguments(index, '"');
    const emit = (text: string): void => output.arguments(index, escapeJson(text));
    const end = yield* input.until(ends, emit, true);
    const isLeftOpen = end === null && input.end === "cut";
    if (!isLeftOpen) output.arguments(index, '"');
    return end !== null;
  }
  let raw = "";
  const collect = (text: string): void => {
    raw += text;
  };
  const end = yield* input.until(ends, collect, true);
  output.arguments(index, end === null && input.end === "cut" ? raw : rawToJson(raw, types));
  return end !== null;
}

/** The start of a CDATA section, whatever whitespace stands before it. */
function* eatCdata({ input }: CallReader): Step<boolean> {
  if (!input.mark()) return false;
  yield* input.skipSpace();
  const found = yield* input.eat("<![CDATA[");
  if (found) input.commit();
  else input.rewind();
  return found;
}

function valueEnds(format: TaggedFormat, isCdata: boolean): MarkerSet {
  const end = format.valueEnd;
  if (isCdata) return MarkerSet.of(`]]>${end}`, `]]>\n${end}`);
  return format.valueNewlines ? MarkerSet.of(`\n${end}`, end) : MarkerSet.of(end);
}

/** The type a tag states. null = it states none. */
function* readTypeMark(
  { input }: CallReader,
  { typeMark }: TaggedFormat,
): Step<ReadonlySet<JsonType> | null> {
  if (typeMark === null) return null;
  // The key's closing quote is consumed: what is left of a mark that states nothing.
  if (yield* input.eat(typeMark.after.slice(1))) return null;
  const part = yield* input.readUntil(MarkerSet.of(typeMark.after), HEAD_LIMIT);
  if (part === null) return null;
  const stated = part.text.slice(part.text.lastIndexOf('"') + 1).trim();
  const isString = stated === (typeMark.style === "boolean" ? "true" : "string");
  return isString ? new Set<JsonType>(["string"]) : NOT_STRINGS;
}

const NOT_STRINGS: ReadonlySet<JsonType> = new Set([
  "number",
  "boolean",
  "null",
  "object",
  "array",
]);

function unescapeXml(text: string): string {
  return text
    .replaceAll("&quot;", '"')
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}
