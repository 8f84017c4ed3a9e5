import type { ElementsFormat } from "../formats/format.ts";
import { HEAD_LIMIT, startCall, type CallReader } from "./call-reader.ts";
import type { Step } from "./input.ts";
import { escapeJson } from "./json-value.ts";
import { MarkerSet } from "./marker-set.ts";
import type { SchemaPath } from "./offered-tools.ts";
import { isPlainString, rawToJson } from "./tagged-value.ts";

const DEPTH_LIMIT = 64;

/** What the elements of one call need to know. */
interface ElementContext {
  format: ElementsFormat;
  tool: string;
}

/** An element that was opened. */
interface Place {
  tag: string;
  /** Where its value stands in the arguments. */
  path: SchemaPath;
}

interface Element {
  json: string;
  whole: boolean;
}

/** Reads calls whose arguments are nested elements. False = no call. */
export function* readElementsSection(reader: CallReader, format: ElementsFormat): Step<boolean> {
  const { input, output } = reader;
  let found = false;
  while (!output.isFull) {
    yield* input.skipSpace();
    if (found && !input.mark()) break;
    if (!(yield* input.eat(`${format.prefix}<${format.callTag} name="`))) break;
    if (!(yield* readCall(reader, format))) {
      if (!found) return false;
      input.rewind();
      return true;
    }
    found = true;
  }
  if (!found) return false;
  input.commit();
  yield* input.eatClosing(`${format.prefix}</${format.sectionTag}>`);
  return true;
}

function* readCall(reader: CallReader, format: ElementsFormat): Step<boolean> {
  const { input, output, tools } = reader;
  const head = yield* input.readUntil(MarkerSet.of('">'), HEAD_LIMIT);
  const tool = head === null || head.marker === "" ? null : tools.resolve(head.text);
  if (tool === null) return false;
  const index = startCall(reader, tool, null);
  const context = { format, tool };
  let count = 0;
  let whole = true;
  for (; whole; count++) {
    yield* input.skipSpace();
    const tag = yield* readOpenTag(reader, context, []);
    if (tag === null) break;
    output.arguments(index, `${count === 0 ? "{" : ", "}"${escapeJson(tag)}": `);
    const element = yield* readElement(reader, context, { tag, path: [tag] });
    output.arguments(index, element.json);
    whole = element.whole;
  }
  const closed = yield* input.eatClosing(`${format.prefix}</${format.callTag}>`);
  whole &&= closed || input.end !== "cut";
  if (whole || input.end !== "cut") output.arguments(index, count === 0 ? "{}" : "}");
  output.endCall(index, whole);
  return true;
}

/** The name of an opening tag, which is consumed; null when none is next. */
function* readOpenTag(
  { input, tools }: CallReader,
  { format, tool }: ElementContext,
  path: SchemaPath,
): Step<string | null> {
  const open = `${format.prefix}<`;
  if (!(yield* input.looksAt([open])) || (yield* input.looksAt([`${open}/`]))) return null;
  yield* input.fill(open.length + 1);
  input.take(open.length);
  // Names that a schema gives may hold what ends others.
  const odd = tools.memberNames(tool, path).filter((name) => name.includes(">"));
  const known = yield* input.eatAny(odd.map((name) => `${name}>`));
  if (known !== null) return known.slice(0, -1);
  const tag = yield* input.readUntil(MarkerSet.of(">"), HEAD_LIMIT);
  return tag === null || tag.marker === "" ? null : tag.text.trim();
}

/** What stands between an opening tag and its closing tag, as JSON text. */
function* readElement(reader: CallReader, context: ElementContext, place: Place): Step<Element> {
  const { input, tools } = reader;
  const { format, tool } = context;
  const { path } = place;
  const types = tools.typesOf(tool, path);
  const leaf = isPlainString(types) || path.length > DEPTH_LIMIT;
  let raw = "";
  if (!leaf) {
    raw = yield* input.skipSpace();
    const open = `${format.prefix}<`;
    const nests = (yield* input.looksAt([open])) && !(yield* input.looksAt([`${open}/`]));
    if (nests) return yield* readChildren(reader, context, place);
  }
  const closing = `${format.prefix}</`;
  const end = yield* input.until(MarkerSet.of(closing), (text) => (raw += text), true);
  if (end !== null) input.unread(closing);
  const whole = end !== null && (yield* readCloseTag(reader, format, place.tag));
  if (raw.trim() === "" && types !== null && !types.has("string")) {
    return { json: types.has("array") ? "[]" : types.has("object") ? "{}" : "null", whole };
  }
  return { json: leaf ? `"${escapeJson(raw)}"` : rawToJson(raw, types), whole };
}

/** Whether an element was closed. Nothing but a closing tag is next; its name may be misspelt. */
function* readCloseTag(
  { input }: CallReader,
  { prefix, callTag, sectionTag }: ElementsFormat,
  tag: string,
): Step<boolean> {
  if (yield* input.eatClosing(`${prefix}</${tag}>`)) return true;
  if (yield* input.looksAt([`${prefix}</${callTag}>`, `${prefix}</${sectionTag}>`])) return false;
  if (!(yield* input.eat(`${prefix}</`))) return false;
  const name = yield* input.readUntil(MarkerSet.of(">"), HEAD_LIMIT);
  return name !== null && name.marker !== "";
}

function* readChildren(reader: CallReader, context: ElementContext, place: Place): Step<Element> {
  const { input, tools } = reader;
  const { format, tool } = context;
  const { path } = place;
  const types = tools.typesOf(tool, path);
  const mayList = types === null || types.has("array");
  const isItem = mayList && !tools.declares(tool, path, format.itemTag);
  const members: string[] = [];
  const items: string[] = [];
  let whole = true;
  while (whole) {
    yield* input.skipSpace();
    const tag = yield* readOpenTag(reader, context, path);
    if (tag === null) break;
    const key = isItem && tag === format.itemTag ? items.length : tag;
    const element = yield* readElement(reader, context, { tag, path: [...path, key] });
    whole = element.whole;
    items.push(element.json);
    members.push(`"${escapeJson(tag)}": ${element.json}`);
    if (tag !== format.itemTag) items.length = 0;
  }
  const closed = yield* readCloseTag(reader, format, place.tag);
  const isList = isItem && items.length === members.length;
  return {
    json: isList ? `[${items.join(", ")}]` : `{${members.join(", ")}}`,
    whole: whole && closed,
  };
}
