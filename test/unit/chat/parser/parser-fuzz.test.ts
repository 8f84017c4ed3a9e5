import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { TOOL_FORMATS } from "../../../../src/chat/formats/format-table.ts";
import type { ToolFormat } from "../../../../src/chat/formats/format.ts";
import type { ParseEvent } from "../../../../src/chat/parser/parse-event.ts";
import { parserOf, THINK, type ReadOptions } from "../../../support/parse.ts";

const RUNS = 60;

/** Everything a format may treat as more than text. */
function markersOf(format: ToolFormat): string[] {
  const { textStops, sourceHints: _, requires: __, name: ___, ...pieces } = format;
  return Object.values(pieces)
    .flatMap((piece: unknown): unknown[] => (Array.isArray(piece) ? piece : [piece]))
    .filter((piece): piece is string => typeof piece === "string" && piece.trim() !== "")
    .filter((piece) => !textStops.includes(piece));
}

/** Texts that begin to look like calls. */
const LURES = [
  '{"name": "ring_bell"',
  '{"name": "ring_bell", "arguments": ',
  '{"arguments": {"place": "',
  "ring_bell",
  "ring_bell(",
  "[ring_bell()]",
  "ring_bell>",
  'ring_bell">',
  "functions.ring_bell:0",
  "{}",
  "{",
  "}",
  "[",
  '"',
  "\\",
  "```json\n",
  "\n",
  " ",
];

const formats = fc.constantFrom(...TOOL_FORMATS);

/** A format and an output made of its own pieces, lures, words and arbitrary text. */
const hostile = formats.chain((format) => {
  const markers = [...markersOf(format), THINK.start, THINK.end];
  const cuts = markers.map((marker) => marker.slice(0, -1)).filter((cut) => cut !== "");
  const piece = fc.oneof(
    fc.constantFrom(...markers),
    fc.constantFrom(...cuts),
    fc.constantFrom(...LURES),
    fc.string({ unit: "binary", maxLength: 8 }),
  );
  const output = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(""));
  return fc.record({ format: fc.constant(format.name), output });
});

const options = fc.constantFrom<ReadOptions>(
  {},
  { tags: THINK },
  { tags: THINK, open: true },
  { parallel: false },
  { tools: [] },
);

/** Events with the deltas that belong together in one. */
function readInChunks(
  format: string | null,
  chunks: readonly string[],
  given: ReadOptions,
  cut: boolean,
): ParseEvent[] {
  const parser = parserOf(format, given);
  const events = chunks.flatMap((chunk) => parser.push(chunk));
  const merged: ParseEvent[] = [];
  for (const event of [...events, ...parser.end(cut)]) {
    const last = merged.at(-1);
    if (last?.type === "text" && event.type === "text") last.text += event.text;
    else if (last?.type === "reasoning" && event.type === "reasoning") last.text += event.text;
    else if (last?.type === "toolArguments" && event.type === "toolArguments") {
      expect(event.index).toBe(last.index);
      last.text += event.text;
    } else merged.push(event);
  }
  return merged;
}

const places = fc.array(fc.nat(400), { maxLength: 40 });

/** `text` cut at the given places. */
function split(text: string, wanted: readonly number[]): string[] {
  const at = [...new Set(wanted.map((place) => place % (text.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, index) => text.slice(start, at[index] ?? text.length));
}

const told = (events: readonly ParseEvent[]): string =>
  events.map((event) => ("text" in event ? event.text : "")).join("");

test("any chunking of any output tells the same events", () => {
  const check = fc.property(hostile, options, places, fc.boolean(), (sample, given, at, cut) => {
    const { format, output } = sample;
    const whole = readInChunks(format, [output], given, cut);
    expect(readInChunks(format, split(output, at), given, cut)).toEqual(whole);
    expect(readInChunks(format, output.split(""), given, cut)).toEqual(whole);
  });
  fc.assert(check, { numRuns: RUNS * 10 });
});

test("each text stands in the output where its spans say, in order", () => {
  const check = fc.property(hostile, options, places, ({ format, output }, given, at) => {
    const parser = parserOf(format, given);
    const expectSpans = (events: readonly ParseEvent[]): void => {
      const texts = events.flatMap((event) => (event.type === "text" ? [event.text] : []));
      const written = parser.textSpans.map((spans) =>
        spans.map(({ start, end }) => output.slice(start, end)).join(""),
      );
      expect(written).toEqual(texts);
      for (const { start, end } of parser.textSpans.flat()) {
        expect(start).toBeGreaterThanOrEqual(reached);
        expect(end).toBeGreaterThan(start);
        reached = end;
      }
    };
    let reached = 0;
    for (const chunk of split(output, at)) expectSpans(parser.push(chunk));
    expectSpans(parser.end(true));
  });
  fc.assert(check, { numRuns: RUNS * 10 });
});

test("every call is begun, told and ended in order, and no delta is empty", () => {
  const check = fc.property(hostile, options, fc.boolean(), ({ format, output }, given, cut) => {
    let next = 0;
    let open: number | null = null;
    for (const event of readInChunks(format, [output], given, cut)) {
      if (event.type === "toolCall") {
        expect(open).toBeNull();
        expect(event.index).toBe(next);
        open = next++;
      } else if (event.type === "toolCallEnd") {
        expect(event.index).toBe(open ?? -1);
        open = null;
      } else {
        expect(event.text).not.toBe("");
        if (event.type === "toolArguments") expect(event.index).toBe(open ?? -1);
        else expect(open).toBeNull();
      }
    }
    expect(open).toBeNull();
    if (given.parallel === false) expect(next).toBeLessThanOrEqual(1);
    if (given.tools?.length === 0) expect(next).toBe(0);
  });
  fc.assert(check, { numRuns: RUNS * 5 });
});

test("without a format and reasoning the text is the output, character by character", () => {
  const check = fc.property(fc.string({ unit: "binary" }), places, (output, at) => {
    const events = readInChunks(null, split(output, at), {}, false);
    expect(events).toEqual(output === "" ? [] : [{ type: "text", text: output }]);
  });
  fc.assert(check, { numRuns: RUNS });
});

/** Without whitespace and markers, also those that appear when others are taken out. */
function essence(text: string, markers: readonly string[]): string {
  const tight = markers.map((marker) => marker.replace(/\s+/g, "")).filter((marker) => marker);
  let rest = text.replace(/\s+/g, "");
  for (;;) {
    const before = rest;
    for (const marker of tight) rest = rest.replaceAll(marker, "");
    if (rest === before) return rest;
  }
}

test("where no call is found, nothing but markers and whitespace is missing", () => {
  const marked = TOOL_FORMATS.filter(({ kind, name }) => kind !== "channels" && name !== "muse");
  const names = new Set(marked.map(({ name }) => name));
  const noTools = fc.constantFrom<ReadOptions>({ tools: [] }, { tools: [], tags: THINK });
  const check = fc.property(hostile, noTools, ({ format, output }, given) => {
    fc.pre(names.has(format));
    const own = TOOL_FORMATS.find(({ name }) => name === format);
    const header =
      own?.kind === "recipients" ? [`${own.separator}${own.textName}`, own.textName] : [];
    const think = [THINK.start, THINK.end];
    const markers = [...header, ...(own?.noise ?? []), ...(own?.wrapper ?? []), ...think];
    const events = readInChunks(format, [output], given, false);
    expect(essence(told(events), markers)).toBe(essence(output, markers));
  });
  fc.assert(check, { numRuns: RUNS * 5 });
});

/** One whole call per format kind, whose argument is the given word. */
const CALLS: Readonly<Record<string, (word: string) => string>> = {
  hermes: (word) =>
    `<tool_call>\n{"name": "book_table", "arguments": {"place": "${word}"}}\n</tool_call>`,
  "mistral-v11": (word) => `[TOOL_CALLS]book_table[ARGS]{"place": "${word}"}`,
  "qwen3-coder": (word) =>
    `<tool_call>\n<function=book_table>\n<parameter=place>\n${word}\n</parameter>\n</function>\n</tool_call>`,
  "glm-4.5": (word) =>
    `<tool_call>book_table\n<arg_key>place</arg_key>\n<arg_value>${word}</arg_value>\n</tool_call>`,
  "minimax-m2": (word) =>
    `<minimax:tool_call>\n<invoke name="book_table">\n<parameter name="place">${word}</parameter>\n</invoke>\n</minimax:tool_call>`,
  "lfm-2": (word) => `<|tool_call_start|>[book_table(place="${word}")]<|tool_call_end|>`,
  "gemma-4": (word) => `<|tool_call>call:book_table{place:<|"|>${word}<|"|>}<tool_call|>`,
};

test("beside whole calls every word is told exactly once, in order", () => {
  const samples = fc.constantFrom(...Object.keys(CALLS)).chain((format) => {
    const own = TOOL_FORMATS.find(({ name }) => name === format);
    const piece = fc.oneof(
      fc.constant("word"),
      fc.constant("call"),
      fc.constantFrom(...(own?.openers ?? []), " ", "\n", "{", "}", "<", "[", "]"),
    );
    return fc.record({ format: fc.constant(format), pieces: fc.array(piece, { maxLength: 20 }) });
  });
  const check = fc.property(samples, ({ format, pieces }) => {
    const words: string[] = [];
    const output = pieces.map((piece) => {
      if (piece !== "word" && piece !== "call") return piece;
      const word = `w${words.length}w`;
      words.push(word);
      return piece === "word" ? word : (CALLS[format]?.(word) ?? "");
    });
    const events = readInChunks(format, [output.join("")], {}, false);
    expect([...told(events).matchAll(/w\d+w/g)].map(([word]) => word)).toEqual(words);
  });
  fc.assert(check, { numRuns: RUNS * 5 });
});

test("many false openers come to an end", () => {
  for (const [format, unit] of [
    ["hermes", '<tool_call>{"arguments": {"a": '],
    ["qwen3-coder", "<tool_call><function="],
    ["llama-3", "\n{"],
    ["lfm-2", "<|tool_call_start|>[book_table(place=[{"],
    [
      "minimax-m3",
      ']<]minimax[>[<tool_call>]<]minimax[>[<invoke name="plan_trip">]<]minimax[>[<a>',
    ],
    ["functionary-3.2", ">>>"],
  ] as const) {
    const output = unit.repeat(Math.ceil((1 << 18) / unit.length));
    const events = readInChunks(format, [output], {}, true);
    expect(events.length).toBeGreaterThan(0);
  }
});
