import { expect, test } from "bun:test";
import type { GenerateEvent } from "../../../src/chat/events.ts";
import { createGenerate, createRenderChat } from "../../../src/chat/generate.ts";
import type { GenerateJob } from "../../../src/protocol/commands.ts";
import type { JobEvent } from "../../../src/protocol/events.ts";
import {
  BASE,
  answer,
  chat,
  depsWith,
  finishedOf,
  leaseWith,
  startedOf,
  textOf,
  withTools,
} from "../../support/generate-fixture.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const TIMINGS = { queuedMs: 3, prefillMs: 4, decodeMs: 20, ttftMs: 7, computedPromptTokens: 1 };

interface Told {
  events: GenerateEvent[];
  jobs: GenerateJob[];
  /** Jobs that were left before their end. */
  left: number;
}

/** Answers each job in turn with its script, of which each event takes ten milliseconds. */
async function ask(
  scripts: readonly (readonly JobEvent[])[],
  request: Partial<typeof BASE>,
): Promise<Told> {
  const told: Told = { events: [], jobs: [], left: 0 };
  const clock = new ManualClock();
  const lease = leaseWith({
    async *generate(job) {
      let isOver = false;
      try {
        const script = scripts[told.jobs.length] ?? [];
        told.jobs.push(job);
        clock.advance(5);
        yield { type: "accepted", jobId: 1, promptTokens: 3, cachedTokens: 0 };
        for (const event of script) {
          clock.advance(10);
          yield event;
        }
        yield { type: "jobDone", jobId: 1, timings: TIMINGS };
        isOver = true;
      } finally {
        if (!isOver) told.left += 1;
      }
    },
  });
  const { signal } = new AbortController();
  const generate = createGenerate({ ...depsWith(lease), clock });
  for await (const event of generate({ ...BASE, ...request }, signal)) told.events.push(event);
  return told;
}

const step = (texts: readonly string[]): JobEvent => ({
  type: "text",
  jobId: 1,
  choice: 0,
  text: texts.join(""),
  tokens: texts.length,
  sizes: texts.map(({ length }) => length),
});

const ENDLESS = answer(["<think>", "one ", "two ", "three ", "four ", "five "]);

test("reasoning that reaches its budget is ended, and the answer goes on behind it", async () => {
  const input = chat({ reasoningBudget: 3 });
  const { events, jobs, left } = await ask([ENDLESS, answer(["\n\n", "So."])], {
    input,
    maxTokens: 20,
  });
  expect(textOf(events, "reasoning")).toBe("one two");
  expect(textOf(events, "text")).toBe("So.");
  expect(finishedOf(events)).toMatchObject({
    reason: "stop",
    completionTokens: 5,
    reasoningTokens: 3,
  });
  expect(events.filter(({ type }) => type === "started")).toHaveLength(1);
  expect(left).toBe(1);
  const [first, second] = jobs;
  const prompt = first?.prompt.kind === "text" ? first.prompt.text : "";
  expect(second?.prompt).toMatchObject({ text: `${prompt}<think>one two </think>` });
  expect(second?.maxTokens).toBe(17);
});

const timingsOf = (events: readonly GenerateEvent[]) =>
  events.flatMap((event) => (event.type === "done" ? [event.timings] : []));

test("the times of an answer whose reasoning was ended are those of all its tokens", async () => {
  const input = chat({ reasoningBudget: 3 });
  const ended = await ask([ENDLESS, answer(["\n\n", "So."])], { input });
  // Three events of the first job, 20 ms from the first to the last; then what the second one took.
  const first = { queuedMs: 5, prefillMs: 10, ttftMs: 15, computedPromptTokens: 3 };
  expect(timingsOf(ended.events)).toEqual([{ ...first, decodeMs: 20 + 7 + 20 }]);
  const whole = await ask([answer(["So."])], { input });
  expect(timingsOf(whole.events)).toEqual([TIMINGS]);
});

test("a step of several tokens is cut between them, also where one holds part of a character", async () => {
  const scripts: [string[][], string][] = [
    [
      [
        ["<think>", "one "],
        ["two ", "three ", "four "],
      ],
      "one two",
    ],
    [
      [
        ["<think>", "one "],
        ["", "\u20ac", "three "],
      ],
      "one",
    ],
    [[["<think>", "", "\u20ac", "three "]], "\u20ac"],
  ];
  for (const logprobs of [null, 0]) {
    for (const [steps, reasoning] of scripts) {
      const entry = { id: 1, text: "\ufffd", bytes: [], logprob: -1, top: [] };
      const scores = logprobs === null ? {} : { logprobs: [entry, entry] };
      const script = steps.map((texts): JobEvent => Object.assign(step(texts), scores));
      const { events, jobs } = await ask([[...script, ...answer([])], answer(["So."])], {
        input: chat({ reasoningBudget: 3 }),
        logprobs,
      });
      expect(textOf(events, "reasoning")).toBe(reasoning);
      expect(finishedOf(events)).toMatchObject({ reasoningTokens: 3, completionTokens: 4 });
      expect(jobs.map((job) => job.logprobs)).toEqual([logprobs, logprobs]);
      const told = events.flatMap((event) => ("logprobs" in event ? [event.logprobs] : []));
      expect(told).toEqual([logprobs === null ? null : []]);
    }
  }
});

test("reasoning the prompt has opened counts from its first token", async () => {
  const input = chat({ reasoningBudget: 2, templateKwargs: { prefill: true } });
  const { events, jobs } = await ask([answer(["a", "b", "c"]), answer(["So."])], { input });
  expect(textOf(events, "reasoning")).toBe("ab");
  expect(textOf(events, "text")).toBe("So.");
  expect(jobs[1]?.prompt).toMatchObject({ text: expect.stringMatching(/<think>\nab<\/think>$/) });
});

test("a budget of nothing ends reasoning that the prompt has opened, for every choice", async () => {
  const templateKwargs = { prefill: true };
  const format = { kind: "json", schema: {}, strict: false } as const;
  const input = chat({ reasoningBudget: 0, enableThinking: false, templateKwargs, format });
  const script = [...answer(["{}"], "stop", 0), ...answer(["[]"], "stop", 1)];
  const { events, jobs } = await ask([script], { input, choices: 2 });
  expect(jobs).toHaveLength(1);
  expect(jobs[0]?.prompt).toMatchObject({
    text: expect.stringMatching(/<think>\n\n<\/think>\n\n$/),
  });
  expect(jobs[0]?.grammar?.attach).toEqual({ kind: "start" });
  expect(textOf(events, "reasoning")).toBe("");
  expect(startedOf(events)).toMatchObject({ warnings: [] });
  expect(events.flatMap((event) => (event.type === "text" ? [event.text] : []))).toEqual([
    "{}",
    "[]",
  ]);
  const { signal } = new AbortController();
  const rendered = await createRenderChat(depsWith(leaseWith({})))({ ...BASE, input }, signal);
  expect(rendered.prompt).toEndWith("<think>\n\n</think>\n\n");
});

test("a budget of nothing ends reasoning that the model begins all the same", async () => {
  for (const options of [{ enableThinking: true }, { enableThinking: null }]) {
    const input = chat({ reasoningBudget: 0, ...options });
    const { events, jobs } = await ask([ENDLESS, answer(["So."])], { input });
    expect(jobs).toHaveLength(2);
    expect(textOf(events, "reasoning")).toBe("");
    expect(textOf(events, "text")).toBe("So.");
    expect(finishedOf(events)).toMatchObject({ reasoningTokens: 1, completionTokens: 2 });
  }
});

test("a step of several tokens that are no reasoning is told whole", async () => {
  for (const reasoningBudget of [0, 1]) {
    const input = chat({ reasoningBudget });
    const script = [step(["So ", "it ", "is."]), ...answer([])];
    const { events, jobs } = await ask([script], { input });
    expect(jobs).toHaveLength(1);
    expect(textOf(events, "text")).toBe("So it is.");
  }
});

test("a grammar that waited for the end of the reasoning holds from the start", async () => {
  const options = { reasoningBudget: 2, templateKwargs: { prefill: true } };
  const format = { kind: "json", schema: {}, strict: false } as const;
  const json = await ask([answer(["a", "b"]), answer(["{}"])], {
    input: chat({ ...options, format }),
  });
  expect(json.jobs.map(({ grammar }) => grammar?.attach.kind)).toEqual(["after", "start"]);
  const calls = await ask([answer(["a", "b"]), answer(["x"])], { input: withTools(options) });
  expect(calls.jobs.map(({ grammar }) => grammar?.attach)).toMatchObject([
    { kind: "marker", reasoning: { open: true } },
    { kind: "marker", reasoning: null },
  ]);
});

test.each([
  ["that ends in time", ["<think>", "why", "</think>", "So."]],
  ["that never began", ["So ", "it ", "is ", "with ", "words."]],
])("an answer with reasoning %s is one job", async (_name, pieces) => {
  const { events, jobs } = await ask([answer(pieces)], { input: chat({ reasoningBudget: 3 }) });
  expect(jobs).toHaveLength(1);
  expect(textOf(events, "text")).toContain(pieces.at(-1) ?? "");
});

test("several choices are not limited, and say so", async () => {
  const input = chat({ reasoningBudget: 1 });
  const script = [...answer(["<think>", "a", "b"], "length", 0), ...answer(["c"], "stop", 1)];
  const { events, jobs } = await ask([script], { input, choices: 2 });
  expect(jobs).toHaveLength(1);
  expect(startedOf(events)).toMatchObject({
    warnings: [expect.stringContaining("several choices")],
  });
});
