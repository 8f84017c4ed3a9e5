import type { ChannelsFormat, RecipientsFormat, TaggedFormat } from "../formats/format.ts";
import { HEAD_LIMIT, startCall, type CallReader } from "./call-reader.ts";
import type { Step } from "./input.ts";
import { passDecodedString, passJsonValue } from "./json-value.ts";
import { MarkerSet } from "./marker-set.ts";
import { readTaggedSection } from "./tagged-section.ts";

const NOTHING = MarkerSet.of();

/** Passes on the arguments of a call that is a message of its own. */
function* readCallBody(reader: CallReader, name: string): Step<void> {
  const { input, output, state } = reader;
  state.toolSectionOpen = true;
  const index = startCall(reader, name, null);
  yield* input.skipSpace();
  const next = yield* input.peek();
  const emit = (text: string): void => output.arguments(index, text);
  let whole = input.end !== "cut" || next !== "";
  if (next === "{" || next === "[") whole = yield* passJsonValue(input, emit);
  else if (next === '"') whole = yield* passDecodedString(input, emit);
  else if (whole) output.arguments(index, "{}");
  output.endCall(index, whole);
  state.toolSectionOpen = false;
}

/**
 * Reads messages with channel and recipient in their headers. The output begins inside the header
 * of the first; output that does not is text.
 */
export function* readChannels(reader: CallReader, format: ChannelsFormat): Step<void> {
  const { input, output, state } = reader;
  const starts = [format.channel, format.recipient.trim(), format.constrain];
  const space = yield* input.skipSpace();
  if (!(yield* input.looksAt([...starts, format.body, format.messageStart]))) {
    output.text(space);
    yield* input.until(NOTHING, output.text);
    return;
  }
  const ends = MarkerSet.of(...format.messageEnds);
  const next = MarkerSet.of(format.messageStart);
  while (!output.isFull) {
    const header = yield* readHeader(reader, format.body);
    if (header === null) {
      yield* input.until(NOTHING, output.text);
      return;
    }
    const channel = wordAfter(header, format.channel);
    const recipient = wordAfter(header, format.recipient.trim());
    const tool = recipient === null ? null : toolOf(reader, format, recipient);
    const isReasoning = tool === null && channel === format.reasoningChannel;
    if (tool !== null) yield* readCallBody(reader, tool);
    state.insideReasoning = isReasoning;
    const end = yield* input.until(ends, isReasoning ? output.reasoning : output.text);
    if (end === null) return;
    state.insideReasoning = false;
    output.boundary();
    const between = yield* input.until(next, output.text);
    if (between === null) return;
  }
}

/**
 * A message's header up to the mark that ends it; null when none comes. Nothing is consumed then,
 * but for a header that the output's end cut: it is part of no message.
 */
function* readHeader({ input }: CallReader, end: string): Step<string | null> {
  if (!input.mark()) return null;
  const header = yield* input.readUntil(MarkerSet.of(end), HEAD_LIMIT);
  const isWhole = header !== null && header.marker !== "";
  const isCut = header !== null && !isWhole && looksCut(header.text, input.end === "cut");
  if (isWhole || isCut) input.commit();
  else input.rewind();
  return isWhole ? header.text : null;
}

/** Control tokens stand in no text; a recipient alone may, so it counts only at a limit. */
const looksCut = (header: string, atLimit: boolean): boolean =>
  header.includes("<|") || (atLimit && /^\s*(?:to=)?[\w.:/-]*\s*$/.test(header));

function toolOf({ tools }: CallReader, format: ChannelsFormat, recipient: string): string | null {
  const bare = recipient.startsWith(format.namePrefix)
    ? recipient.slice(format.namePrefix.length)
    : recipient;
  return tools.resolve(recipient) ?? tools.resolve(bare);
}

/** The word behind the last `mark` in a header. */
function wordAfter(header: string, mark: string): string | null {
  const at = header.lastIndexOf(mark);
  if (at < 0) return null;
  const [word] = header
    .slice(at + mark.length)
    .trimStart()
    .split(/[\s<]/, 1);
  return word === undefined || word === "" ? null : word;
}

/** Reads `NAME` and a newline before each text or call, separated by a mark. */
export function* readRecipients(reader: CallReader, format: RecipientsFormat): Step<void> {
  const { input, output, tools } = reader;
  const line = MarkerSet.of("\n");
  const separator = MarkerSet.of(format.separator);
  for (let isFirst = true; !output.isFull; isFirst = false) {
    const space = yield* input.skipSpace();
    const canRewind = input.mark();
    const head = canRewind ? yield* input.readUntil(line, HEAD_LIMIT) : null;
    const name = head === null ? "" : head.text.trim();
    const tool = head?.marker === "" ? null : tools.resolve(name);
    if (tool !== null) yield* readCallBody(reader, tool);
    else if (name === format.textName) input.commit();
    else {
      input.rewind();
      output.text(isFirst ? space : format.separator + space);
    }
    const end = yield* input.until(separator, output.text);
    if (end === null) return;
  }
}

/** Reads tagged calls that are addressed to their tool by a header; text goes to the user. */
export function* readAddressed(reader: CallReader, format: TaggedFormat): Step<void> {
  const { input, output, tools, state } = reader;
  const { header } = format;
  if (header === null) return;
  const ends = MarkerSet.of(header.end, "<|eot|>");
  for (;;) {
    const space = yield* input.skipSpace();
    if (!(yield* input.looksAt([header.before.trim(), header.after]))) {
      output.text(space);
      break;
    }
    const head = yield* readHeader(reader, header.after);
    if (head === null) break;
    const recipient = wordAfter(head, header.before.trim()) ?? "user";
    const isReasoning = recipient === "self";
    if (!isReasoning && !tools.isEmpty && recipient !== "user") {
      yield* readAddressedCalls(reader, format);
    }
    if (output.isFull) return;
    state.insideReasoning = isReasoning;
    const end = yield* input.until(ends, isReasoning ? output.reasoning : output.text);
    if (end === null) return;
    state.insideReasoning = false;
    output.boundary();
    yield* input.skipSpace();
    if (end !== header.end || !(yield* input.eat(header.next))) break;
  }
  yield* input.until(NOTHING, output.text);
}

function* readAddressedCalls(reader: CallReader, format: TaggedFormat): Step<void> {
  const { input, output, state } = reader;
  yield* input.skipSpace();
  if (!input.mark()) return;
  state.toolSectionOpen = true;
  const isSection = format.sectionStart !== null && (yield* input.eat(format.sectionStart));
  const isCall = isSection && (yield* readTaggedSection(reader, format, format.sectionStart ?? ""));
  if (isCall) input.commit();
  else {
    input.rewind();
    output.noCall();
  }
  state.toolSectionOpen = false;
}
