import { describe, expect, test } from "bun:test";
import type { DownloadRequest, DownloadSnapshot } from "../../src/catalog/download/downloads.ts";
import type { TokenPermission } from "../../src/config/tokens.ts";
import { invalidRequest, LmError } from "../../src/lib/errors.ts";
import type { InstanceStatus, LoadRequest } from "../../src/pool/pool.ts";
import {
  appWith,
  chatBody,
  embedder,
  errorOf,
  fakeDeps,
  fakeInstance,
  fakeModel,
  type FakeOptions,
  get,
  modelInfo,
  payloads,
  play,
  post,
  started,
  text,
  finished,
  done,
} from "./fakes.ts";
import { effort, problemsOf, thinker } from "./lmstudio-cases.ts";
import { ManualClock } from "../support/manual-clock.ts";

type Json = Record<string, unknown>;
const model = fakeModel({ quantization: "Q4_K_M" });
const load = "/api/v1/models/load";
const unload = "/api/v1/models/unload";

async function bodyOf(response: Response, name: string): Promise<Json> {
  const json = (await response.json()) as Json;
  expect(problemsOf(name, json)).toEqual([]);
  return json;
}
async function failureOf(
  response: Response,
): Promise<{ type: string; code?: string; param?: string; message: string }> {
  const { error } = await bodyOf(response, "ErrorBody");
  return error as { type: string; message: string };
}

describe("GET /api/v1/models", () => {
  const listed = async (options: FakeOptions): Promise<Json[]> => {
    const response = await appWith(options).handle(get("/api/v1/models"));
    return (await bodyOf(response, "ModelsResponse"))["models"] as Json[];
  };

  test("lists everything installed, whatever loading by request says", async () => {
    for (const jit of [true, false]) {
      const models = await listed({ settings: { jit } });
      expect(models.map(({ key }) => key)).toEqual(["acme/tiny", "acme/embed"]);
    }
  });

  test("a language model has capabilities, an embedding model has none", async () => {
    const [llm, embedding] = await listed({ models: [model, embedder] });
    expect(llm).toMatchObject({
      type: "llm",
      architecture: "llama",
      quantization: { name: "Q4_K_M", bits_per_weight: 4 },
      capabilities: { vision: false, trained_for_tool_use: false },
      loaded_instances: [],
    });
    expect(embedding).toMatchObject({ type: "embedding" });
    for (const key of ["architecture", "capabilities", "description"])
      expect(embedding).not.toHaveProperty(key);
  });

  test("what a template lets a request choose", async () => {
    const [first, second] = await listed({ models: [thinker, effort] });
    expect(first?.["capabilities"]).toEqual({
      vision: false,
      trained_for_tool_use: true,
      reasoning: { allowed_options: ["off", "on"], default: "on" },
    });
    expect(second?.["capabilities"]).toMatchObject({
      reasoning: { allowed_options: ["low", "medium", "high"], default: "medium" },
    });
  });

  test("instances that can answer, with how they were loaded", async () => {
    const settings = {
      contextLength: null,
      parallel: 4,
      threads: null,
      gpuLayers: "auto",
      batchCapacity: 256,
      kvTypeK: "f16",
      kvTypeV: "f16",
      flashAttention: "off",
      mmap: true,
      speculation: "off",
    } as const;
    const [llm, embedding] = await listed({
      models: [model, embedder],
      instances: [
        fakeInstance(model, { identifier: "acme/tiny:2", settings }),
        fakeInstance(model),
        fakeInstance(model, { identifier: "x", state: "loading", info: null }),
        fakeInstance(embedder, { settings }),
      ],
    });
    expect(llm?.["loaded_instances"]).toEqual([
      {
        id: "acme/tiny",
        config: {
          context_length: 2048,
          eval_batch_size: 512,
          parallel: 4,
          flash_attention: true,
          offload_kv_cache_to_gpu: false,
        },
      },
      {
        id: "acme/tiny:2",
        config: {
          context_length: 2048,
          eval_batch_size: 256,
          parallel: 4,
          flash_attention: false,
          offload_kv_cache_to_gpu: false,
        },
      },
    ]);
    expect(embedding?.["loaded_instances"]).toEqual([
      { id: "acme/embed", config: { context_length: 2048 } },
    ]);
  });

  test("several quantisations name each other", async () => {
    const other = fakeModel({
      key: "acme/tiny@q8_0",
      variant: "acme/tiny@q8_0",
      path: "/models/b.gguf",
    });
    const [first] = await listed({ models: [model, other] });
    expect(first).toMatchObject({
      variants: ["acme/tiny@q4_0", "acme/tiny@q8_0"],
      selected_variant: "acme/tiny@q4_0",
    });
  });

  test("of a thousand models, in a few milliseconds", async () => {
    const template = "{% if enable_thinking %}{% endif %}{{ tools }}".repeat(400);
    const models = Array.from({ length: 1_000 }, (_, index) =>
      fakeModel({
        key: `m${index}`,
        variant: `m${index}@q4_0`,
        path: `/${index}`,
        chatTemplate: template,
      }),
    );
    expect(await listed({ models })).toHaveLength(1_000);
  });
});

/** A pool that notes what it is told. */
function notingPool(instances: InstanceStatus[] = []) {
  const loads: LoadRequest[] = [];
  const unloads: [string, boolean][] = [];
  const { pool } = fakeDeps();
  return {
    loads,
    unloads,
    pool: {
      ...pool,
      instances: () => instances,
      load: async (asked: typeof model, request: LoadRequest) => {
        loads.push(request);
        return fakeInstance(asked, { identifier: `${asked.key}:${loads.length}`, jit: false });
      },
      unload: async (id: string, { force }: { force: boolean }) => {
        if (id === "nobody")
          throw new LmError("model_not_loaded", { model: id }, "No such instance.");
        unloads.push([id, force]);
      },
    },
  };
}

describe("the identifier of an instance means its model, in any case", () => {
  const small = { ...modelInfo, contextLength: 512 };
  const instances = [
    fakeInstance(model),
    fakeInstance(model, { identifier: "Mine", info: small }),
    fakeInstance(model, { identifier: "mine" }),
  ];
  const rows: { name: string; context: number }[] = [
    { name: "Mine", context: 512 },
    { name: "MINE", context: 512 },
    { name: "mine", context: 2048 },
    { name: model.key, context: 2048 },
  ];
  test.each(rows)("$name below /api/v0/models", async ({ name, context }) => {
    const app = appWith({ models: [model], instances });
    const described = await bodyOf(await app.handle(get(`/api/v0/models/${name}`)), "V0Model");
    expect(described).toMatchObject({ id: model.key, loaded_context_length: context });
  });

  test("when it is loaded again", async () => {
    const { pool } = notingPool(instances);
    const app = appWith({ models: [model], deps: { pool } });
    const answer = await bodyOf(await app.handle(post(load, { model: "MINE" })), "LoadResponse");
    expect(answer).toMatchObject({ instance_id: "acme/tiny:1" });
  });

  test("unless it is the name of another model as it is written", async () => {
    const other = fakeModel({ key: "MINE" });
    const app = appWith({ models: [model, other], instances });
    const described = await bodyOf(await app.handle(get("/api/v0/models/MINE")), "V0Model");
    expect(described).toMatchObject({ id: "MINE", state: "not-loaded" });
  });
});

describe("load and unload", () => {
  test("loads with what was said and no more, and echoes it when asked", async () => {
    const { pool, loads } = notingPool();
    const app = appWith({ models: [model, embedder], deps: { pool } });
    const plain = await bodyOf(await app.handle(post(load, { model: model.key })), "LoadResponse");
    expect(plain).toMatchObject({ type: "llm", instance_id: "acme/tiny:1", status: "loaded" });
    expect(plain).not.toHaveProperty("load_config");
    const request = {
      model: model.key,
      context_length: 1024,
      eval_batch_size: 64,
      flash_attention: true,
      num_experts: 2,
      offload_kv_cache_to_gpu: false,
      echo_load_config: true,
    };
    const response = await app.handle(post(load, request));
    expect(response.headers.get("x-lmserver-warning")).toContain("num_experts");
    expect((await bodyOf(response, "LoadResponse"))["load_config"]).toMatchObject({ parallel: 4 });
    expect(loads).toEqual([
      {},
      { contextLength: 1024, batchCapacity: 64, flashAttention: "on", kvOnGpu: false },
    ]);
    const embedding = await app.handle(post(load, { model: embedder.key, echo_load_config: true }));
    expect(await bodyOf(embedding, "LoadResponse")).toMatchObject({
      type: "embedding",
      load_config: { context_length: 2048 },
    });
  });

  const rows: { name: string; path: string; body: object; status: number; error: object }[] = [
    {
      name: "no model",
      path: load,
      body: {},
      status: 400,
      error: { code: "missing_required_parameter", param: "model" },
    },
    {
      name: "null for the model",
      path: load,
      body: { model: null },
      status: 400,
      error: { code: "missing_required_parameter", param: "model" },
    },
    {
      name: "null for the instance",
      path: unload,
      body: { instance_id: null },
      status: 400,
      error: { code: "missing_required_parameter", param: "instance_id" },
    },
    {
      name: "an unknown model",
      path: load,
      body: { model: "x" },
      status: 404,
      error: { type: "model_not_found" },
    },
    {
      name: "an unknown key",
      path: load,
      body: { model: "acme/tiny", ttl: 5 },
      status: 400,
      error: { code: "unrecognized_keys" },
    },
    {
      name: "too much context",
      path: load,
      body: { model: "acme/tiny", context_length: 4097 },
      status: 400,
      error: { code: "invalid_value", param: "context_length" },
    },
    {
      name: "no context",
      path: load,
      body: { model: "acme/tiny", context_length: 0 },
      status: 400,
      error: { code: "invalid_value" },
    },
    {
      name: "a word for a number",
      path: load,
      body: { model: "acme/tiny", eval_batch_size: "512" },
      status: 400,
      error: { code: "invalid_type", param: "eval_batch_size" },
    },
    {
      name: "no instance",
      path: unload,
      body: {},
      status: 400,
      error: { code: "missing_required_parameter", param: "instance_id" },
    },
    {
      name: "an unknown instance",
      path: unload,
      body: { instance_id: "nobody" },
      status: 404,
      error: { type: "model_not_found" },
    },
    {
      name: "a key of unload",
      path: unload,
      body: { instance_id: "a", force: true },
      status: 400,
      error: { code: "unrecognized_keys" },
    },
  ];
  test.each(rows)("refused: $name", async ({ path, body, status, error }) => {
    const { pool, unloads } = notingPool();
    const response = await appWith({ deps: { pool } }).handle(post(path, body));
    expect(response.status).toBe(status);
    expect(await failureOf(response)).toMatchObject(error);
    expect(unloads).toEqual([]);
  });

  test("extensions, when they are switched on", async () => {
    const { pool, loads } = notingPool();
    const app = appWith({ settings: { restExtensions: true }, deps: { pool } });
    const request = { model: model.key, identifier: "mine", ttl: 5, parallel: 2, gpu: 1 };
    expect((await app.handle(post(load, request))).status).toBe(200);
    expect(loads).toEqual([{ identifier: "mine", ttlMs: 5_000, parallel: 2, gpuLayers: "max" }]);
  });

  test("an identifier that is another model's name is refused, the model's own is not", async () => {
    const other = fakeModel({ key: "acme/other" });
    const { pool, loads } = notingPool();
    const settings = { restExtensions: true };
    const app = appWith({ models: [model, other], settings, deps: { pool } });
    const ask = (identifier: string) => app.handle(post(load, { model: model.key, identifier }));
    const refused = await ask(other.key);
    expect(refused.status).toBe(400);
    expect(await failureOf(refused)).toMatchObject({ param: "identifier" });
    expect((await ask(model.key)).status).toBe(200);
    expect(loads).toEqual([{ identifier: model.key }]);
  });

  test("too little memory is a failure of the server, with the numbers", async () => {
    const { pool } = notingPool();
    const error = new LmError(
      "insufficient_memory",
      { model: "m", neededBytes: 2, availableBytes: 1 },
      "It needs 2 bytes; 1 byte is free.",
    );
    const broken = { ...pool, load: () => Promise.reject(error) };
    const response = await appWith({ deps: { pool: broken } }).handle(
      post(load, { model: model.key }),
    );
    expect(response.status).toBe(500);
    expect(await failureOf(response)).toEqual({
      type: "internal_error",
      message: "It needs 2 bytes; 1 byte is free.",
    });
  });

  test("unload ends running requests", async () => {
    const { pool, unloads } = notingPool();
    const response = await appWith({ deps: { pool } }).handle(post(unload, { instance_id: "a:2" }));
    expect(await bodyOf(response, "UnloadResponse")).toEqual({ instance_id: "a:2" });
    expect(unloads).toEqual([["a:2", true]]);
  });
});

describe("downloads", () => {
  const snapshot = (over: Partial<DownloadSnapshot> = {}): DownloadSnapshot => ({
    id: "job_493c7c9ded",
    state: "downloading",
    owner: null,
    source: "a/b",
    quantization: "Q4_K_M",
    modelPath: "/m",
    files: [],
    totalBytes: 100,
    downloadedBytes: 40,
    bytesPerSecond: 8.5,
    estimatedCompletionMs: 1_700_000_009_000,
    startedMs: 1_700_000_000_000,
    completedMs: null,
    failure: null,
    ...over,
  });
  const withJob = (job: DownloadSnapshot, options: FakeOptions = {}) => {
    const asked: DownloadRequest[] = [];
    const downloads = {
      start: async (request: DownloadRequest) => {
        asked.push(request);
        if (request.model === "evil.example/x")
          throw invalidRequest("model", "invalid_value", "host");
        return job;
      },
      status: (id: string) => (id === job.id ? job : null),
      list: () => [job],
      pause: async () => job,
      resume: async () => job,
      cancel: async () => job,
    };
    return { asked, app: appWith({ ...options, deps: { ...options.deps, downloads } }) };
  };
  const path = "/api/v1/models/download";
  const statusOf = `${path}/status/job_493c7c9ded`;

  test("begins a job and says so; of other hosts it fetches nothing", async () => {
    const { app, asked } = withJob(snapshot());
    const response = await app.handle(post(path, { model: "a/b", quantization: "q4_k_m" }));
    expect(await bodyOf(response, "DownloadResponse")).toEqual({
      job_id: "job_493c7c9ded",
      status: "downloading",
      total_size_bytes: 100,
      started_at: "2023-11-14T22:13:20.000Z",
    });
    expect(asked).toEqual([
      { model: "a/b", quantization: "q4_k_m", owner: null, allowAnyHost: false },
    ]);
    const evil = await app.handle(post(path, { model: "evil.example/x" }));
    expect(await failureOf(evil)).toMatchObject({ code: "invalid_value", param: "model" });
  });

  test("what is there already is no job", async () => {
    const response = await appWith().handle(post(path, { model: "a/b" }));
    expect(await bodyOf(response, "DownloadResponse")).toEqual({ status: "already_downloaded" });
  });

  const states: { over: Partial<DownloadSnapshot>; shown: object; hidden: string[] }[] = [
    { over: {}, shown: { status: "downloading", bytes_per_second: 8.5 }, hidden: ["completed_at"] },
    {
      over: { state: "queued", bytesPerSecond: null, estimatedCompletionMs: null },
      shown: { status: "downloading", bytes_per_second: 0 },
      hidden: ["estimated_completion"],
    },
    {
      over: { state: "paused", bytesPerSecond: null, estimatedCompletionMs: null },
      shown: { status: "paused" },
      hidden: ["bytes_per_second", "estimated_completion"],
    },
    {
      over: { state: "completed", completedMs: 1_700_000_001_000 },
      shown: { status: "completed", completed_at: "2023-11-14T22:13:21.000Z" },
      hidden: ["bytes_per_second"],
    },
  ];
  test.each(states)("the state $shown", async ({ over, shown, hidden }) => {
    const { app } = withJob(snapshot(over));
    const body = await bodyOf(await app.handle(get(statusOf)), "DownloadStatus");
    expect(body).toMatchObject(shown);
    for (const key of hidden) expect(body).not.toHaveProperty(key);
  });

  test("a failed job says why", async () => {
    const { app } = withJob(snapshot({ state: "failed", failure: "The hub answered 500." }));
    expect((await (await app.handle(get(statusOf))).json()) as Json).toMatchObject({
      status: "failed",
      error: { message: "The hub answered 500." },
    });
  });

  test("an unknown job is 404", async () => {
    const { app } = withJob(snapshot());
    const response = await app.handle(get(`${path}/status/job_0000000000`));
    expect(response.status).toBe(404);
    expect(await failureOf(response)).toMatchObject({ type: "job_not_found" });
  });

  test("T-B5: a job is seen by whoever asked for it, and by nobody else", async () => {
    const owners: (string | null)[] = [];
    const settings = { apiKeys: ["one", "two", "three"] };
    const as = (key: string) => ({ authorization: `Bearer ${key}` });
    let job = snapshot();
    const downloads = {
      start: async ({ owner }: DownloadRequest) => {
        if (owners.length === 0) job = snapshot({ owner });
        owners.push(owner);
        return job;
      },
      status: () => job,
      list: () => [job],
      pause: async () => job,
      resume: async () => job,
      cancel: async () => job,
    };
    const app = appWith({ settings, deps: { downloads } });
    await app.handle(post(path, { model: "a/b" }, as("one")));
    await app.handle(post(path, { model: "a/b" }, as("two")));
    const statuses = await Promise.all(
      settings.apiKeys.map(async (key) => (await app.handle(get(statusOf, as(key)))).status),
    );
    expect(statuses).toEqual([200, 200, 404]);
    expect(new Set(owners).size).toBe(2);
  });
});

describe("T-B13: permissions", () => {
  const tokens = (permissions: TokenPermission[]) => ({
    find: () => ({ id: "aaaaaaaa", name: "t", permissions, createdMs: 0 }),
  });
  const routes: { needs: TokenPermission; request: () => Request }[] = [
    { needs: "inference", request: () => post("/api/v1/chat", { model: model.key, input: "x" }) },
    { needs: "inference", request: () => get("/api/v1/models") },
    { needs: "inference", request: () => get("/api/v0/models") },
    { needs: "inference", request: () => post("/api/v0/chat/completions", chatBody) },
    { needs: "models:manage", request: () => post(load, { model: model.key }) },
    { needs: "models:manage", request: () => post(unload, { instance_id: "a" }) },
    { needs: "models:download", request: () => post("/api/v1/models/download", { model: "a/b" }) },
    { needs: "models:download", request: () => get("/api/v1/models/download/status/job_1") },
  ];
  const all: TokenPermission[] = ["inference", "models:manage", "models:download", "server:admin"];
  test.each(all)("a token with %s alone", async (held) => {
    const { pool, loads, unloads } = notingPool();
    const deps = { pool, tokens: tokens([held]) };
    const app = appWith({ settings: { requireAuth: true }, deps });
    for (const { needs, request } of routes) {
      const asked = request();
      asked.headers.set("authorization", "Bearer sk-lm-aaaaaaaa:aaaaaaaaaaaaaaaaaaaa");
      const { status } = await app.handle(asked);
      if (needs === held) expect([200, 404]).toContain(status);
      else expect(status).toBe(403);
    }
    expect(loads.length + unloads.length).toBe(held === "models:manage" ? 2 : 0);
  });
});

describe("T-A4: pages of other origins change nothing", () => {
  const rows = [
    { origin: "http://localhost:3000", management: 403, inference: 200 },
    { origin: "http://localhost:1234", management: 200, inference: 200 },
    { origin: "https://evil.example", management: 403, inference: 403 },
    { origin: "null", management: 403, inference: 403 },
    { origin: "vscode-webview://x", management: 200, inference: 200 },
  ];
  test.each(rows)("$origin", async ({ origin, management, inference }) => {
    const { pool } = notingPool();
    const app = appWith({ deps: { pool } });
    for (const [path, body] of [
      [load, { model: model.key }],
      [unload, { instance_id: "a" }],
      ["/api/v1/models/download", { model: "a/b" }],
    ] as const) {
      const response = await app.handle(post(path, body, { origin }));
      expect(response.status).toBe(management);
      if (management === 403) await failureOf(response);
    }
    const chat = await app.handle(
      post("/api/v1/chat", { model: model.key, input: "x" }, { origin }),
    );
    expect(chat.status).toBe(inference);
  });
});

describe("/api/v0", () => {
  const instances = [fakeInstance(model)];
  const v0 = (name: string) => `/api/v0/${name}`;

  test("lists what is installed, with what is loaded", async () => {
    const app = appWith({ models: [model, embedder], instances });
    const { data } = await bodyOf(await app.handle(get(v0("models"))), "V0ModelsResponse");
    expect(data).toMatchObject([
      {
        id: "acme/tiny",
        type: "llm",
        state: "loaded",
        loaded_context_length: 2048,
        capabilities: [],
      },
      { id: "acme/embed", type: "embeddings", state: "not-loaded" },
    ]);
    for (const id of ["acme/tiny", "acme%2Ftiny"]) {
      const one = await bodyOf(await app.handle(get(v0(`models/${id}`))), "V0Model");
      expect(one).toMatchObject({ id: "acme/tiny" });
    }
    const missing = await app.handle(get(v0("models/nope")));
    expect(missing.status).toBe(404);
    expect(await errorOf(missing)).toMatchObject({
      type: "invalid_request_error",
      code: "model_not_found",
    });
  });

  const timings = { ...done.timings, ttftMs: 120, queuedMs: 20, decodeMs: 500 };
  const generate = (over: Parameters<typeof finished>[0] = {}) =>
    play([
      started(),
      text('He said ,"finish_reason":"stop"'),
      finished(over),
      { type: "done", timings },
    ]);
  const stops: {
    name: string;
    over: Parameters<typeof finished>[0];
    body: object;
    reason: string;
  }[] = [
    { name: "the end token", over: {}, body: {}, reason: "eosFound" },
    { name: "a stop string", over: { stop: "x" }, body: {}, reason: "stopStringFound" },
    {
      name: "the bound",
      over: { reason: "length" },
      body: { max_tokens: 2 },
      reason: "maxPredictedTokensReached",
    },
    {
      name: "the context",
      over: { reason: "length" },
      body: { max_tokens: -1 },
      reason: "contextLengthReached",
    },
    { name: "a call", over: { reason: "tool_calls" }, body: {}, reason: "toolCalls" },
  ];
  test.each(stops)("chat ends by $name", async ({ over, body, reason }) => {
    const app = appWith({ generate: generate(over), models: [model], instances });
    const response = await app.handle(post(v0("chat/completions"), { ...chatBody, ...body }));
    const { stats, model_info, runtime } = (await response.json()) as Json;
    expect(problemsOf("V0Extras", { stats, model_info, runtime })).toEqual([]);
    expect(stats).toEqual({
      tokens_per_second: 4,
      time_to_first_token: 0.1,
      generation_time: 0.5,
      stop_reason: reason,
    });
    expect(model_info).toEqual({
      arch: "llama",
      quant: "Q4_K_M",
      format: "gguf",
      context_length: 2048,
    });
  });

  test.each(["chat/completions", "completions"])(
    "%s streamed: the extras stand on the finish chunk",
    async (name) => {
      const app = appWith({ generate: generate(), models: [model], instances });
      const body = {
        ...chatBody,
        prompt: "P",
        stream: true,
        stream_options: { include_usage: true },
      };
      const frames = payloads(await (await app.handle(post(v0(name), body))).text()) as Json[];
      const carriers = frames.filter((frame) => typeof frame === "object" && "stats" in frame);
      expect(carriers).toHaveLength(1);
      const [carrier] = carriers;
      expect(carrier).toMatchObject({
        choices: [{ finish_reason: "stop" }],
        stats: { tokens_per_second: 4 },
      });
      const { stats, model_info, runtime } = carrier ?? {};
      expect(problemsOf("V0Extras", { stats, model_info, runtime })).toEqual([]);
      expect(frames.at(-1) as unknown).toBe("[DONE]");
    },
  );

  test("each choice of a stream tells its own end", async () => {
    const several = play([
      started(),
      text("a", 0),
      text("b", 1),
      finished({ choice: 1, reason: "length" }),
      finished({ choice: 0, stop: "x" }),
      { type: "done", timings },
    ]);
    const app = appWith({ generate: several, models: [model], instances });
    const endsOf = async (name: string, over: object) => {
      const body = { ...chatBody, stream: true, max_tokens: 2, ...over };
      const frames = payloads(await (await app.handle(post(v0(name), body))).text()) as {
        choices?: { index: number }[];
        stats?: { stop_reason: string };
      }[];
      return frames.flatMap(({ choices, stats }) =>
        stats === undefined ? [] : [`${choices?.[0]?.index} ${stats.stop_reason}`],
      );
    };
    const ends = ["1 maxPredictedTokensReached", "0 stopStringFound"];
    expect(await endsOf("chat/completions", { n: 2 })).toEqual(ends);
    const told = await endsOf("completions", { n: 2, prompt: ["P", "Q"] });
    const second = ["3 maxPredictedTokensReached", "2 stopStringFound"];
    expect(new Set(told)).toEqual(new Set([...ends, ...second]));
  });

  test("a whole answer tells the end of its first choice", async () => {
    const ends = [finished({ choice: 0 }), finished({ choice: 1, reason: "length" })];
    const app = appWith({ generate: play([started(), ...ends, done]), models: [model], instances });
    const response = await app.handle(post(v0("chat/completions"), { ...chatBody, n: 2 }));
    expect(await response.json()).toMatchObject({ stats: { stop_reason: "eosFound" } });
  });

  test("the same answers below /v1 have none of it, and unknown keys are ignored in both", async () => {
    const app = appWith({ models: [model], instances });
    for (const path of ["/v1/chat/completions", v0("chat/completions")]) {
      const response = await app.handle(post(path, { ...chatBody, foo: 1 }));
      expect(response.status).toBe(200);
      expect("runtime" in ((await response.json()) as Json)).toBe(path.startsWith("/api"));
    }
  });

  test("embeddings are as everywhere", async () => {
    const response = await appWith().handle(
      post(v0("embeddings"), { model: "acme/embed", input: "x" }),
    );
    expect((await response.json()) as Json).toMatchObject({ object: "list" });
  });

  test("errors have the OpenAI form, but not those in front of the route", async () => {
    const app = appWith();
    expect(await errorOf(await app.handle(post(v0("completions"), {})))).toMatchObject({
      type: "invalid_request_error",
      code: "missing_required_parameter",
    });
    expect(await failureOf(await app.handle(get(v0("nothing"))))).toMatchObject({
      message: "Unexpected endpoint or method. (GET /api/v0/nothing)",
    });
    expect(await failureOf(await app.handle(get("/api/v1/models/load")))).toMatchObject({
      type: "invalid_request",
    });
  });
});

test("bodies that are no JSON are refused in the native form", async () => {
  const app = appWith({ deps: { clock: new ManualClock() } });
  for (const [body, status] of [
    ["{", 400],
    ["[]", 400],
    ["", 400],
  ] as const) {
    const response = await app.handle(post("/api/v1/chat", body));
    expect(response.status).toBe(status);
    expect(await failureOf(response)).toMatchObject({ type: "invalid_request" });
  }
  const wrongType = await app.handle(post("/api/v1/chat", "{}", { "content-type": "text/plain" }));
  expect(wrongType.status).toBe(415);
  expect(await failureOf(wrongType)).toMatchObject({ type: "invalid_request" });
});
