import type { ToolFormat } from "../formats/format.ts";
import type { CallReader } from "./call-reader.ts";
import { readDictSection } from "./dict-section.ts";
import { readElementsSection } from "./elements-section.ts";
import type { Step } from "./input.ts";
import { readJsonSection } from "./json-section.ts";
import { readNamedJsonSection } from "./named-json-section.ts";
import { readPythonSection } from "./python-section.ts";
import { readTaggedSection } from "./tagged-section.ts";

/**
 * Reads the calls behind `marker`, which was consumed. False, with nothing else consumed, when the
 * text is not a call to an offered tool: it is then text like any other.
 */
export function* readCallSection(
  reader: CallReader,
  format: ToolFormat,
  marker: string,
): Step<boolean> {
  if (!reader.input.mark()) return false;
  const found = yield* readByKind(reader, format, marker);
  if (found) reader.input.commit();
  else reader.input.rewind();
  return found;
}

/** Reads calls that begin without a marker at the start of an answer. Nothing is consumed if none. */
export function* readBareCalls(reader: CallReader, format: ToolFormat): Step<boolean> {
  const { input } = reader;
  const allowsPython = format.kind === "bareJson" && format.python;
  const starts = ["{", "[", "```"];
  if (!(yield* input.looksAt(starts)) || !input.mark()) return false;
  const fence = yield* input.eatAny(["```json\n", "```tool_call\n", "```tool_code\n", "```\n"]);
  const own = format.kind === "bareJson" || format.kind === "json" ? format : null;
  const isPython = allowsPython && fence === null && (yield* looksLikePythonList(reader));
  const found = isPython
    ? yield* readPythonSection(reader, "")
    : yield* readJsonSection(reader, own, null);
  if (!found) {
    input.rewind();
    return false;
  }
  input.commit();
  if (fence !== null) {
    yield* input.skipSpace();
    yield* input.eat("```");
  }
  return true;
}

/** Whether `[` is followed by a word rather than by JSON. */
function* looksLikePythonList({ input }: CallReader): Step<boolean> {
  if (!(yield* input.looksAt(["["]))) return false;
  for (let offset = 1; offset < 16 && (yield* input.fill(offset + 1)); offset++) {
    const char = input.charAt(offset);
    if (char !== " " && char !== "\n") return char !== "{" && char !== '"';
  }
  return false;
}

function* readByKind(reader: CallReader, format: ToolFormat, marker: string): Step<boolean> {
  switch (format.kind) {
    case "json":
      return yield* readJsonSection(reader, format, marker);
    case "bareJson":
      return yield* readBareSection(reader, format, marker);
    case "namedJson":
      return yield* readNamedJsonSection(reader, format, marker);
    case "tagged":
      return yield* readTaggedSection(reader, format, marker);
    case "elements":
      return yield* readElementsSection(reader, format);
    case "python":
      return yield* readPythonSection(reader, format.close);
    case "dict":
      return yield* readDictSection(reader, format);
    default:
      return false;
  }
}

/** Behind `<|python_tag|>`: JSON, or a call of a built-in tool in Python. */
function* readBareSection(
  reader: CallReader,
  format: Extract<ToolFormat, { kind: "bareJson" }>,
  marker: string,
): Step<boolean> {
  const { input } = reader;
  yield* input.skipSpace();
  const isJson = yield* input.looksAt(["{"]);
  const isList = !isJson && (yield* looksLikePythonList(reader));
  if (!isJson && (isList || !(yield* input.looksAt(["["])))) {
    return yield* readPythonSection(reader, format.close ?? "");
  }
  return yield* readJsonSection(reader, format, marker);
}
