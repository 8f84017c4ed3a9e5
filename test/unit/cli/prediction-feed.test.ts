import { expect, test } from "bun:test";
import type { GenerateEvent, OwnedRequest } from "../../../src/chat/events.ts";
import { withPredictionFeed } from "../../../src/cli/prediction-feed.ts";
import { LogFeed } from "../../../src/http/log-feed.ts";

const request = {
  model: "m",
  input: { kind: "chat", messages: [{ role: "user" }] },
  choices: 2,
} as unknown as OwnedRequest;
const started = {
  type: "started",
  model: "m-1",
  promptTokens: 3,
  cachedTokens: 0,
  prompt: "<user>Hi",
} as const;
const text = (choice: number, piece: string) =>
  ({ type: "text", choice, text: piece, logprobs: null }) as const;
const finished = (choice: number, completionTokens: number) =>
  ({
    type: "finished",
    choice,
    reason: "stop",
    stop: null,
    completionTokens,
    reasoningTokens: 0,
    meanLogprob: null,
  }) as const;

/** What a watcher sees of a generation that tells these events and then fails or ends. */
async function watch(events: readonly GenerateEvent[], isContentShown: boolean, failure?: Error) {
  const feed = new LogFeed(() => 0);
  using reader = feed.open(["model"]);
  const generate = withPredictionFeed(
    async function* (): AsyncGenerator<GenerateEvent, void, void> {
      yield* events;
      if (failure !== undefined) throw failure;
    },
    feed,
    isContentShown,
  );
  const all = Array.fromAsync(generate(request, new AbortController().signal));
  expect(await all.catch((error: unknown) => error)).toEqual(failure ?? events);
  return ((await reader.next()) ?? []).map(({ data }) => data);
}

test("each choice is an output of its own, and the input is the prompt as the model reads it", async () => {
  const events = [started, text(0, "He"), text(1, "Yo"), text(0, "y"), finished(1, 1)];
  expect(await watch([...events, finished(0, 2)], true)).toMatchObject([
    { type: "llm.prediction.input", modelIdentifier: "m-1", modelPath: "m", input: "<user>Hi" },
    { output: "Yo", stats: { predictedTokensCount: 1, totalTokensCount: 4 } },
    { output: "Hey", stats: { predictedTokensCount: 2, totalTokensCount: 5 } },
  ]);
});

test("an output holds reasoning, text and calls with their arguments", async () => {
  const call = (index: number, name: string, json: string) => [
    { type: "toolCall" as const, choice: 0, index, id: String(index), name },
    { type: "toolArguments" as const, choice: 0, index, text: json.slice(0, 3) },
    { type: "toolArguments" as const, choice: 0, index, text: json.slice(3) },
  ];
  const thought = { type: "reasoning", choice: 0, text: "Two. " } as const;
  const calls = [...call(0, "weather", '{"city":"Rome"}'), ...call(1, "time", "{}")];
  const lines = await watch([started, thought, text(0, "Wait"), ...calls, finished(0, 9)], true);
  expect(lines[1]).toMatchObject({ output: 'Two. Wait\nweather {"city":"Rome"}\ntime {}' });
});

test("choices that did not finish have failed, and texts need their switch", async () => {
  const cut = {
    type: "interrupted",
    completionTokens: 7,
    reasoningTokens: 0,
    timings: { promptMs: 0, predictedMs: 0, computedPromptTokens: 0 },
  } as unknown as GenerateEvent;
  const told = [started, text(0, "He"), finished(0, 1), cut];
  const lines = await watch(told, false, new Error("gone"));
  expect(lines).toMatchObject([
    { type: "llm.prediction.input" },
    { stats: { stopReason: "stop", predictedTokensCount: 1 } },
    { stats: { stopReason: "failed", predictedTokensCount: 7 } },
  ]);
  expect(JSON.stringify(lines)).not.toContain("He");
  expect(await watch([], true, new Error("refused"))).toMatchObject([
    { type: "llm.prediction.output", output: "", stats: { stopReason: "failed" } },
  ]);
});
