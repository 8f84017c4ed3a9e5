import type { BareJsonFormat, JsonFormat } from "../formats/format.ts";
import type { CallReader } from "./call-reader.ts";
import type { Step } from "./input.ts";
import { readJsonCall, type JsonCallOptions } from "./json-call.ts";

/**
 * Reads the calls behind an opening marker: one object, several on lines of their own, or a list.
 * False = nothing of it is a call.
 *
 * @param marker The marker that was consumed; null = none announced the calls.
 */
export function* readJsonSection(
  reader: CallReader,
  format: JsonFormat | BareJsonFormat | null,
  marker: string | null,
): Step<boolean> {
  const { input } = reader;
  yield* input.skipSpace();
  if (marker !== null && (yield* input.eatAny(FENCES)) !== null) yield* input.skipSpace();
  const bracket = yield* input.eat("[");
  const found = yield* readList(reader, optionsOf(format, marker !== null), bracket);
  if (!found) return false;
  const closers = [format?.close ?? "", closingTag(marker)].filter((closer) => closer !== "");
  if (closers.length > 0) yield* skipStrayBrackets(reader, closers);
  return true;
}

/** Around the calls of some models, within their markers. */
const FENCES: readonly string[] = ["```json", "```"];

/** `</tool_call>` for `<tool_call>`: a format may have other closing markers than its openers say. */
const closingTag = (marker: string | null): string =>
  marker !== null && /^<\w+>$/.test(marker) ? `</${marker.slice(1)}` : "";

function optionsOf(
  format: JsonFormat | BareJsonFormat | null,
  hasMarker: boolean,
): JsonCallOptions {
  const isJson = format?.kind === "json";
  return {
    nameIsKey: isJson && format.nameKey === null,
    ignoredNames: isJson ? format.ignoredNames : [],
    needsArguments: !hasMarker,
  };
}

function* readList(reader: CallReader, options: JsonCallOptions, bracket: boolean): Step<boolean> {
  const { input, output } = reader;
  yield* input.skipSpace();
  if (bracket && !options.needsArguments && (yield* input.eat("]"))) return true;
  if ((yield* readJsonCall(reader, options)) === "none") return false;
  while (!output.isFull) {
    yield* input.skipSpace();
    if (bracket && (yield* input.eat("]"))) return true;
    if (yield* input.eatAny([",", ";"])) yield* input.skipSpace();
    if ((yield* input.peek()) !== "{" || !input.mark()) return true;
    const result = yield* readJsonCall(reader, options);
    if (result === "none") {
      input.rewind();
      return true;
    }
    input.commit();
  }
  return true;
}

/** Models sometimes close one bracket too many before the closing marker. */
function* skipStrayBrackets({ input }: CallReader, closers: readonly string[]): Step<void> {
  for (;;) {
    yield* input.skipSpace();
    for (const closer of closers) if (yield* input.eatClosing(closer)) return;
    if ((yield* input.eatAny(["}", "]", "```"])) === null) return;
  }
}
