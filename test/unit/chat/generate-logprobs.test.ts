import { expect, test } from "bun:test";
import { AnswerScores } from "../../../src/chat/answer-scores.ts";
import type { GenerateEvent } from "../../../src/chat/events.ts";
import type { JobEvent, TokenLogprob } from "../../../src/protocol/events.ts";
import { answer, run, textOf, withTools } from "../../support/generate-fixture.ts";

/** Log probabilities are those of the tokens whose text is the answer's, of no others. */

const entry = (text: string): TokenLogprob => ({ id: 1, text, bytes: [], logprob: -1, top: [] });

const scored = (texts: readonly string[], text = texts.join("")): JobEvent => ({
  type: "text",
  jobId: 1,
  choice: 0,
  text,
  tokens: texts.length,
  logprobs: texts.map(entry),
});

const CALL = [
  "<tool_call>",
  '{"name": "get_weather", ',
  '"arguments": {"city": "x"}}',
  "</tool_call>",
];

interface Case {
  name: string;
  /** Tokens of each step. */
  steps: (readonly string[])[];
  finish?: "stop" | "length";
  /** Content and tokens of each text event. */
  told: [text: string, tokens: string[]][];
}

const cases: Case[] = [
  {
    name: "of reasoning are left out, and of the whitespace behind it",
    steps: [["<think>", "why"], ["</think>", "\n", "\n"], ["So"], [" it"]],
    told: [
      ["So", ["So"]],
      [" it", [" it"]],
    ],
  },
  {
    name: "of whitespace that waits for the end come with it",
    steps: [["Hello"], ["!"], [" "]],
    finish: "length",
    told: [
      ["Hello", ["Hello"]],
      ["!", ["!"]],
      [" ", [" "]],
    ],
  },
  {
    name: "of what began like a marker come at the end",
    steps: [["<"], ["thi"]],
    told: [["<thi", ["<", "thi"]]],
  },
  {
    name: "of a call are left out, and of the whitespace before it",
    steps: [["Hm"], ["\n"], ...CALL.map((text) => [text])],
    told: [["Hm", ["Hm"]]],
  },
  {
    name: "of a call that is none stay",
    steps: [["Hm"], ["<tool_call>"], ["{", "}"], [" so"]],
    told: [
      ["Hm", ["Hm"]],
      ["<tool_call>{}", ["<tool_call>", "{", "}"]],
      [" so", [" so"]],
    ],
  },
  {
    name: "of a token that is partly told come with the first of its text",
    steps: [["Hello \n"], ["you"]],
    told: [
      ["Hello", ["Hello \n"]],
      [" \nyou", ["you"]],
    ],
  },
];

const toldOf = (events: readonly GenerateEvent[]) =>
  events.flatMap((event) =>
    event.type === "text"
      ? [[event.text, (event.logprobs ?? []).map(({ text }) => text)] as const]
      : [],
  );

test.each(cases)("log probabilities $name", async ({ steps, finish, told }) => {
  const script = [...steps.map((texts) => scored(texts)), ...answer([], finish)];
  const { events } = await run(script, { logprobs: 0, input: withTools() });
  expect(toldOf(events)).toEqual(told.map(([text, tokens]) => [text, tokens]));
});

test("log probabilities before a place that was passed are forgotten", () => {
  const scores = new AnswerScores();
  scores.push("ab", [entry("ab")]);
  scores.push("cd", [entry("cd")]);
  scores.forgetBefore("cd");
  expect(scores.take([{ start: 0, end: 3 }])).toEqual([entry("cd")]);
});

test("log probabilities of tokens that share their text come with it", async () => {
  const script = [scored(["\ufffd", "\ufffd"], "\u20ac"), ...answer([])];
  const { events } = await run(script, { logprobs: 0 });
  expect(toldOf(events)).toEqual([["\u20ac", ["\ufffd", "\ufffd"]]]);
});

test("log probabilities of parts of characters come with these, whatever else a step brought", async () => {
  const part = (bytes: number[]): TokenLogprob => ({ ...entry("\ufffd"), bytes });
  const whole = (text: string) => ({ ...entry(text), bytes: [...new TextEncoder().encode(text)] });
  const euro = [part([0xe2, 0x82]), part([0xac])];
  const own = [whole("So"), ...euro];
  const logprobs = [whole("<think>"), whole("why"), ...euro, whole("</think>"), ...own];
  const step = { ...scored(["<think>why\u20ac</think>So\u20ac"]), tokens: 8, logprobs };
  const sizes = [7, 3, 0, 1, 8, 2, 0, 1];
  const script = [{ ...step, sizes } as JobEvent, ...answer([])];
  const { events } = await run(script, { logprobs: 0 });
  expect(textOf(events, "text")).toBe("So\u20ac");
  expect(events.flatMap((event) => (event.type === "text" ? (event.logprobs ?? []) : []))).toEqual(
    own,
  );
});

test("hidden tokens of a raw prompt are told in their place, the last behind all text", async () => {
  const hidden = (text: string): TokenLogprob => ({ ...entry(text), isHidden: true });
  const step = (text: string, logprobs: TokenLogprob[]): JobEvent => ({
    type: "text",
    jobId: 1,
    choice: 0,
    text,
    tokens: logprobs.length,
    logprobs,
  });
  const script = [
    step("", [hidden("<s>")]),
    step("a ", [entry("a"), hidden("<b>"), entry(" ")]),
    step("\u20acc", [entry("\ufffd"), entry("\ufffd"), hidden("<c>"), entry("c")]),
    step("", [hidden("</s>")]),
    ...answer([]),
  ];
  const prompt = { kind: "text", text: "Q" } as const;
  const input = { kind: "prompt", prompt, format: { kind: "text" } } as const;
  const { events, job } = await run(script, { logprobs: 0, input });
  expect(job?.hiddenLogprobs).toBe(true);
  const told = toldOf(events);
  expect(told.map(([text]) => text).join("")).toBe("a \u20acc");
  expect(told.flatMap(([, tokens]) => tokens)).toEqual(
    script.flatMap((event) =>
      event.type === "text" ? (event.logprobs ?? []).map(({ text }) => text) : [],
    ),
  );
  expect(told.at(-1)).toEqual(["", ["</s>"]]);
  expect((await run(answer([]), { logprobs: 0 })).job?.hiddenLogprobs).toBeUndefined();
});

test("log probabilities that nobody asked for are null, at the end too", async () => {
  const { events } = await run(answer(["Hello", " "]), { input: withTools() });
  expect(textOf(events, "text")).toBe("Hello ");
  expect(events.flatMap((event) => ("logprobs" in event ? [event.logprobs] : []))).toEqual([
    null,
    null,
  ]);
});
