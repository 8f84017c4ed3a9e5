import { afterAll, describe, expect, test } from "bun:test";
import type { CatalogModel } from "../../../src/catalog/model.ts";
import { createChatTemplates } from "../../../src/chat/chat-templates.ts";
import {
  type ChatOptions,
  DEFAULT_CHAT_OPTIONS,
  type Message,
  type Tool,
} from "../../../src/chat/conversation.ts";
import type { GenerateEvent, GenerateRequest, OwnedRequest } from "../../../src/chat/events.ts";
import { createGenerate, createRenderChat } from "../../../src/chat/generate.ts";
import { hasCode } from "../../../src/lib/errors.ts";
import type { Lease } from "../../../src/pool/pool.ts";
import type { GenerateJob } from "../../../src/protocol/commands.ts";
import type {
  JobEvent,
  JobTimings,
  LoadedModelInfo,
  TokenLogprob,
} from "../../../src/protocol/events.ts";
import { DEFAULT_SAMPLING } from "../../../src/protocol/sampling.ts";

const templates = createChatTemplates();
afterAll(() => templates.close());

/** Hermes calls and thinking, as one well-known family writes them. */
const TEMPLATE = `{% if tools %}TOOLS{% for t in tools %} {{ t.function.name }}{% endfor %}
{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}{% for c in m.tool_calls %}<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments|tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and not enable_thinking %}<think>

</think>

{% endif %}{% if prefill %}<think>
{% endif %}{% endif %}`;

const TIMINGS: JobTimings = {
  queuedMs: 0,
  prefillMs: 1,
  decodeMs: 1,
  ttftMs: 1,
  computedPromptTokens: 3,
};

const model: CatalogModel = {
  key: "m",
  variant: "m",
  kind: "llm",
  displayName: "m",
  publisher: "p",
  path: "/m.gguf",
  files: ["/m.gguf"],
  sizeBytes: 1,
  modifiedMs: 0,
  architecture: "llama",
  parameters: null,
  quantization: null,
  maxContextLength: 100,
  embeddingSize: null,
  chatTemplate: TEMPLATE,
  bosText: null,
  eosText: null,
  pooling: null,
  source: "models-dir",
};

const info: LoadedModelInfo = {
  contextLength: 100,
  trainContextLength: 100,
  vocabularySize: 10,
  embeddingSize: 1,
  parallel: 1,
  layerCount: 1,
  gpuLayers: 0,
  bosText: "",
  eosText: "",
  addsBos: false,
  addsEos: false,
  supportsInfill: false,
  isRecurrent: false,
  threads: 1,
  devices: [],
  memory: { modelBytes: 0, kvBytes: 0, computeBytes: 0 },
  loadMs: 0,
};

/** One text event per piece, one token each. */
function answer(
  pieces: readonly string[],
  finish: "stop" | "length" = "stop",
  choice = 0,
): JobEvent[] {
  return [
    ...pieces.map((text): JobEvent => ({ type: "text", jobId: 1, choice, text, tokens: 1 })),
    {
      type: "choiceDone",
      jobId: 1,
      choice,
      finish,
      stop: null,
      completionTokens: pieces.length,
      meanLogprob: null,
    },
  ];
}

interface Run {
  events: GenerateEvent[];
  job: GenerateJob;
  released: number;
}

/** Runs a request against a lease that answers with the given events. */
async function run(
  script: readonly JobEvent[],
  request: Partial<GenerateRequest>,
  preset: GenerateRequest["sampling"] = {},
): Promise<Run> {
  const jobs: GenerateJob[] = [];
  const result = { events: [] as GenerateEvent[], released: 0 };
  const lease: Lease = {
    identifier: "m",
    model,
    info,
    async *generate(job) {
      jobs.push(job);
      yield { type: "accepted", jobId: 1, promptTokens: 3, cachedTokens: 1 };
      yield* script;
      yield { type: "jobDone", jobId: 1, timings: TIMINGS };
    },
    embed: () => Promise.reject(new Error("not used")),
    tokenize: (prompt) =>
      Promise.resolve(prompt.kind === "text" ? Array.from(prompt.text, () => 0) : []),
    checkGrammar: () => Promise.resolve(),
    release: () => void (result.released += 1),
  };
  const generate = createGenerate({
    catalog: { find: () => Promise.resolve(model), list: () => Promise.resolve([model]) },
    pool: { acquire: () => Promise.resolve(lease), instances: () => [] },
    resolve: { jit: true, modelFallback: true, allowLlmEmbeddings: false },
    templates,
    samplingOf: () => preset,
  });
  const { signal } = new AbortController();
  try {
    for await (const event of generate({ ...BASE, ...request }, signal)) result.events.push(event);
  } finally {
    expect(result.released).toBe(1);
  }
  const [job] = jobs;
  if (job === undefined) throw new Error("no job was run");
  return { ...result, job };
}

const user: Message = {
  role: "user",
  content: [{ type: "text", text: "Hi" }],
  reasoning: null,
  toolCalls: [],
  toolCallId: null,
  name: null,
};
const chat = (options: Partial<ChatOptions> = {}): GenerateRequest["input"] => ({
  kind: "chat",
  messages: [user],
  options: { ...DEFAULT_CHAT_OPTIONS, ...options },
});
const BASE: OwnedRequest = {
  model: "m",
  input: chat(),
  sampling: {},
  stops: [],
  maxTokens: null,
  choices: 1,
  logprobs: null,
  promptLogprobs: false,
  cachePrompt: true,
  cacheScope: "",
  ttlSeconds: null,
};
const weather: Tool = {
  name: "get_weather",
  description: null,
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  strict: false,
};
const withTools = (options: Partial<ChatOptions> = {}): GenerateRequest["input"] =>
  chat({ tools: [weather], toolChoice: { kind: "auto", allowed: null }, ...options });

const textOf = (
  events: readonly GenerateEvent[],
  type: "text" | "reasoning" | "toolArguments",
): string => events.map((event) => (event.type === type ? event.text : "")).join("");
const finishedOf = (events: readonly GenerateEvent[]) =>
  events.find((event) => event.type === "finished");

describe("an answer", () => {
  test("comes as started, text, finished and done", async () => {
    const { events, job } = await run(answer(["Hel", "lo"]), {});
    expect(events.map((event) => event.type)).toEqual([
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

test("sampling: the request's word, then the model's preset, then the defaults", async () => {
  const { job } = await run(answer(["x"]), { sampling: { temperature: 0.1 } });
  expect(job.sampling).toEqual({ ...DEFAULT_SAMPLING, temperature: 0.1 });
  const preset = { temperature: 0.6, topK: 7 };
  const { job: tuned } = await run(answer(["x"]), { sampling: { temperature: 0.1 } }, preset);
  expect(tuned.sampling).toEqual({ ...DEFAULT_SAMPLING, temperature: 0.1, topK: 7 });
});

describe("tool calls", () => {
  const pieces = [
    "Let me see.\n",
    "<tool_call>",
    '\n{"name": "get_weather", ',
    '"arguments": {"city": "Rome"}}',
    "\n</tool_call>",
  ];

  test("are told with a name, arguments and the finish reason", async () => {
    const { events, job } = await run(answer(pieces), { input: withTools() });
    expect(textOf(events, "text")).toBe("Let me see.");
    const call = events.find((event) => event.type === "toolCall");
    expect(call).toMatchObject({ index: 0, name: "get_weather" });
    expect(call?.id).toMatch(/^call_[A-Za-z0-9]{24}$/);
    expect(JSON.parse(textOf(events, "toolArguments"))).toEqual({ city: "Rome" });
    expect(finishedOf(events)).toMatchObject({ reason: "tool_calls" });
    expect(job.keepSpecial).toContain("<tool_call>");
    expect(job.grammar?.attach).toMatchObject({ kind: "marker", markers: ["<tool_call>"] });
  });

  test("cut by the limit end with length", async () => {
    const { events } = await run(answer(pieces.slice(0, 3), "length"), { input: withTools() });
    expect(finishedOf(events)).toMatchObject({ reason: "length" });
  });

  test("are neither read nor offered when the choice is none", async () => {
    const { events, job } = await run(answer(pieces), {
      input: withTools({ toolChoice: { kind: "none" } }),
    });
    expect(events.some((event) => event.type === "toolCall")).toBe(false);
    expect(job.grammar).toBeNull();
    expect(JSON.stringify(job.prompt)).not.toContain("TOOLS");
  });

  test("that are required are constrained from the start, after open reasoning from its end", async () => {
    const toolChoice = { kind: "required", allowed: null } as const;
    const closed = await run(answer(pieces.slice(1)), {
      input: withTools({ toolChoice, enableThinking: false }),
    });
    expect(closed.job.grammar?.attach).toEqual({ kind: "start" });
    const templateKwargs = { prefill: true };
    const open = await run(answer(["x"]), { input: withTools({ toolChoice, templateKwargs }) });
    expect(open.job.grammar?.attach).toEqual({ kind: "after", end: "</think>" });
  });

  test("of which one is allowed end the job when the model goes on and on", async () => {
    const babble = Array.from({ length: 40 }, () => "more ");
    const script = answer([...pieces.slice(1), ...babble]);
    const one = withTools({ parallelToolCalls: false });
    const { events } = await run(script, { input: one });
    expect(events.filter((event) => event.type === "toolCall")).toHaveLength(1);
    expect(textOf(events, "text")).toBe("");
    const told = finishedOf(events);
    expect(told).toMatchObject({ reason: "tool_calls", stop: null });
    expect(told?.completionTokens).toBeLessThan(pieces.length + 20);
    expect(events.at(-1)).toMatchObject({ type: "done" });
    const both = await run([...script, ...answer(babble, "stop", 1)], { input: one, choices: 2 });
    expect(finishedOf(both.events)).toMatchObject({ completionTokens: 44 });
  });

  test("limited to some tools still show all of them", async () => {
    const other: Tool = { ...weather, name: "other" };
    const toolChoice = { kind: "auto", allowed: ["other"] } as const;
    const { job } = await run(answer(["x"]), {
      input: withTools({ tools: [weather, other], toolChoice }),
    });
    expect(JSON.stringify(job.prompt)).toContain("TOOLS get_weather other");
    expect(job.grammar?.gbnf).not.toContain("get_weather");
  });
});

describe("answers in a format", () => {
  test("JSON by a schema is constrained after the reasoning", async () => {
    const schema = { type: "object", properties: { a: { type: "integer" } }, required: ["a"] };
    const input = chat({
      format: { kind: "json", schema, strict: false },
      templateKwargs: { prefill: true },
    });
    const { job } = await run(answer(["x"]), { input });
    expect(job.grammar?.attach).toEqual({ kind: "after", end: "</think>" });
    expect(job.grammar?.gbnf).toContain("root");
  });

  test("an answer that breaks such a keyword is told of", async () => {
    const schema = { type: "array", items: { type: "integer" }, uniqueItems: true };
    const input = chat({ format: { kind: "json", schema, strict: false } });
    const broken = await run(answer(["[1, ", "1]"]), { input });
    expect(finishedOf(broken.events)).toMatchObject({
      schemaIssues: [expect.stringContaining("uniqueItems")],
    });
    const whole = await run(answer(["[1, 2]"]), { input });
    expect(finishedOf(whole.events)).not.toHaveProperty("schemaIssues");
  });

  test("a raw prompt's schema is planned, warned of and checked alike", async () => {
    const schema = { type: "array", items: { type: "integer" }, uniqueItems: true };
    const input = (strict: boolean): GenerateRequest["input"] => ({
      kind: "prompt",
      prompt: { kind: "text", text: "x" },
      format: { kind: "json", schema, strict },
    });
    const { events, job } = await run(answer(["[1,1]"]), { input: input(false) });
    expect(job.grammar).toMatchObject({ attach: { kind: "start" } });
    expect(events[0]).toMatchObject({ warnings: [expect.stringContaining("/uniqueItems")] });
    expect(finishedOf(events)).toMatchObject({ schemaIssues: [expect.anything()] });
    const error = await run([], { input: input(true) }).catch((caught: unknown) => caught);
    expect(hasCode(error, "invalid_request") && error.details).toMatchObject({
      param: "format",
      reason: "invalid_json_schema",
    });
    expect(String(error)).toContain("/uniqueItems");
  });

  test("a keyword that no grammar enforces is told", async () => {
    const schema = { type: "array", items: { type: "integer" }, uniqueItems: true };
    const { events } = await run(answer(["[1]"]), {
      input: chat({ format: { kind: "json", schema, strict: false } }),
    });
    expect(events[0]).toMatchObject({
      type: "started",
      warnings: [expect.stringContaining("uniqueItems")],
    });
  });
});

describe("log probabilities", () => {
  const entry = (text: string): TokenLogprob => ({ id: 1, text, bytes: [], logprob: -1, top: [] });
  const scored = (texts: readonly string[]): JobEvent => ({
    type: "text",
    jobId: 1,
    choice: 0,
    text: texts.join(""),
    tokens: texts.length,
    logprobs: texts.map(entry),
  });
  const tokensOf = (events: readonly GenerateEvent[]): string[] =>
    events.flatMap((event) =>
      event.type === "text" ? (event.logprobs ?? []).map(({ text }) => text) : [],
    );

  test("are those of the answer's text alone", async () => {
    const script = [scored(["<think>", "why"]), scored(["</think>", "So", " it"]), ...answer([])];
    const { events } = await run(script, { logprobs: 0 });
    expect(textOf(events, "text")).toBe("So it");
    expect(tokensOf(events)).toEqual(["So", " it"]);
  });

  test("of calls are left out", async () => {
    const script = [
      scored([
        "Hm",
        "<tool_call>",
        '{"name": "get_weather", "arguments": {"city": "x"}}',
        "</tool_call>",
      ]),
      ...answer([]),
    ];
    const { events } = await run(script, { logprobs: 0, input: withTools() });
    expect(tokensOf(events)).toEqual(["Hm"]);
  });
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
  const lease = {
    identifier: "m",
    model,
    info,
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
  };
  const deps = {
    catalog: { find: () => Promise.resolve(model), list: () => Promise.resolve([model]) },
    pool: { acquire: () => Promise.resolve(lease as unknown as Lease), instances: () => [] },
    resolve: { jit: true, modelFallback: true, allowLlmEmbeddings: false },
    templates,
  };
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

test("a template that refuses refuses the request, and the lease is given back", async () => {
  const input = chat({ templateKwargs: { messages: 5 } });
  const error: unknown = await run([], { input }).catch((reason: unknown) => reason);
  expect(hasCode(error, "invalid_request") && error.details.reason).toBe("chat_template_error");
});
