import { afterAll, expect } from "bun:test";
import type { CatalogModel } from "../../src/catalog/model.ts";
import { createChatTemplates } from "../../src/chat/chat-templates.ts";
import {
  type ChatOptions,
  DEFAULT_CHAT_OPTIONS,
  type Message,
  type Tool,
} from "../../src/chat/conversation.ts";
import { FormatDetector } from "../../src/chat/detection/format-detector.ts";
import type { GenerateEvent, GenerateRequest, OwnedRequest } from "../../src/chat/events.ts";
import { createGenerate } from "../../src/chat/generate.ts";
import type { GenerateDeps, ModelDefaults } from "../../src/chat/lease-model.ts";
import type { Lease } from "../../src/pool/pool.ts";
import type { GenerateJob } from "../../src/protocol/commands.ts";
import type { JobEvent, JobTimings, LoadedModelInfo } from "../../src/protocol/events.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { MODEL_INFO } from "./model-info.ts";
import { modelHeader } from "./model-header.ts";

/** Generation over a lease that answers with written events, for tests of what is made of them. */

const templates = createChatTemplates(systemClock);
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

export const TIMINGS: JobTimings = {
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
  header: modelHeader(),
  source: "models-dir",
};

const info: LoadedModelInfo = {
  ...MODEL_INFO,
  contextLength: 100,
  vocabularySize: 10,
  embeddingSize: 1,
  parallel: 1,
  devices: [],
};

/** One text event per piece, one token each. */
export function answer(
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

/** Everything generation needs, with one model whose lease is `lease`. */
export const depsWith = (lease: Lease): GenerateDeps => ({
  catalog: { find: () => Promise.resolve(model), list: () => Promise.resolve([model]) },
  pool: { acquire: () => Promise.resolve(lease), instances: () => [] },
  resolve: { jit: true, modelFallback: true, allowLlmEmbeddings: false },
  templates,
  detector: new FormatDetector(),
  clock: systemClock,
  defaultsOf: () => NO_DEFAULTS,
});

const NO_DEFAULTS: ModelDefaults = { sampling: {}, stops: [], system: null };

/** A lease of the one model; every method can be given. */
export const leaseWith = (own: Partial<Lease>): Lease => ({
  identifier: "m",
  model,
  info,
  generate: () => {
    throw new Error("not used");
  },
  embed: () => Promise.reject(new Error("not used")),
  tokenize: (prompt) =>
    Promise.resolve(prompt.kind === "text" ? Array.from(prompt.text, () => 0) : []),
  release: () => undefined,
  ...own,
});

export interface Run {
  events: GenerateEvent[];
  job: GenerateJob;
  released: number;
}

/** Runs a request against a lease that answers with the given events. */
export async function run(
  script: readonly JobEvent[],
  request: Partial<GenerateRequest>,
  defaults: Partial<ModelDefaults> = {},
): Promise<Run> {
  const jobs: GenerateJob[] = [];
  const result = { events: [] as GenerateEvent[], released: 0 };
  const lease = leaseWith({
    async *generate(job) {
      jobs.push(job);
      yield { type: "accepted", jobId: 1, promptTokens: 3, cachedTokens: 1 };
      yield* script;
      yield { type: "jobDone", jobId: 1, timings: TIMINGS };
    },
    release: () => void (result.released += 1),
  });
  const defaultsOf = () => ({ ...NO_DEFAULTS, ...defaults });
  const generate = createGenerate({ ...depsWith(lease), defaultsOf });
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

export const user: Message = {
  role: "user",
  content: [{ type: "text", text: "Hi" }],
  reasoning: null,
  toolCalls: [],
  toolCallId: null,
  name: null,
};
export const chat = (options: Partial<ChatOptions> = {}): GenerateRequest["input"] => ({
  kind: "chat",
  messages: [user],
  options: { ...DEFAULT_CHAT_OPTIONS, ...options },
});
export const BASE: OwnedRequest = {
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
export const weather: Tool = {
  name: "get_weather",
  description: null,
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  strict: false,
};
export const withTools = (options: Partial<ChatOptions> = {}): GenerateRequest["input"] =>
  chat({ tools: [weather], toolChoice: { kind: "auto", allowed: null }, ...options });

export const textOf = (
  events: readonly GenerateEvent[],
  type: "text" | "reasoning" | "toolArguments",
): string => events.map((event) => (event.type === type ? event.text : "")).join("");
export const finishedOf = (events: readonly GenerateEvent[]) =>
  events.find((event) => event.type === "finished");
export const startedOf = (events: readonly GenerateEvent[]) =>
  events.find((event) => event.type === "started");
