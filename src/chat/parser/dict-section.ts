import type { DictFormat } from "../formats/format.ts";
import { HEAD_LIMIT, startCall, type CallReader } from "./call-reader.ts";
import type { Step } from "./input.ts";
import { escapeJson } from "./json-value.ts";
import { readLiteral, type LiteralStyle } from "./literal-value.ts";
import { MarkerSet } from "./marker-set.ts";

const NAME_END = MarkerSet.of("{", "<", "\n");

/** Reads `NAME{key:value, ..}` behind its marker. False = no call. */
export function* readDictSection(reader: CallReader, format: DictFormat): Step<boolean> {
  const { input, output, tools } = reader;
  const head = yield* input.readUntil(NAME_END, HEAD_LIMIT);
  const name = head === null || head.marker === "\n" ? null : tools.resolve(head.text);
  if (head === null || name === null) return false;
  if (head.marker !== "{") input.unread(head.marker);
  if (head.marker !== "{" && !(yield* input.looksAt([format.close]))) return false;
  const index = startCall(reader, name, null);
  if (head.marker !== "{") output.arguments(index, "{}");
  const whole = head.marker !== "{" || (yield* readMembers(reader, format, index));
  output.endCall(index, whole);
  yield* input.skipSpace();
  yield* input.eatClosing(format.close);
  return true;
}

/** The members up to the closing brace; each is told when it is whole, long strings as they come. */
function* readMembers(reader: CallReader, format: DictFormat, index: number): Step<boolean> {
  const { input, output } = reader;
  const style: LiteralStyle = { quote: format.quote, bareKeys: true };
  let count = 0;
  const end = (whole: boolean): boolean => {
    if (input.end === "cut" && !whole) return false;
    output.arguments(index, count === 0 ? "{}" : "}");
    return whole;
  };
  for (;;) {
    yield* input.skipSpace();
    if (yield* input.eat("}")) return end(true);
    if (input.isExhausted || (yield* input.looksAt([format.close]))) return end(false);
    if (yield* input.eat(",")) continue;
    const key = yield* readKey(reader, format);
    if (key === null) return end(false);
    output.arguments(index, `${count === 0 ? "{" : ", "}"${escapeJson(key)}": `);
    count++;
    yield* input.skipSpace();
    if (yield* input.eat(format.quote)) {
      if (!(yield* streamQuoted(reader, format, index))) return end(false);
      continue;
    }
    const { json, whole } = yield* readLiteral(input, style);
    output.arguments(index, json);
    if (!whole) return end(false);
  }
}

function* streamQuoted(
  { input, output }: CallReader,
  format: DictFormat,
  index: number,
): Step<boolean> {
  const emit = (text: string): void => output.arguments(index, escapeJson(text));
  output.arguments(index, '"');
  const found = yield* input.until(MarkerSet.of(format.quote), emit, true);
  if (found !== null || input.end !== "cut") output.arguments(index, '"');
  return found !== null;
}

function* readKey({ input }: CallReader, { quote, close }: DictFormat): Step<string | null> {
  const part = yield* input.readUntil(MarkerSet.of(":", "}", close), HEAD_LIMIT);
  if (part === null || part.marker !== ":") return null;
  const key = part.text.replaceAll(quote, "").trim();
  return key.replace(/^"|"$/g, "");
}
