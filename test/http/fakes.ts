import type { CatalogModel } from "../../src/catalog/model.ts";
import type { Generate, GenerateEvent, OwnedRequest } from "../../src/chat/events.ts";
import { createApp } from "../../src/http/app.ts";
import type { Deps, HttpApp, HttpSettings } from "../../src/http/deps.ts";
import { LogFeed } from "../../src/http/log-feed.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { LmError } from "../../src/lib/errors.ts";
import { silentLog } from "../../src/lib/log.ts";
import type { Embeddings, InstanceStatus, Lease, PoolStatistics } from "../../src/pool/pool.ts";
import type { LoadedModelInfo, TokenLogprob } from "../../src/protocol/events.ts";
import { MODEL_INFO } from "../support/model-info.ts";
import { LOAD_DEFAULTS } from "../support/pool-fixture.ts";
import { modelHeader } from "../support/model-header.ts";

export const settings: HttpSettings = {
  apiKeys: [],
  requireAuth: false,
  cors: null,
  allowedHosts: [],
  bindAddress: "127.0.0.1",
  hostname: "box",
  maxBodyBytes: 1024 * 1024,
  maxChoices: 16,
  jit: true,
  modelFallback: false,
  allowLlmEmbeddings: false,
  reasoningField: "reasoning_content",
  requestTimeoutMs: 0,
  metrics: true,
  restExtensions: false,
  sharedPrefixCache: false,
};

export function fakeModel(over: Partial<CatalogModel> = {}): CatalogModel {
  const key = over.key ?? "acme/tiny";
  return {
    key,
    variant: `${key}@q4_0`,
    kind: "llm",
    displayName: "Tiny",
    publisher: "acme",
    path: `/models/${key}.gguf`,
    files: [],
    sizeBytes: 1,
    modifiedMs: 1_731_990_317_000,
    architecture: "llama",
    parameters: null,
    quantization: "Q4_0",
    maxContextLength: 4096,
    embeddingSize: 3,
    chatTemplate: null,
    bosText: null,
    eosText: null,
    pooling: null,
    header: modelHeader(),
    source: "models-dir",
    ...over,
  };
}

export const embedder = fakeModel({ key: "acme/embed", kind: "embedding", pooling: "mean" });

export const modelInfo: LoadedModelInfo = {
  ...MODEL_INFO,
  contextLength: 2048,
  vocabularySize: 1000,
  embeddingSize: 3,
  memory: { modelBytes: 1, kvBytes: 2, computeBytes: 3 },
  loadMs: 1,
};

export function fakeInstance(
  model: CatalogModel,
  over: Partial<InstanceStatus> = {},
): InstanceStatus {
  return {
    identifier: model.key,
    model,
    state: "ready",
    info: modelInfo,
    loadedFraction: 1,
    load: null,
    pid: 1,
    running: 0,
    activity: "idle",
    queued: 0,
    lastUsedMs: 0,
    starts: 1,
    crashes: 0,
    jit: true,
    ttlMs: null,
    parallel: 4,
    settings: LOAD_DEFAULTS,
    ...over,
  };
}

const noStatistics: PoolStatistics = {
  engineStarts: 1,
  engineExits: { unloaded: 0, load_failed: 0, crashed: 0, watchdog: 0, shutdown: 0 },
  engineRestarts: 2,
  watchdogKills: 0,
  cancelled: { queue: 0, prefill: 0, decode: 0 },
  cancelStepsMax: 1,
  staleEvents: 0,
  mutedJobs: 0,
  prefixFailures: 0,
  ipcInflightBytes: 0,
};

export interface FakeOptions {
  generate?: Generate;
  settings?: Partial<HttpSettings>;
  models?: readonly CatalogModel[];
  instances?: readonly InstanceStatus[];
  embed?: (inputs: readonly (string | number[])[]) => Embeddings;
  released?: () => void;
  deps?: Partial<Deps>;
}

/** The whole HTTP layer on fakes; generation is a generator written in the test. */
export function fakeDeps(options: FakeOptions = {}): Deps {
  const models = options.models ?? [fakeModel(), embedder];
  return {
    settings: { ...settings, ...options.settings },
    generate: options.generate ?? answer("Hello"),
    checkPrompts: async function* () {
      yield assigned;
    },
    renderChat: async (request) => ({
      model: request.model ?? "acme/tiny",
      prompt: "<prompt>",
      promptTokens: 7,
    }),
    catalog: {
      adapters: async () => [],
      list: async () => models,
      find: async (name) =>
        models.find((model) => model.key === name || model.variant === name) ?? null,
    },
    pool: {
      acquire: async (model) => fakeLease(model, options),
      instances: () => options.instances ?? [],
      statistics: () => noStatistics,
      inspect: async () => null,
      cooldown: () => null,
      load: async (model) => fakeInstance(model, { jit: false }),
      unload: async () => undefined,
      preview: (model) => {
        const own = (options.instances ?? []).filter((instance) => instance.model === model);
        const identifier = own[0]?.identifier ?? model.key;
        return { identifier, needsLoad: !own.some(({ state }) => state === "ready") };
      },
    },
    tokens: null,
    responses: null,
    downloads: {
      start: async () => ({ state: "already_downloaded", source: "", modelPath: "" }),
      status: () => null,
      list: () => [],
      pause: async () => null,
      resume: async () => null,
      cancel: async () => null,
    },
    version: { version: "0.1.0", commit: null, engine: "v0.5.0" },
    clock: systemClock,
    log: silentLog,
    logFeed: new LogFeed(() => 0),
    newId: (prefix, length) => prefix + "x".repeat(length),
    isReady: () => true,
    isStopping: () => false,
    swaggerAsset: (name) =>
      name === "swagger-ui.css"
        ? { bytes: new TextEncoder().encode("body{}"), type: "text/css" }
        : null,
    ...options.deps,
  };
}

function fakeLease(model: CatalogModel, options: FakeOptions): Lease {
  return {
    identifier: model.key,
    model,
    info: modelInfo,
    async *generate() {
      yield* [];
      throw new LmError("internal", {}, "not used");
    },
    embed: async (inputs) =>
      options.embed?.(inputs) ?? {
        vectors: inputs.map(() => new Float32Array([0.6, 0, -0.8])),
        tokens: inputs.length * 2,
      },
    tokenize: async () => [],
    release: () => options.released?.(),
  };
}

export function appWith(options: FakeOptions = {}): HttpApp {
  return createApp(fakeDeps(options));
}

export const timings = {
  queuedMs: 0,
  prefillMs: 1,
  decodeMs: 1,
  ttftMs: 1,
  computedPromptTokens: 3,
};

export const assigned = {
  type: "assigned",
  model: "acme/tiny",
  key: "acme/tiny",
} as const satisfies GenerateEvent;
export const started = (over: object = {}): GenerateEvent => ({
  type: "started",
  model: "acme/tiny",
  promptTokens: 3,
  cachedTokens: 1,
  warnings: [],
  ...over,
});
export const text = (value: string, choice = 0, logprobs: TokenLogprob[] | null = null) =>
  ({ type: "text", choice, text: value, logprobs }) satisfies GenerateEvent;
export const finished = (over: Partial<Extract<GenerateEvent, { type: "finished" }>> = {}) =>
  ({
    type: "finished",
    choice: 0,
    reason: "stop",
    stop: null,
    completionTokens: 2,
    reasoningTokens: 0,
    meanLogprob: null,
    ...over,
  }) satisfies GenerateEvent;
export const done = { type: "done", timings } satisfies GenerateEvent;

/** A generation that says these texts, one event each. */
export function answer(...texts: string[]): Generate {
  return play([assigned, started(), ...texts.map((value) => text(value)), finished(), done]);
}

/** A generation that plays these events; `seen` receives the request. */
export function play(
  events: readonly GenerateEvent[],
  seen?: (request: OwnedRequest) => void,
): Generate {
  return async function* (request) {
    seen?.(request);
    yield* events;
  };
}

/** A generation that fails before its first event, or after these. */
export function failWith(error: Error, before: readonly GenerateEvent[] = []): Generate {
  return async function* () {
    yield* before;
    throw error;
  };
}

export const HOST = { host: "localhost:1234" };

export function get(path: string, headers: Record<string, string> = {}, method = "GET"): Request {
  return new Request(`http://localhost:1234${path}`, { method, headers: { ...HOST, ...headers } });
}

export function post(path: string, body: unknown, headers: Record<string, string> = {}): Request {
  return new Request(`http://localhost:1234${path}`, {
    method: "POST",
    headers: { ...HOST, "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

export const chatBody = { model: "acme/tiny", messages: [{ role: "user", content: "Hi" }] };

export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null };
}

export async function errorOf(response: Response): Promise<ErrorBody["error"]> {
  const body = (await response.json()) as ErrorBody;
  return body.error;
}

/** The payloads of an event stream; `[DONE]` stays a word. */
export function payloads(transcript: string): unknown[] {
  return transcript
    .split("\n\n")
    .filter((frame) => frame.startsWith("data: "))
    .map((frame) => frame.slice("data: ".length))
    .map((data): unknown => (data === "[DONE]" ? data : JSON.parse(data)));
}
