import type { ElementsFormat } from "../formats/format.ts";
import { HEAD_LIMIT, startCall, type CallReader } from "./call-reader.ts";
import type { Step } from "./input.ts";
import { escapeJson } from "./json-value.ts";
import { MarkerSet } from "./marker-set.ts";
import { isPlainString, rawToJson } from "./tagged-value.ts";

const DEPTH_LIMIT = 64;

/** What the elements of one call need to know. */
interface ElementContext {
  format: ElementsFormat;
  tool: string;
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
    const tag = yield* readOpenTag(reader, format);
    if (tag === null) break;
    output.arguments(index, `${count === 0 ? "{" : ", "}"${escapeJson(tag)}": `);
    const element = yield* readElement(reader, context, [tag]);
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
function* readOpenTag({ input }: CallReader, { prefix }: ElementsFormat): Step<string | null> {
  const open = `${prefix}<`;
  if (!(yield* input.looksAt([open])) || (yield* input.looksAt([`${open}/`]))) return null;
  yield* input.fill(open.length + 1);
  input.take(open.length);
  const tag = yield* input.readUntil(MarkerSet.of(">"), HEAD_LIMIT);
  return tag === null || tag.marker === "" ? null : tag.text.trim();
}

/** What stands between the tag `path` ends with and its closing tag, as JSON text. */
function* readElement(
  reader: CallReader,
  context: ElementContext,
  path: readonly string[],
): Step<Element> {
  const { input, tools } = reader;
  const { format, tool } = context;
  const close = `${format.prefix}</${path.at(-1)}>`;
  const types = tools.typesOf(tool, schemaPath(path, format));
  const leaf = isPlainString(types) || path.length > DEPTH_LIMIT;
  let raw = "";
  if (!leaf) {
    raw = yield* input.skipSpace();
    const open = `${format.prefix}<`;
    const nests = (yield* input.looksAt([open])) && !(yield* input.looksAt([`${open}/`]));
    if (nests) return yield* readChildren(reader, context, path);
  }
  const end = yield* input.until(MarkerSet.of(close), (text) => (raw += text), true);
  if (raw.trim() === "" && types !== null && !types.has("string")) {
    return {
      json: types.has("array") ? "[]" : types.has("object") ? "{}" : "null",
      whole: end !== null,
    };
  }
  const json = leaf ? `"${escapeJson(raw)}"` : rawToJson(raw, types);
  return { json, whole: end !== null };
}

function* readChildren(
  reader: CallReader,
  context: ElementContext,
  path: readonly string[],
): Step<Element> {
  const { input, tools } = reader;
  const { format, tool } = context;
  const members: string[] = [];
  const items: string[] = [];
  let whole = true;
  while (whole) {
    yield* input.skipSpace();
    const tag = yield* readOpenTag(reader, format);
    if (tag === null) break;
    const element = yield* readElement(reader, context, [...path, tag]);
    whole = element.whole;
    items.push(element.json);
    members.push(`"${escapeJson(tag)}": ${element.json}`);
    if (tag !== format.itemTag) items.length = 0;
  }
  const closed = yield* input.eatClosing(`${format.prefix}</${path.at(-1)}>`);
  const types = tools.typesOf(tool, schemaPath(path, format));
  const isList = items.length === members.length && (types === null || types.has("array"));
  return {
    json: isList ? `[${items.join(", ")}]` : `{${members.join(", ")}}`,
    whole: whole && closed,
  };
}

const schemaPath = (path: readonly string[], { itemTag }: ElementsFormat): readonly string[] =>
  path.map((tag) => (tag === itemTag ? "*" : tag));
