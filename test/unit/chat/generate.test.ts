import { describe, expect, test } from "bun:test";
import { createCheckPrompts } from "../../../src/chat/check-prompts.ts";
import { createGenerate, createRenderChat } from "../../../src/chat/generate.ts";
import type { Message } from "../../../src/chat/conversation.ts";
import type { GenerateEvent, GenerateRequest } from "../../../src/chat/events.ts";
import type { GenerateJob } from "../../../src/protocol/commands.ts";
import { hasCode, LmError } from "../../../src/lib/errors.ts";
import type { JobEvent } from "../../../src/protocol/events.ts";
import { DEFAULT_SAMPLING } from "../../../src/protocol/sampling.ts";
import {
  answer,
  BASE,
  chat,
  depsWith,
  finishedOf,
  leaseWith,
  run,
  textOf,
  TIMINGS,
  user,
} from "../../support/generate-fixture.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { MODEL_INFO } from "../../support/model-info.ts";

test("which model is refused is told before it is loaded", async () => {
  const full = new LmError("queue_full", { queued: 1, limit: 1, retryAfterMs: 1 }, "Full.");
  const deps = depsWith(leaseWith({}));
  const pool = { ...deps.pool, acquire: () => Promise.reject(full) };
  const { signal } = new AbortController();
  const told: GenerateEvent[] = [];
  const reading = async (events: AsyncIterable<GenerateEvent>): Promise<void> => {
    for await (const event of events) told.push(event);
  };
  const { key } = leaseWith({}).model;
  const crowded = { ...deps, pool };
  for (const events of [
    createGenerate(crowded)(BASE, signal),
    createCheckPrompts(crowded)([BASE], signal),
  ]) {
    expect(await reading(events).catch((error: unknown) => error)).toBe(full);
  }
  expect(told).toEqual([
    { type: "resolved", key },
    { type: "resolved", key },
  ]);
});

describe("an answer", () => {
  test("comes as resolved, assigned, started, text, finished and done", async () => {
    const { events, job } = await run(answer(["Hel", "lo"]), {});
    expect(events.map((event) => event.type)).toEqual([
      "resolved",
      "assigned",
      "started",
      "text",
      "text",
      "finished",
      "done",
    ]);
    expect(textOf(events, "text")).toBe("Hello");
    expect(finishedOf(events)).toMatchObject({
      reason: "stop",
      completionTokens: 2,
      reasoningTokens: 0,
    });
    expect(job.prompt).toEqual({
      kind: "text",
      text: "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
      addSpecial: true,
      parseSpecial: true,
    });
    expect(job.grammar).toBeNull();
  });

  test("is split into reasoning and text, and reasoning tokens are counted", async () => {
    const { events } = await run(answer(["<think>", "why", "</think>", "\n\n", "So", "."]), {});
    expect(textOf(events, "reasoning")).toBe("why");
    expect(textOf(events, "text")).toBe("So.");
    expect(finishedOf(events)).toMatchObject({ completionTokens: 6, reasoningTokens: 3 });
  });

  test("has as many reasoning tokens however many of them one event tells", async () => {
    const pieces = ["<think>", "", "why", "</think>", "\n\n", "So", "", "."];
    for (const cuts of [[8], [2, 8], [4, 8], [3, 5, 8], [1, 2, 3, 4, 5, 6, 7, 8]]) {
      const groups = cuts.map((end, index) => pieces.slice(cuts[index - 1] ?? 0, end));
      const script = answer(groups.map((group) => group.join(""))).map((event, index) => {
        const sizes = groups[index]?.map((piece) => piece.length) ?? [];
        if (event.type === "choiceDone") return { ...event, completionTokens: pieces.length };
        return { ...event, tokens: sizes.length, ...(sizes.length > 1 && { sizes }) };
      });
      // A token without text of its own has no score.
      const withScores = script.map((event, index) => {
        const texts = groups[index]?.filter((piece) => piece !== "") ?? [];
        const scores = texts.map((text) => ({ id: 1, text, bytes: [], logprob: -1, top: [] }));
        return event.type === "text" ? { ...event, logprobs: scores } : event;
      });
      for (const [told, logprobs] of [[script, null] as const, [withScores, 0] as const]) {
        const { events } = await run(told as JobEvent[], { logprobs });
        expect(textOf(events, "text")).toBe("So.");
        expect(finishedOf(events)).toMatchObject({ completionTokens: 8, reasoningTokens: 4 });
      }
    }
  });

  test("goes on with reasoning that the prompt has opened", async () => {
    const input = chat({ templateKwargs: { prefill: true } });
    const { events } = await run(answer(["why", "</think>", "So"]), { input });
    expect(textOf(events, "reasoning")).toBe("why");
    expect(textOf(events, "text")).toBe("So");
  });

  test("keeps its tags where they are not to be split off", async () => {
    const input = chat({ splitReasoning: false });
    const { events } = await run(answer(["<think>", "why", "</think>", "So"]), { input });
    expect(textOf(events, "text")).toBe("<think>why</think>So");
  });

  test("has one parser per choice", async () => {
    const script = [...answer(["<think>", "a"], "length", 0), ...answer(["b"], "stop", 1)];
    const { events } = await run(script, { choices: 2 });
    expect(events).toContainEqual({ type: "reasoning", choice: 0, text: "a" });
    expect(events).toContainEqual({ type: "text", choice: 1, text: "b", logprobs: null });
  });

  test("of a raw prompt is text as it is, whatever it holds", async () => {
    const input = {
      kind: "prompt",
      prompt: { kind: "text", text: "once" },
      format: { kind: "text" },
    } as const;
    const { events, job } = await run(answer(["<think>", " <tool_call>"]), { input });
    expect(textOf(events, "text")).toBe("<think> <tool_call>");
    expect(job.keepSpecial).toEqual([]);
  });
});

test("a model's own stops and system message are used where a request leaves them open", async () => {
  const promptOf = ({ prompt }: GenerateJob): string => (prompt.kind === "text" ? prompt.text : "");
  const defaults = { stops: ["<eot>", "END"], system: "Be kind." };
  const plain = await run(answer(["x"]), { stops: ["END"] }, defaults);
  expect(plain.job.stops).toEqual(["END", "<eot>"]);
  expect(promptOf(plain.job)).toContain("Be kind.");
  const own: Message = { ...user, role: "system", content: [{ type: "text", text: "Be brief." }] };
  const input = { ...BASE.input, messages: [own, user] } as GenerateRequest["input"];
  const { job } = await run(answer(["x"]), { input }, defaults);
  expect(promptOf(job)).toContain("Be brief.");
  expect(promptOf(job)).not.toContain("Be kind.");
  const raw = await run(
    answer(["x"]),
    {
      input: { kind: "prompt", prompt: { kind: "text", text: "raw" }, format: { kind: "text" } },
    },
    defaults,
  );
  expect(promptOf(raw.job)).toBe("raw");
  expect(raw.job.stops).toEqual(["<eot>", "END"]);
});

test("sampling: the request's word, then the model's preset, then the defaults", async () => {
  const { job } = await run(answer(["x"]), { sampling: { temperature: 0.1 } });
  expect(job.sampling).toEqual({ ...DEFAULT_SAMPLING, temperature: 0.1 });
  const sampling = { temperature: 0.6, topK: 7 };
  const { job: tuned } = await run(answer(["x"]), { sampling: { temperature: 0.1 } }, { sampling });
  expect(tuned.sampling).toEqual({ ...DEFAULT_SAMPLING, temperature: 0.1, topK: 7 });
});

describe("stops", () => {
  const stopped = (stop: string): JobEvent[] => [
    {
      type: "choiceDone",
      jobId: 1,
      choice: 0,
      finish: "stop",
      stop,
      completionTokens: 0,
      meanLogprob: null,
    },
  ];
  test("of the request are told", async () => {
    const { events } = await run(stopped("END"), { stops: ["END"] });
    expect(finishedOf(events)).toMatchObject({ stop: "END" });
  });
  test("of the family are not", async () => {
    const { events } = await run(stopped("</assistant>"), {});
    expect(finishedOf(events)).toMatchObject({ stop: null, reason: "stop" });
  });
});

test("a reader that leaves early gives the lease back", async () => {
  let released = 0;
  let ended = 0;
  const lease = leaseWith({
    async *generate() {
      try {
        yield { type: "accepted" as const, jobId: 1, promptTokens: 1, cachedTokens: 0 };
        yield* answer(["a", "b"]);
      } finally {
        ended += 1;
      }
    },
    tokenize: () => Promise.resolve([1, 2]),
    release: () => void (released += 1),
  });
  const deps = depsWith(lease);
  const { signal } = new AbortController();
  for await (const event of createGenerate(deps)(BASE, signal)) if (event.type === "text") break;
  expect({ released, ended }).toEqual({ released: 1, ended: 1 });
  const rendered = await createRenderChat(deps)(BASE, signal);
  expect(rendered).toEqual({
    model: "m",
    prompt: "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    promptTokens: 2,
  });
  expect(released).toBe(2);
});

describe("a generation that fails", () => {
  const failing = async (script: readonly JobEvent[], choices = 1) => {
    const clock = new ManualClock();
    const lease = leaseWith({
      async *generate() {
        clock.advance(5);
        yield { type: "accepted" as const, jobId: 1, promptTokens: 3, cachedTokens: 1 };
        for (const event of script) {
          clock.advance(10);
          yield event;
        }
        throw new LmError("model_unloaded", { model: "m" }, "gone");
      },
    });
    const events: GenerateEvent[] = [];
    const { signal } = new AbortController();
    const read = async () => {
      const request = { ...BASE, choices };
      const generate = createGenerate({ ...depsWith(lease), clock });
      for await (const event of generate(request, signal)) events.push(event);
    };
    const error: unknown = await read().catch((reason: unknown) => reason);
    expect(hasCode(error, "model_unloaded")).toBe(true);
    return events;
  };
  const written = (pieces: readonly string[], choice = 0): JobEvent[] =>
    answer(pieces, "stop", choice).filter(({ type }) => type === "text");

  test("tells the tokens that it has sampled, and the times up to then", async () => {
    const events = await failing(written(["<think>", "why", "</think>", "So", "."]));
    const timings = { queuedMs: 5, prefillMs: 10, ttftMs: 15, decodeMs: 40 };
    expect(events.at(-1)).toEqual({
      type: "interrupted",
      completionTokens: 5,
      reasoningTokens: 3,
      timings: { ...timings, computedPromptTokens: 2 },
    });
  });

  test("does not tell again what choices told with their ends", async () => {
    const events = await failing([...answer(["a", "b"]), ...written(["c"], 1)], 2);
    expect(events.at(-1)).toMatchObject({ type: "interrupted", completionTokens: 1 });
  });

  test("before its first token has nothing to tell", async () => {
    const types = (await failing([])).map(({ type }) => type);
    expect(types).toEqual(["resolved", "assigned", "started"]);
  });
});

test("a template that refuses refuses the request, and the lease is given back", async () => {
  const input = chat({ templateKwargs: { messages: 5 } });
  const error: unknown = await run([], { input }).catch((reason: unknown) => reason);
  expect(hasCode(error, "invalid_request") && error.details.reason).toBe("chat_template_error");
});

test("one request that is cancelled while it asks for the vocabulary costs the others nothing", async () => {
  const asked: { signal: AbortSignal; answer: (tokens: readonly number[]) => void }[] = [];
  const lease = leaseWith({
    info: { ...MODEL_INFO },
    tokenize: (_prompt, signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<readonly number[]>();
      signal.addEventListener("abort", () => reject(signal.reason));
      asked.push({ signal, answer: resolve });
      return promise;
    },
    async *generate() {
      yield { type: "accepted", jobId: 1, promptTokens: 3, cachedTokens: 0 };
      yield* answer(["fine"]);
      yield { type: "jobDone", jobId: 1, timings: TIMINGS };
    },
  });
  const generate = createGenerate(depsWith(lease));
  const textFor = async (signal: AbortSignal): Promise<string> => {
    const events = await Array.fromAsync(generate(BASE, signal));
    return textOf(events, "text");
  };
  const [leaving, staying] = [new AbortController(), new AbortController()];
  const left = textFor(leaving.signal).catch((error: unknown) => error);
  const stays = textFor(staying.signal);
  while (asked.length === 0) await Bun.sleep(0);
  const before = asked.length;
  leaving.abort(new Error("the connection was closed"));
  expect(await left).toBe(leaving.signal.reason);
  while (asked.length === before) await Bun.sleep(0);
  for (const { answer: give, signal } of asked) if (!signal.aborted) give([1, 2]);
  expect(await stays).toBe("fine");
});
