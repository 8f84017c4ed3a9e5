import type { NamedJsonFormat } from "../formats/format.ts";
import { HEAD_LIMIT, startCall, type CallReader } from "./call-reader.ts";
import type { Step } from "./input.ts";
import { passDecodedString, passJsonValue } from "./json-value.ts";
import { MarkerSet } from "./marker-set.ts";
import { readSectionCalls } from "./section-calls.ts";

/** Reads calls whose name stands between markers. `marker` was consumed. False = no call. */
export function* readNamedJsonSection(
  reader: CallReader,
  format: NamedJsonFormat,
  marker: string,
): Step<boolean> {
  const readOne = (): Step<boolean> => readCall(reader, format);
  if (format.sectionStart === null) return yield* readOne();
  return yield* readSectionCalls(reader, format, marker, readOne);
}

function* readCall(reader: CallReader, format: NamedJsonFormat): Step<boolean> {
  const { input, output } = reader;
  const head = yield* readHead(reader, format);
  if (head === null) return false;
  const index = startCall(reader, head.name, head.id);
  if (head.opensArguments) input.unread("{");
  const whole = yield* readArguments(reader, index);
  if (whole) {
    for (const end of [format.argumentsEnd.trim(), format.callEnd]) {
      if (end === "") continue;
      yield* input.skipSpace();
      yield* input.eatClosing(end);
    }
  }
  output.endCall(index, whole);
  return true;
}

function* readArguments({ input, output }: CallReader, index: number): Step<boolean> {
  yield* input.skipSpace();
  const next = yield* input.peek();
  const emit = (text: string): void => output.arguments(index, text);
  if (next === "{" || next === "[") return yield* passJsonValue(input, emit);
  if (next === '"') return yield* passDecodedString(input, emit);
  if (input.end === "cut") return false;
  output.arguments(index, "{}");
  return true;
}

/** Everything before the arguments. */
interface Head {
  name: string;
  id: string | null;
  /** The brace that begins the arguments was read instead of the name's own end. */
  opensArguments: boolean;
}

/** null = no offered tool is named. */
function* readHead({ input, tools }: CallReader, format: NamedJsonFormat): Step<Head | null> {
  let id: string | null = null;
  if (format.idEnd !== null) {
    const part = yield* input.readUntil(MarkerSet.of(format.idEnd), HEAD_LIMIT);
    if (part === null || part.marker === "") return null;
    id = part.text.trim();
  }
  const ends = MarkerSet.of(format.nameEnd, format.nameEnd.trim(), format.idStart ?? "", "{");
  let part = yield* input.readUntil(ends, HEAD_LIMIT);
  if (part === null || part.marker === "") return null;
  const written = part.text.trim();
  if (part.marker === format.idStart) {
    part = yield* input.readUntil(MarkerSet.of(format.nameEnd, "{"), HEAD_LIMIT);
    if (part === null || part.marker === "") return null;
    id = part.text.trim();
  }
  const name = tools.resolve(bareName(written, format));
  if (name === null) return null;
  const ownId = format.idStyle === "indexed" ? indexedId(written) : id;
  return { name, id: ownId, opensArguments: part.marker === "{" };
}

/** `functions.NAME:3` names NAME. */
function bareName(written: string, format: NamedJsonFormat): string {
  const start = written.startsWith(format.namePrefix) ? format.namePrefix.length : 0;
  const colon = format.idStyle === "indexed" ? written.lastIndexOf(":") : -1;
  const isIndex = colon > start && /^\d{1,9}$/.test(written.slice(colon + 1));
  return written.slice(start, isIndex ? colon : written.length);
}

const indexedId = (written: string): string | null => (/:\d{1,9}$/.test(written) ? written : null);
