import { expect, test } from "bun:test";
import type { Tool } from "../../src/chat/conversation.ts";
import { findFormat } from "../../src/chat/formats/format-table.ts";
import { countedUntil } from "../../src/chat/grammar/counted-text.ts";
import { GrammarBuilder } from "../../src/chat/grammar/gbnf.ts";
import { nearText } from "../../src/chat/grammar/near-text.ts";
import { planGrammar } from "../../src/chat/grammar/plan-grammar.ts";
import { defined } from "../../src/lib/assert.ts";
import { matched } from "../support/grammar-matcher.ts";

/** All texts of up to `most` of these characters. */
function textsOf(alphabet: string, most: number): string[] {
  const longer = (texts: string[]): string[] =>
    texts.flatMap((text) => Array.from(alphabet, (char) => text + char));
  const texts = [[""]];
  while (texts.length <= most) texts.push(longer(texts.at(-1) ?? []));
  return texts.flat();
}

const lengths = [
  { min: 0, max: 0 },
  { min: 1, max: 1 },
  { min: 0, max: 3 },
  { min: 2, max: 4 },
  { min: 1, max: null },
  { min: 3, max: null },
];

const markers = [
  ["</a>", "</a>"],
  ["aab", "abc"],
  ["aa", "ab"],
  ["abab", "abc"],
  ["]<]x", "]<x"],
  ["<", "<a"],
] as const;
const newBuilder = () => new GrammarBuilder((message) => new Error(message));

const title = "a text before %p is counted exactly, beginnings of the marker included";
test.each(markers)(title, (marker, alphabet) => {
  const texts = textsOf(alphabet, 5);
  for (const length of lengths) {
    const builder = newBuilder();
    const rule = defined(countedUntil(builder, marker, length), "a rule");
    const fits = texts.filter((text) => {
      const ends = (text + marker).indexOf(marker) === text.length;
      return ends && text.length >= length.min && text.length <= (length.max ?? Infinity);
    });
    const found = matched(
      builder.text(rule),
      texts.map((text) => text + marker),
    );
    // A text may itself end in the marker, and then holds a shorter one.
    const whole = texts.filter((text) => found.includes(text + marker));
    expect(whole).toEqual(fits);
  }
});

test.each(markers)(
  "no text before %p is lost where lengths are kept nearly",
  (marker, alphabet) => {
    const first = marker.charAt(0);
    const texts = textsOf(alphabet, 5).filter(
      (text) => (text + marker).indexOf(marker) >= text.length,
    );
    const ended = texts.map((text) => text + marker);
    for (const { min, max } of lengths) {
      const builder = newBuilder();
      const rule = nearText(builder, marker, { min, max }, 0);
      const found = matched(builder.text(rule), ended);
      const begun = nearText(builder, marker, { min, max }, 1);
      const tails = ended.filter((text) => text.startsWith(first)).map((text) => text.slice(1));
      const foundTails = marker.length === 1 ? [] : matched(builder.text(begun), tails);
      for (const text of texts) {
        const fits = text.length >= min && text.length <= (max ?? Infinity);
        const isExact = !text.includes(first) || (min <= 1 && max === null);
        if (fits || isExact) expect([text, found.includes(text + marker)]).toEqual([text, fits]);
        if (fits && marker.length > 1 && (text + marker).startsWith(first)) {
          expect(foundTails).toContain((text + marker).slice(1));
        }
      }
      expect(foundTails.includes(marker.slice(1))).toBe(min === 0 && marker.length > 1);
    }
  },
);

test.each(markers)("what is kept nearly never goes on behind %p", (marker, alphabet) => {
  const texts = textsOf(alphabet, 5).filter((text) => text.includes(marker));
  for (const length of lengths) {
    const builder = newBuilder();
    const gbnf = builder.text(nearText(builder, marker, length, 0));
    const within = texts.filter((text) => text.indexOf(marker) < text.length - marker.length);
    expect(matched(gbnf, within)).toEqual([]);
  }
});

/** A beginning of four characters or more is counted as four. */
const longMarkers = [
  ...markers,
  ["</a/b>", "</a"],
  ["ababb", "ab"],
  ["aaaab", "ab"],
  ["]<]<x", "]<"],
];

test.each(longMarkers as [string, string][])(
  "a longer text before %p is counted exactly, but for long beginnings of the marker",
  (marker, alphabet) => {
    const lead = "z".repeat(13);
    const texts = textsOf(alphabet, 6)
      .filter((text) => (text + marker).indexOf(marker) === text.length)
      .map((text) => lead + text);
    for (const [min, max] of [
      [0, 16],
      [16, 17],
      [17, 17],
      [18, null],
    ] as const) {
      const builder = newBuilder();
      const rule = defined(countedUntil(builder, marker, { min, max }), "a rule");
      const gbnf = builder.text(rule);
      const ended = texts.map((text) => text + marker);
      const found = new Set(matched(gbnf, ended));
      for (const text of texts) {
        const fits = text.length >= min && text.length <= (max ?? Infinity);
        const beginning = (text + marker).indexOf(marker.slice(0, 4));
        const isExact = marker.length <= 4 || beginning === text.length;
        if (fits || isExact) expect([text, found.has(text + marker)]).toEqual([text, fits]);
      }
      const within = ended.map((text) => text + alphabet.charAt(0) + marker);
      expect(
        matched(
          gbnf,
          within.filter((text) => !found.has(text)),
        ),
      ).toEqual([]);
    }
  },
);

interface Case {
  format: string;
  /** The call `f` with this text as its argument. */
  call: (text: string) => string;
}

const cases: readonly Case[] = [
  {
    format: "qwen3-coder",
    call: (text) =>
      `<tool_call>\n<function=f>\n<parameter=c>\n${text}\n</parameter>\n</function>\n</tool_call>`,
  },
  {
    format: "glm-4.5",
    call: (text) =>
      `<tool_call>f\n<arg_key>c</arg_key>\n<arg_value>${text}</arg_value>\n</tool_call>`,
  },
  {
    format: "gemma-4",
    call: (text) => `<|tool_call>call:f{c:<|"|>${text}<|"|>}<tool_call|>`,
  },
  {
    format: "minimax-m3",
    call: (text) =>
      `]<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="f">]<]minimax[>[<c>${text}]<]minimax[>[</c>]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>`,
  },
  {
    format: "minicpm-5",
    call: (text) => {
      const written = /[<&]/.test(text) ? `<![CDATA[${text}]]>` : text;
      return `<function name="f"><param name="c">${written}</param></function>`;
    },
  },
];

function plan(format: string, properties: object, strict = false) {
  const parameters = { type: "object", properties, required: Object.keys(properties) };
  const tool: Tool = { name: "f", description: null, parameters, strict };
  return planGrammar({
    format: defined(findFormat(format), format),
    tools: [tool],
    choice: { kind: "named", name: "f" },
    parallel: false,
    answerFormat: { kind: "text" },
    reasoning: null,
  });
}

const grammarOf = (format: string, properties: object): string =>
  defined(plan(format, properties).grammar, "a grammar").gbnf;

const wanted = (
  format: string,
  schema: object,
  texts: readonly string[],
  call: Case["call"],
  strict = false,
) => {
  const { grammar, warnings } = plan(format, { c: schema }, strict);
  const found = matched(defined(grammar, "a grammar").gbnf, texts.map(call));
  return { texts: texts.filter((text) => found.includes(call(text))), warnings };
};

const TEXTS = ["", "x", "<", "\n", "]", "a\n\nb <c> & d", "<|x", "]<]m", "\n</p", "</a", "漢😀"];

test.each(cases as Case[])(
  "a shortest length takes no character from the texts of $format",
  ({ format, call }) => {
    const free = wanted(format, { type: "string" }, TEXTS, call);
    const texts = free.texts.filter((text) => text !== "");
    expect(free.texts.length).toBeGreaterThan(8);
    expect(wanted(format, { type: "string", minLength: 1 }, TEXTS, call)).toEqual({
      texts,
      warnings: [],
    });
  },
);

test.each(cases as Case[])("a short maxLength is counted exactly for $format", (row) => {
  const texts = ["", "<\n<", "x".repeat(20), "<".repeat(21), "\n".repeat(21)];
  const few = wanted(row.format, { type: "string", maxLength: 20 }, texts, row.call);
  expect(few).toEqual({ texts: texts.slice(0, 3), warnings: [] });
});

test.each(cases as Case[])("fifty short texts are all counted exactly for $format", (row) => {
  const rules = Array.from({ length: 50 }, (_, index) => ({
    min: index % 8,
    max: 8 + (index % 8),
  }));
  const others = rules.map(({ min, max }, index) => [
    `p${index}`,
    { type: "string", minLength: min, maxLength: max },
  ]);
  const properties = { c: { type: "string", minLength: 3, maxLength: 15 } };
  const { grammar, isNear } = plan(row.format, { ...properties, ...Object.fromEntries(others) });
  expect([isNear, defined(grammar, "a grammar").gbnf.length < 131_072]).toEqual([false, true]);
});

test.each(cases as Case[])("new lines and markup are counted in long texts of $format", (row) => {
  const lines = (length: number) => "\n<b>\n</b>\n\n\n&".repeat(length).slice(0, length - 1) + "x";
  const kept = (schema: object, texts: readonly string[]) =>
    wanted(row.format, { type: "string", ...schema }, texts, row.call, true);
  const long = [lines(301), "\n".repeat(301), "<".repeat(301), "\n<".repeat(151)];
  const fitting = [lines(300), "\n".repeat(300), "<".repeat(300), "\n<".repeat(150)];
  const limits = { minLength: 20, maxLength: 300 };
  expect(kept(limits, [...fitting, ...long])).toEqual({ texts: fitting, warnings: [] });
  const short = ["\na", "\n<\n\n<", lines(199), "\n".repeat(199)];
  const enough = [lines(200), "\n".repeat(200), "<".repeat(200), cutMarkers(200)];
  expect(kept({ minLength: 200 }, [...short, ...enough])).toEqual({ texts: enough, warnings: [] });
});

/** A text of this length that holds the beginnings of the markers, each once it is cut. */
const cutMarkers = (length: number) => {
  const ends = ["\n</parameter>", "</arg_value>", '<|"|>', "]<]minimax[>[</", "]]>", "</param>"];
  const cuts = ends.flatMap((marker) =>
    Array.from(marker, (_, end) => marker.slice(0, end) + (end % 2 === 0 ? "x" : "<")),
  );
  return cuts.join("").repeat(length).slice(0, length).replace(/[^x]$/, "x");
};

test.each(cases as Case[])("a strict maxLength of any size is no less for $format", (row) => {
  for (const max of [400, 2500]) {
    const fitting = [
      "x".repeat(max),
      "<".repeat(max),
      "\n".repeat(max),
      "]".repeat(max),
      "<\n".repeat(max / 2),
      cutMarkers(max),
    ];
    const longer = ["x".repeat(max + 1), `${"x".repeat(max)}\n.`, "y".repeat(3 * max)];
    const schema = { type: "string", minLength: 1, maxLength: max };
    const found = wanted(row.format, schema, ["", ...fitting, ...longer], row.call, true);
    expect(found).toEqual({ texts: fitting, warnings: [] });
  }
});

test.each(cases as Case[])("a text of $format in which nothing else comes has an end", (row) => {
  const schema = { type: "string", maxLength: 400 };
  const texts = ["\n", "<", "]", "x"].map((piece) => piece.repeat(90_000));
  expect(wanted(row.format, schema, ["", ...texts], row.call).texts).toEqual([""]);
});

test.each(cases as Case[])("a minLength of any size asks for no more of $format", (row) => {
  const fitting = ["x".repeat(400), "<".repeat(400), "\n".repeat(400), cutMarkers(400)];
  const schema = { type: "string", minLength: 400 };
  const found = wanted(row.format, schema, ["", "x".repeat(399), ...fitting], row.call, true);
  expect(found).toEqual({ texts: fitting, warnings: [] });
});

test.each(cases as Case[])("lengths cost the grammar of $format little", ({ format }) => {
  const size = (rules: (index: number) => object) => {
    const fields = Array.from({ length: 40 }, (_, index) => [
      `p${index}`,
      { type: "string", ...rules(index) },
    ]);
    return grammarOf(format, Object.fromEntries(fields)).length;
  };
  const free = size(() => ({}));
  expect(size(() => ({ minLength: 1, maxLength: 200 })) - free).toBeLessThan(65_536);
  expect(size((index) => ({ maxLength: 900 + index })) - free).toBeLessThan(8192);
  expect(size((index) => ({ minLength: index % 4, maxLength: 5 * index + 9 })) - free).toBeLessThan(
    98_304,
  );
});

test.each(cases as Case[])(
  "many long texts are not too much for a tool of $format",
  ({ format }) => {
    const rules = (maxLength: number, type: unknown) => ({ type, minLength: 1, maxLength });
    const fields = Array.from({ length: 50 }, (_, index) => [
      [`same${index}`, rules(2000, "string")],
      [`other${index}`, rules(100 + index, "string")],
      ...(index < 8 ? [[`maybe${index}`, rules(1900 + index, ["string", "null"])]] : []),
    ]);
    const properties = Object.fromEntries(fields.flat());
    expect(plan(format, properties, true).warnings).toEqual([]);
  },
);

test("a text that could be another value keeps its length, and its other characters", () => {
  const call = defined(cases[1], "GLM").call;
  const texts = ["", "<b>", "null", "nul", "null pointer", "true", "12", "[1]", "(1)", "ab<", "x"];
  const union = (rules: object) => ({ type: ["string", "null"], ...rules });
  const found = (schema: object) => wanted("glm-4.5", schema, texts, call).texts;
  expect(found({ type: ["string", "boolean"] })).toEqual(texts);
  expect(found(union({}))).toEqual(texts);
  expect(found(union({ minLength: 3, maxLength: 3 }))).toEqual(
    texts.filter((text) => text === "null" || text.length === 3),
  );
  const long = [...texts.slice(1), `nul${"<".repeat(197)}`, "<".repeat(200), "x\n<</".repeat(40)];
  const rules = union({ minLength: 1, maxLength: 200 });
  const kept = wanted(
    "glm-4.5",
    rules,
    ["", "a".repeat(201), `null ${"a".repeat(196)}`, ...long],
    call,
  );
  expect(kept).toEqual({ texts: long, warnings: [] });
  expect(found({ type: ["string", "array"], items: { type: "boolean" } })).toEqual(
    texts.filter((text) => !/^[[(]/.test(text)),
  );
});
