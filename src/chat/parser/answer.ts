import type { ReasoningTags } from "../formats/format.ts";
import { readBareCalls, readCallSection } from "./call-section.ts";
import type { CallReader } from "./call-reader.ts";
import type { Step } from "./input.ts";
import { MarkerSet } from "./marker-set.ts";
import { readAddressed, readChannels, readRecipients } from "./messages.ts";

interface AnswerMarkers {
  /** Anything but plain text. */
  text: MarkerSet;
  reasoning: MarkerSet;
  openers: ReadonlySet<string>;
}

/** Reads a whole answer: reasoning, text and calls in any order. */
export function* readAnswer(
  reader: CallReader,
  tags: ReasoningTags | null,
  isOpen: boolean,
): Step<void> {
  const { format } = reader;
  if (format?.kind === "channels") return yield* readChannels(reader, format);
  if (format?.kind === "recipients") return yield* readRecipients(reader, format);
  if (format?.kind === "tagged" && format.header !== null) {
    return yield* readAddressed(reader, format);
  }
  const markers = markersOf(reader, tags);
  if (tags !== null) yield* readFirstReasoning(reader, tags, isOpen, markers);
  return yield* readText(reader, tags, markers);
}

function markersOf({ format, tools }: CallReader, tags: ReasoningTags | null): AnswerMarkers {
  const openers = tools.isEmpty ? [] : (format?.openers ?? []);
  const again = tags !== null && reopens(tags) ? [tags.start] : [];
  const lineCall = !tools.isEmpty && format?.kind === "bareJson" ? [LINE_CALL] : [];
  const noise = [...(format?.noise ?? []), ...(format?.wrapper?.slice(1) ?? [])];
  const early = format?.opensInReasoning === true ? openers : [];
  const stops = format?.textStops ?? [];
  return {
    text: MarkerSet.of(...openers, ...noise, ...again, ...lineCall, ...stops),
    reasoning: new MarkerSet(tags === null ? [] : [tags.end, ...early]),
    openers: new Set(openers),
  };
}

/** A call on a line of its own after text, in formats without markers. */
const LINE_CALL = "\n{";

/** Ordinary words such as `<think>` may stand in a text; control tokens mean what they say. */
const reopens = ({ start }: ReasoningTags): boolean => /[|[:]/.test(start);

/** Reasoning at the beginning, also several blocks; then whatever whitespace follows is dropped. */
function* readFirstReasoning(
  reader: CallReader,
  tags: ReasoningTags,
  isOpen: boolean,
  markers: AnswerMarkers,
): Step<void> {
  const { input, output, state } = reader;
  state.insideReasoning = isOpen;
  if (isOpen) {
    yield* input.skipSpace();
    yield* input.eat(tags.start);
    yield* readReasoning(reader, tags, markers);
  }
  for (;;) {
    const space = yield* input.skipSpace();
    if (yield* input.eat(tags.start)) {
      yield* readReasoning(reader, tags, markers);
    } else if (yield* input.eat(tags.end)) {
      output.boundary();
    } else {
      output.text(space);
      return;
    }
  }
}

/** Behind the start tag, up to and with the end tag. */
function* readReasoning(
  reader: CallReader,
  tags: ReasoningTags,
  markers: AnswerMarkers,
): Step<void> {
  const { input, output, state } = reader;
  state.insideReasoning = true;
  output.boundary();
  for (;;) {
    const marker = yield* input.until(markers.reasoning, output.reasoning);
    if (marker === null) return;
    if (marker === tags.end) break;
    if (yield* readCalls(reader, marker)) break;
    output.reasoning(marker);
  }
  state.insideReasoning = false;
  output.boundary();
}

function* readText(
  reader: CallReader,
  tags: ReasoningTags | null,
  markers: AnswerMarkers,
): Step<void> {
  const { input, output, format } = reader;
  const wrapper = format?.wrapper ?? null;
  let isWrapped = wrapper !== null && (yield* input.eat(wrapper[0]));
  if (isWrapped) output.boundary();
  if (format !== null && (yield* readCallAtStart(reader)) && tags !== null) {
    yield* readFirstReasoning(reader, tags, false, markers);
  }
  while (!output.isFull) {
    const marker = yield* input.until(markers.text, output.text);
    if (marker === null) return;
    if (marker === tags?.start) yield* readReasoning(reader, tags, markers);
    else if (marker === LINE_CALL) yield* readLineCall(reader);
    else if (markers.openers.has(marker)) {
      const found = yield* readCalls(reader, marker);
      if (!found && isNoise(reader, marker)) output.boundary();
      else if (!found) output.text(marker);
      else if (tags !== null) yield* readFirstReasoning(reader, tags, false, markers);
    } else if (format?.textStops.includes(marker) === true) output.stop();
    else if (marker !== wrapper?.[1]) output.boundary();
    else if (isWrapped) isWrapped = false;
    else output.text(marker);
  }
}

const isNoise = ({ format }: CallReader, marker: string): boolean =>
  format?.noise.includes(marker) === true;

function* readCalls(reader: CallReader, marker: string): Step<boolean> {
  const { format, output, state } = reader;
  if (format === null) return false;
  state.toolSectionOpen = true;
  const found = yield* readCallSection(reader, format, marker);
  if (!found) output.noCall();
  state.toolSectionOpen = false;
  return found;
}

/** A call without a marker. Only where the family may write JSON at all. */
function* readCallAtStart(reader: CallReader): Step<boolean> {
  const { format, tools, input, output, state } = reader;
  const mayBeBare = format?.kind === "bareJson" || format?.kind === "json";
  if (!mayBeBare || tools.isEmpty || output.hasText) return false;
  const space = yield* input.skipSpace();
  state.toolSectionOpen = true;
  const found = yield* readBareCalls(reader, format);
  state.toolSectionOpen = false;
  if (!found) output.text(space);
  return found;
}

function* readLineCall(reader: CallReader): Step<void> {
  const { input, output, format, state } = reader;
  input.unread("{");
  state.toolSectionOpen = true;
  const found = format !== null && (yield* readBareCalls(reader, format));
  state.toolSectionOpen = false;
  if (!found) output.text("\n" + input.take(1));
}
