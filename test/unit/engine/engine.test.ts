import { expect, test } from "bun:test";
import { engineHarness, job } from "../../support/engine-harness.ts";
import { fakeModel, scripted } from "../../support/fake-model.ts";
import { FakeToken } from "../../support/fake-vocabulary.ts";

const bytes = (text: string): number[] => Array.from(Buffer.from(text));

/** Generates for ever, without an end token. */
const endless = { sampling: { ...job("").sampling, ignoreEos: true } };

test("a job is accepted, streams and ends once", () => {
  const model = fakeModel({ next: scripted("Q:", [...bytes("hey"), FakeToken.eos]) });
  const { engine, settle, of } = engineHarness({ model });
  engine.generate(1, job("Q:"));
  settle();
  expect(of(1)).toEqual([
    { type: "accepted", jobId: 1, promptTokens: 3, cachedTokens: 0 },
    { type: "text", jobId: 1, choice: 0, text: "h", tokens: 1 },
    { type: "text", jobId: 1, choice: 0, text: "e", tokens: 1 },
    { type: "text", jobId: 1, choice: 0, text: "y", tokens: 1 },
    {
      type: "choiceDone",
      jobId: 1,
      choice: 0,
      finish: "stop",
      stop: null,
      completionTokens: 4,
      meanLogprob: null,
    },
    { type: "jobDone", jobId: 1, timings: expect.objectContaining({ computedPromptTokens: 3 }) },
  ]);
});

test("a stop string ends the choice and is not told", () => {
  const model = fakeModel({ next: scripted("Q:", bytes("one END two")) });
  const { engine, settle, text, find } = engineHarness({ model });
  engine.generate(1, job("Q:", { stops: ["END"], maxTokens: 50 }));
  settle();
  expect(text(1)).toBe("one ");
  expect(find(1, "choiceDone")).toMatchObject({ finish: "stop", stop: "END", completionTokens: 7 });
});

test("maxTokens ends with length, and counts every token", () => {
  const { engine, settle, find } = engineHarness({ model: fakeModel() });
  engine.generate(1, job("Q:", { maxTokens: 5, ...endless }));
  settle();
  expect(find(1, "choiceDone")).toMatchObject({ finish: "length", completionTokens: 5 });
});

test("the end of the context ends with length", () => {
  const { engine, settle, find } = engineHarness({ model: fakeModel(), contextLength: 32 });
  engine.generate(1, job("x".repeat(19), { maxTokens: null, ...endless }));
  settle();
  expect(find(1, "choiceDone")).toMatchObject({ finish: "length", completionTokens: 12 });
});

test("a prompt that leaves no room is refused with both numbers, one token less is not", () => {
  const { engine, settle, find, of } = engineHarness({ model: fakeModel(), contextLength: 32 });
  engine.generate(1, job("x".repeat(31)));
  engine.generate(2, job("x".repeat(30)));
  settle();
  expect(find(1, "jobFailed")).toMatchObject({
    code: "context_length_exceeded",
    details: { promptTokens: 32, contextLength: 32, param: "prompt" },
  });
  expect(of(1)).toHaveLength(1);
  expect(find(2, "choiceDone")).toMatchObject({ finish: "length", completionTokens: 1 });
});

test("a text far beyond the context is not tokenised to its end", () => {
  const model = fakeModel();
  const { engine, settle, find } = engineHarness({ model, contextLength: 32 });
  let longest = 0;
  const tokenize = model.vocabulary.tokenize.bind(model.vocabulary);
  model.vocabulary.tokenize = (text, ...rest) => {
    longest = Math.max(longest, text.length);
    return tokenize(text, ...rest);
  };
  engine.generate(1, job("x".repeat(100_000)));
  engine.generate(2, job("", { prompt: { kind: "infill", prefix: "", suffix: "x".repeat(9999) } }));
  settle();
  expect(longest).toBe(512);
  for (const id of [1, 2]) {
    expect(find(id, "jobFailed")).toMatchObject({
      code: "context_length_exceeded",
      message: expect.stringContaining("at least 512"),
    });
  }
});

test("tokens are counted beyond the context, and up to a bound that is told", () => {
  const { engine, settle, find } = engineHarness({ model: fakeModel(), contextLength: 32 });
  const prompt = (length: number) =>
    ({ kind: "text", text: "x".repeat(length), addSpecial: false, parseSpecial: false }) as const;
  engine.tokenize(1, prompt(5_000));
  engine.tokenize(2, prompt(300_000));
  settle();
  expect(find(1, "tokenized")?.tokens).toHaveLength(5_000);
  expect(find(2, "jobFailed")).toMatchObject({
    code: "invalid_request",
    message: expect.stringContaining("too long to count"),
  });
});

test("a prompt of one token works, and an empty one is the BOS token", () => {
  const { engine, settle, find } = engineHarness({ model: fakeModel() });
  engine.generate(1, job("x", { prompt: { kind: "tokens", tokens: [120] } }));
  const text = { kind: "text", text: "", addSpecial: false, parseSpecial: false } as const;
  engine.generate(2, job("", { prompt: text }));
  settle();
  expect(find(1, "accepted")?.promptTokens).toBe(1);
  expect(find(2, "accepted")?.promptTokens).toBe(1);
  expect(find(2, "jobDone")).toBeDefined();
});

test.each([
  { name: "beyond the vocabulary", tokens: [1, 267] },
  { name: "negative", tokens: [-1] },
])("a token id $name is refused, not computed", ({ tokens }) => {
  const { engine, settle, find } = engineHarness({ model: fakeModel() });
  engine.generate(1, job("", { prompt: { kind: "tokens", tokens: [...tokens] } }));
  settle();
  expect(find(1, "jobFailed")).toMatchObject({
    code: "invalid_request",
    details: { param: "prompt", reason: "invalid_value" },
  });
});

test("infill puts prefix, suffix and middle in llama-server's order", () => {
  let seen: readonly number[] = [];
  const next = (tokens: readonly number[]): null => {
    seen = seen.length === 0 ? tokens : seen;
    return null;
  };
  const { engine, settle } = engineHarness({ model: fakeModel({ next }) });
  engine.generate(1, job("", { prompt: { kind: "infill", prefix: "a", suffix: "b" } }));
  settle();
  expect(seen).toEqual([FakeToken.bos, 260, 97, 261, 98, 262]);
});

test("maxTokens 0 generates nothing and computes nothing", () => {
  const { engine, settle, of, context } = engineHarness({ model: fakeModel() });
  engine.generate(1, job("Q:", { maxTokens: 0, choices: 2 }));
  settle();
  expect(of(1).map((event) => event.type)).toEqual([
    "accepted",
    "choiceDone",
    "choiceDone",
    "jobDone",
  ]);
  expect(context.memory && engine.load.step).toBe(0);
});

test("prompt tokens are scored, with and without generation after them", () => {
  const { engine, settle, find } = engineHarness({ model: fakeModel(), batchCapacity: 8 });
  engine.generate(1, job("abcdefghijkl", { logprobs: 2, promptLogprobs: true, maxTokens: 0 }));
  engine.generate(2, job("abcdefghijkl", { logprobs: 2, promptLogprobs: true, maxTokens: 1 }));
  settle();
  const tokens = find(1, "promptLogprobs")?.tokens ?? [];
  expect(tokens.map((token) => token.text).join("")).toBe("<s>abcdefghijkl");
  expect(tokens[0]?.top).toEqual([]);
  expect(tokens.slice(1).every((token) => token.logprob < 0 && token.top.length === 2)).toBe(true);
  expect(find(2, "promptLogprobs")?.tokens).toEqual(tokens);
  expect(find(1, "choiceDone")?.completionTokens).toBe(0);
  expect(find(2, "choiceDone")?.completionTokens).toBe(1);
});

test("log probabilities come with the text of their tokens", () => {
  const model = fakeModel({ next: scripted("Q:", [...bytes("é!"), FakeToken.eos]) });
  const { engine, settle, of, find } = engineHarness({ model });
  engine.generate(1, job("Q:", { logprobs: 1 }));
  settle();
  const told = of(1).flatMap((event) => (event.type === "text" ? [event] : []));
  expect(told.map((event) => [event.text, event.tokens, event.logprobs?.length])).toEqual([
    ["é", 2, 2],
    ["!", 1, 1],
  ]);
  expect(told[0]?.logprobs?.[0]).toMatchObject({ bytes: [0xc3], text: "\ufffd" });
  expect(find(1, "choiceDone")?.meanLogprob).toBeLessThan(0);
});

test("hidden tokens are scored where that is asked for, the end token too", () => {
  const { toolCall, toolCallEnd, eos } = FakeToken;
  const answer = [toolCall, ...bytes("é"), toolCallEnd, ...bytes("!"), eos];
  const model = fakeModel({ next: scripted("Q:", answer) });
  const { engine, settle, of, find } = engineHarness({ model });
  engine.generate(1, job("Q:", { logprobs: 0, hiddenLogprobs: true }));
  engine.generate(2, job("Q:", { logprobs: 0 }));
  settle();
  const told = (jobId: number) =>
    of(jobId).flatMap((event) => (event.type === "text" ? (event.logprobs ?? []) : []));
  expect(told(1).map(({ text, isHidden = false }) => [text, isHidden])).toEqual([
    ["<tool_call>", true],
    ["\ufffd", false],
    ["\ufffd", false],
    ["</tool_call>", true],
    ["!", false],
    ["</s>", true],
  ]);
  expect(find(1, "choiceDone")?.completionTokens).toBe(6);
  expect(told(2).map(({ text }) => text)).toEqual(["\ufffd", "\ufffd", "!"]);
});

test("control tokens stay hidden unless their text is asked for", () => {
  const { toolCall, toolCallEnd, eos } = FakeToken;
  const answer = [toolCall, ...bytes("x"), toolCallEnd, eos];
  const { engine, settle, text } = engineHarness({
    model: fakeModel({ next: scripted("Q:", answer) }),
  });
  engine.generate(1, job("Q:"));
  engine.generate(2, job("Q:", { keepSpecial: ["<tool_call>"] }));
  settle();
  expect([text(1), text(2)]).toEqual(["x", "<tool_call>x"]);
});

test("a grammar holds from the first token, and one that does not compile fails its job only", () => {
  const { engine, settle, text, find } = engineHarness({ model: fakeModel() });
  const attach = { kind: "start" } as const;
  engine.generate(1, job("Q:", { grammar: { gbnf: 'root ::= "yes" | "no"', attach } }));
  engine.generate(2, job("Q:", { grammar: { gbnf: "root ::=", attach: { kind: "start" } } }));
  engine.generate(3, job("Q:", { grammar: { gbnf: "nonsense", attach } }));
  settle();
  expect(["yes", "no"]).toContain(text(1));
  expect(find(3, "jobFailed")).toMatchObject({
    code: "invalid_request",
    details: { reason: "invalid_grammar" },
  });
});

test("tokenize answers without a decode", () => {
  const { engine, settle, of } = engineHarness({ model: fakeModel() });
  engine.tokenize(1, { kind: "text", text: "ab", addSpecial: true, parseSpecial: false });
  settle();
  expect(of(1)).toEqual([{ type: "tokenized", jobId: 1, tokens: [256, 97, 98] }]);
  expect(engine.load.step).toBe(0);
});

test("everything is freed, even with jobs in the middle", () => {
  const model = fakeModel();
  const { engine } = engineHarness({ model });
  engine.generate(1, job("abc", { choices: 2, maxTokens: 50, ...endless }));
  engine.embed(2, ["abc"]);
  for (let step = 0; step < 3; step++) engine.step();
  engine.dispose();
  expect(model.contexts.every((context) => context.isDisposed)).toBe(true);
  expect(model.contexts.map((context) => context.liveSamplers)).toEqual([0, 0]);
});
