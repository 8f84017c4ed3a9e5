import { describe, expect, test } from "bun:test";
import type { Generate } from "../../src/chat/events.ts";
import { Registry } from "../../src/http/metrics.ts";
import {
  appWith,
  assigned,
  chatBody,
  done,
  embedder,
  failWith,
  fakeDeps,
  fakeInstance,
  fakeModel,
  finished,
  get,
  post,
  started,
  text,
  timings,
} from "./fakes.ts";
import { LmError } from "../../src/lib/errors.ts";
import { type LogFields, silentLog } from "../../src/lib/log.ts";
import { memoryResponses } from "./lmstudio-cases.ts";
import { ManualClock } from "../support/manual-clock.ts";

const LINE = /^(?:# (?:HELP|TYPE) [a-z_]+ .+|[a-z_]+(?:\{.*\})? -?[0-9.e+-]+)$/;

type App = ReturnType<typeof appWith>;

async function scrape(app: App): Promise<Map<string, number>> {
  const response = await app.handle(get("/metrics"));
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const lines = (await response.text()).trimEnd().split("\n");
  for (const line of lines) expect(line).toMatch(LINE);
  return new Map(
    lines
      .filter((line) => !line.startsWith("#"))
      .map((line) => {
        const space = line.lastIndexOf(" ");
        return [line.slice(0, space), Number(line.slice(space + 1))];
      }),
  );
}

test("counts requests, tokens and latencies of a generation", async () => {
  const clock = new ManualClock();
  const app = appWith({
    deps: { clock },
    generate: async function* () {
      yield assigned;
      yield started();
      await clock.pass(30);
      yield text("a");
      await clock.pass(7);
      yield text("b");
      yield finished();
      yield done;
    },
  });
  await (await app.handle(post("/v1/chat/completions", { ...chatBody, stream: true }))).text();
  const values = await scrape(app);
  const model = '{model="acme/tiny"}';
  expect(values.get(`lmserver_prompt_tokens_total${model}`)).toBe(3);
  expect(values.get(`lmserver_cached_prompt_tokens_total${model}`)).toBe(1);
  expect(values.get(`lmserver_completion_tokens_total${model}`)).toBe(2);
  expect(values.get(`lmserver_time_to_first_token_seconds_sum${model}`)).toBeCloseTo(0.03);
  expect(values.get(`lmserver_inter_token_seconds_count${model}`)).toBe(1);
  expect(values.get('lmserver_inter_token_seconds_bucket{model="acme/tiny",le="0.005"}')).toBe(0);
  expect(values.get('lmserver_inter_token_seconds_bucket{model="acme/tiny",le="0.01"}')).toBe(1);
  expect(values.get('lmserver_inter_token_seconds_bucket{model="acme/tiny",le="+Inf"}')).toBe(1);
  expect(values.get('lmserver_generations_total{model="acme/tiny",outcome="done"}')).toBe(1);
  const request =
    'lmserver_http_requests_total{route="/v1/chat/completions",method="POST",status="200"}';
  expect(values.get(request)).toBe(1);
  expect(values.get("lmserver_sse_streams")).toBe(0);
  expect(values.get("lmserver_request_body_bytes")).toBe(0);
});

test("tokens of embeddings count for the model, whatever its instance is called", async () => {
  const { pool } = fakeDeps();
  const acquire: typeof pool.acquire = async (...wanted) => ({
    ...(await pool.acquire(...wanted)),
    identifier: "mine",
  });
  const app = appWith({ deps: { pool: { ...pool, acquire } } });
  const body = { model: embedder.key, input: "a" };
  expect((await app.handle(post("/v1/embeddings", body))).status).toBe(200);
  const series = [...(await scrape(app)).keys()].filter((key) =>
    key.includes("prompt_tokens_total"),
  );
  expect(series).toContain(`lmserver_prompt_tokens_total{model="${embedder.key}"}`);
  expect(series.join()).not.toContain("mine");
});

test("the first token of a generation is timed once, however many choices it has", async () => {
  const clock = new ManualClock();
  const app = appWith({
    deps: { clock },
    generate: async function* () {
      yield assigned;
      yield started();
      for (const choice of [1, 0, 2]) {
        await clock.pass(30);
        yield text("a", choice);
      }
      await clock.pass(7);
      yield text("b", 2);
      for (const choice of [0, 1, 2]) yield finished({ choice });
      yield done;
    },
  });
  await (await app.handle(post("/v1/chat/completions", { ...chatBody, n: 3 }))).text();
  const values = await scrape(app);
  const model = '{model="acme/tiny"}';
  expect(values.get(`lmserver_time_to_first_token_seconds_count${model}`)).toBe(1);
  expect(values.get(`lmserver_time_to_first_token_seconds_sum${model}`)).toBeCloseTo(0.03);
  expect(values.get(`lmserver_inter_token_seconds_count${model}`)).toBe(1);
});

describe("the tokens of an answer whose reader leaves count, and its log line says so", () => {
  /** Says so many words, then waits to be told to end. */
  const talking = (words: number, onStart: () => void): Generate =>
    async function* (_request, signal) {
      yield assigned;
      yield started();
      onStart();
      for (let left = words; left > 0 && !signal.aborted; left--) yield text("word ");
      while (!signal.aborted) await Bun.sleep(1);
      yield { type: "interrupted", completionTokens: 7, reasoningTokens: 0, timings };
      throw signal.reason;
    };

  function appThatTalks(words: number) {
    const lines: LogFields[] = [];
    const info = (message: string, fields?: LogFields): void => {
      if (message === "request") lines.push(fields ?? {});
    };
    const begun = Promise.withResolvers<void>();
    const generate = talking(words, begun.resolve);
    const app = appWith({ generate, deps: { log: { ...silentLog, info } } });
    const counted = async () => {
      while (lines.length === 0) await Bun.sleep(1);
      const log = lines.map(({ completionTokens, outcome }) => [completionTokens, outcome]);
      const values = await scrape(app);
      return {
        log,
        tokens: values.get('lmserver_completion_tokens_total{model="acme/tiny"}'),
        cancelled: values.get('lmserver_generations_total{model="acme/tiny",outcome="cancelled"}'),
        streams: values.get("lmserver_sse_streams") ?? 0,
      };
    };
    return { app, begun: begun.promise, counted };
  }

  const streams = [
    { where: "while the next word is computed", words: 3, prompt: "x", generations: 1 },
    { where: "while words wait to be read", words: 100, prompt: "x", generations: 1 },
    { where: "of several prompts", words: 3, prompt: ["a", "b", "c"], generations: 3 },
  ];
  test.each(streams)("a stream $where", async ({ words, prompt, generations }) => {
    const { app, counted } = appThatTalks(words);
    const response = await app.handle(post("/v1/completions", { prompt, stream: true }));
    const reader = response.body!.getReader();
    await reader.read();
    await reader.read();
    await reader.cancel();
    expect(await counted()).toEqual({
      tokens: 7 * generations,
      cancelled: generations,
      streams: 0,
      log: [[7 * generations, "cancelled"]],
    });
  });

  test("an answer that is not streamed", async () => {
    const { app, begun, counted } = appThatTalks(3);
    const leaving = new AbortController();
    const { signal } = leaving;
    const answer = app.handle(new Request(post("/v1/chat/completions", chatBody), { signal }));
    await begun;
    leaving.abort();
    await answer;
    expect(await counted()).toEqual({
      tokens: 7,
      cancelled: 1,
      streams: 0,
      log: [[7, "cancelled"]],
    });
  });
});

describe("a generation that ends before it begins counts", () => {
  const tooLong = new LmError(
    "context_length_exceeded",
    { promptTokens: 9, contextLength: 4, param: null },
    "Too long.",
  );
  const ends = [
    {
      how: "refused before its model is loaded",
      before: [{ type: "resolved", key: "acme/tiny" } as const],
      error: new LmError("queue_full", { queued: 1, limit: 1, retryAfterMs: 1 }, "Full."),
      outcome: "refused",
    },
    { how: "refused by its model", before: [assigned], error: tooLong, outcome: "refused" },
    { how: "a bug", before: [assigned], error: new Error("a bug"), outcome: "error" },
    {
      how: "a failure after the start",
      before: [assigned, started()],
      error: tooLong,
      outcome: "error",
    },
    { how: "refused without a model", before: [], error: tooLong, outcome: "refused", model: "" },
  ];
  test.each(ends)("$how", async ({ before, error, outcome, model = "acme/tiny" }) => {
    const logged: LogFields[] = [];
    const info = (_message: string, fields: LogFields = {}) => void logged.push(fields);
    const log = { ...silentLog, info };
    const app = appWith({ generate: failWith(error, before), deps: { log } });
    await app.handle(post("/v1/chat/completions", chatBody));
    expect(logged).toMatchObject([{ model: model === "" ? null : model, outcome }]);
    expect(generationsOf(await scrape(app))).toEqual([[model, outcome, 1]]);
  });

  test("as failed when the time of its request is over", async () => {
    const clock = new ManualClock();
    const waits = Promise.withResolvers<void>();
    const app = appWith({
      settings: { requestTimeoutMs: 1_000 },
      deps: { clock },
      generate: async function* (_request, signal) {
        yield* [assigned, started()];
        const left = new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason)),
        );
        waits.resolve();
        await left;
      },
    });
    const answer = app.handle(post("/v1/chat/completions", chatBody));
    await waits.promise;
    await clock.pass(1_000);
    expect((await answer).status).toBe(504);
    expect(generationsOf(await scrape(app))).toEqual([["acme/tiny", "error", 1]]);
  });

  const crash = new LmError("engine_crashed", { model: "acme/tiny", cause: "exit" }, "Ended.");
  test.each([
    { how: "a crash is the failure of all that ran", error: crash, others: "error" },
    { how: "a refusal of one cancels the others", error: tooLong, others: "cancelled" },
  ])("of several: $how", async ({ error, others }) => {
    const app = appWith({
      generate: async function* ({ input }, signal) {
        yield* [assigned, started()];
        if (
          input.kind === "prompt" &&
          input.prompt.kind === "text" &&
          input.prompt.text === "bad"
        ) {
          throw error;
        }
        await new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason)),
        );
      },
    });
    await app.handle(post("/v1/completions", { prompt: ["a", "bad"] }));
    const counted = new Map(
      generationsOf(await scrape(app)).map(([, outcome, count]) => [outcome, count]),
    );
    expect(counted).toEqual(
      others === "error"
        ? new Map([["error", 2]])
        : new Map([
            ["error", 1],
            [others, 1],
          ]),
    );
  });

  const many = Array.from({ length: 9 }, () => "a");
  const checked = [
    { how: "of which one was checked before it had its turn", prompt: many },
    { how: "that found the queue full and were checked then", prompt: ["a", "b"] },
  ];
  test.each(checked)("refused for its prompts, $how", async ({ prompt }) => {
    const logged: LogFields[] = [];
    const info = (_message: string, fields: LogFields = {}) => {
      logged.push(fields);
    };
    let running = 0;
    const app = appWith({
      generate: async function* () {
        yield assigned;
        if (running > 0)
          throw new LmError("queue_full", { queued: 1, limit: 1, retryAfterMs: 1 }, "Full.");
        running += 1;
        yield* [started(), finished(), done];
      },
      deps: {
        log: { ...silentLog, info },
        checkPrompts: async function* () {
          yield assigned;
          throw tooLong;
        },
      },
    });
    const answer = await app.handle(post("/v1/completions", { prompt, stream: true }));
    expect(answer.status).toBe(400);
    expect(logged).toMatchObject([{ status: 400, model: "acme/tiny", outcome: "refused" }]);
    expect(generationsOf(await scrape(app))).toContainEqual(["acme/tiny", "refused", 1]);
  });

  test("cancelled in the queue", async () => {
    const waits = Promise.withResolvers<void>();
    const app = appWith({
      generate: async function* (_request, signal) {
        yield assigned;
        const left = new Promise((_, reject) => signal.addEventListener("abort", reject));
        waits.resolve();
        await left;
      },
    });
    const leaving = new AbortController();
    const { signal } = leaving;
    const answer = app.handle(new Request(post("/v1/chat/completions", chatBody), { signal }));
    await waits.promise;
    leaving.abort();
    await answer;
    expect(generationsOf(await scrape(app))).toEqual([["acme/tiny", "cancelled", 1]]);
  });

  test("once, however often it finds the queue full beside others of its request", async () => {
    const prompt = ["a", "b", "c", "d"];
    let running = 0;
    const app = appWith({
      generate: async function* () {
        yield assigned;
        if (running > 0) {
          throw new LmError("queue_full", { queued: 1, limit: 1, retryAfterMs: 1 }, "Full.");
        }
        running += 1;
        await Bun.sleep(1);
        yield* [started(), finished(), done];
        running -= 1;
      },
    });
    expect((await app.handle(post("/v1/completions", { prompt }))).status).toBe(200);
    expect(generationsOf(await scrape(app))).toEqual([["acme/tiny", "done", 4]]);
    // Nobody was refused: those that found no room were tried again.
    expect((await scrape(app)).get("lmserver_queue_refused_total")).toBe(0);
    running = 1;
    expect((await app.handle(post("/v1/completions", { prompt: "a" }))).status).toBe(503);
    expect(generationsOf(await scrape(app))).toContainEqual(["acme/tiny", "refused", 1]);
  });
});

/** Model, outcome and number of each series. */
function generationsOf(values: Map<string, number>): (string | number)[][] {
  return [...values].flatMap(([series, value]) => {
    const [, model, outcome] =
      /^lmserver_generations_total\{model="(.*)",outcome="(.*)"\}$/.exec(series) ?? [];
    return model === undefined || outcome === undefined ? [] : [[model, outcome, value]];
  });
}

test("each number that the pool counts or an instance tells is a series of its own", async () => {
  const load = {
    step: 9,
    running: 2,
    queued: 1,
    kvCellsUsed: 10,
    kvCells: 2048,
    promptTokens: 0,
    cachedTokens: 55,
    generatedTokens: 0,
    speculation: { draftedTokens: 40, acceptedTokens: 31 },
    cache: {
      storedSequences: 3,
      treeNodes: 5,
      treeTokens: 700,
      archivedBlocks: 11,
      archivedBytes: 4096,
      hits: { running: 1, stored: 2, archive: 4 },
      misses: { off: 0, empty: 6, differs: 7, whole: 0, lost: 0, full: 0, gone: 0 },
    },
  };
  const instance = fakeInstance(fakeModel({ key: 'a"b\\c\nd' }), { load, running: 2, queued: 1 });
  const values = await scrape(appWith({ instances: [instance] }));
  const label = '{model="a\\"b\\\\c\\nd"}';
  for (const [name, value] of [
    ["lmserver_slots", 4],
    ["lmserver_requests_running", 2],
    ["lmserver_requests_queued", 1],
    ["lmserver_kv_cells_used", 10],
    ["lmserver_kv_cells", 2048],
    ["lmserver_model_memory_bytes", 6],
    ["lmserver_engine_up", 1],
    ["lmserver_speculation_drafted_tokens_total", 40],
    ["lmserver_speculation_accepted_tokens_total", 31],
  ] as const) {
    expect(values.get(name + label)).toBe(value);
  }
  const model = label.slice(1, -1);
  for (const [series, value] of [
    [`sequences{${model}}`, 3],
    [`tree_nodes{${model}}`, 5],
    [`tree_tokens{${model}}`, 700],
    [`archive_blocks{${model}}`, 11],
    [`archive_bytes{${model}}`, 4096],
    [`saved_tokens_total{${model}}`, 55],
    [`hits_total{${model},source="archive"}`, 4],
    [`misses_total{${model},reason="first differing token"}`, 7],
    [`misses_total{${model},reason="nothing stored"}`, 6],
  ] as const) {
    expect(values.get(`lmserver_prefix_cache_${series}`)).toBe(value);
  }
  expect(values.get("lmserver_engine_restarts_total")).toBe(2);
  expect(values.get("lmserver_cancel_steps_max")).toBe(1);
  expect(values.has('lmserver_engine_exits_total{reason="crashed"}')).toBe(true);
  expect(values.has('lmserver_cancel_total{stage="prefill"}')).toBe(true);
  expect(values.get("process_resident_memory_bytes")).toBeGreaterThan(0);
});

test("tells how many answers could not be stored", async () => {
  const responses = { ...memoryResponses(), notSaved: 3 };
  const values = await scrape(appWith({ deps: { responses } }));
  expect(values.get("lmserver_responses_not_saved_total")).toBe(3);
});

test("T-B10: names and paths of clients make no series", async () => {
  const app = appWith({
    generate: async function* ({ model }) {
      yield* [];
      throw new LmError(
        "model_not_found",
        { model: model ?? "", available: [], param: "model" },
        "x",
      );
    },
  });
  const ask = async (index: number): Promise<void> => {
    const odd = `m${index}"},x{y="\n`;
    await app.handle(post("/v1/chat/completions", { ...chatBody, model: odd }));
    await app.handle(get(`/v1/models/${encodeURIComponent(odd)}`));
    await app.handle(get(`/nowhere/${index}`));
    await app.handle(get("/v1/models", {}, index % 2 === 0 ? "PATCH" : "PUT"));
  };
  await ask(0);
  await scrape(app);
  const before = (await scrape(app)).size;
  for (let index = 1; index <= 2_500; index++) await ask(index);
  expect((await scrape(app)).size).toBe(before);
});

test("identifiers that clients choose make no series that stay", async () => {
  let number = 0;
  const app = appWith({
    generate: async function* () {
      number += 1;
      yield { ...assigned, model: `mine-${number}` };
      yield* [started({ model: `mine-${number}` }), text("a"), text("b"), finished(), done];
    },
  });
  const ask = async (): Promise<number> => {
    await (await app.handle(post("/v1/chat/completions", chatBody))).text();
    return (await scrape(app)).size;
  };
  await ask();
  const before = await ask();
  for (let times = 0; times < 20; times++) expect(await ask()).toBe(before);
  const values = await scrape(app);
  expect(values.get('lmserver_generations_total{model="acme/tiny",outcome="done"}')).toBe(22);
});

const full = (): LmError =>
  new LmError("queue_full", { queued: 1, limit: 1, retryAfterMs: 1 }, "Full.");
const refusals = [
  { where: "an answer", path: "/v1/chat/completions", body: chatBody },
  { where: "a stream", path: "/v1/chat/completions", body: { ...chatBody, stream: true } },
  { where: "an answer to several prompts", path: "/v1/completions", body: { prompt: ["a", "b"] } },
  { where: "a native chat", path: "/api/v1/chat", body: { model: "acme/tiny", input: "Hi" } },
  {
    where: "a native stream",
    path: "/api/v1/chat",
    body: { model: "acme/tiny", input: "Hi", stream: true },
  },
];
test.each(refusals)("a full queue counts once when a client is told: $where", async (ask) => {
  const app = appWith({ generate: failWith(full()) });
  expect((await scrape(app)).get("lmserver_queue_refused_total")).toBe(0);
  await (await app.handle(post(ask.path, { model: "acme/tiny", ...ask.body }))).text();
  expect((await scrape(app)).get("lmserver_queue_refused_total")).toBe(1);
});

test("can be switched off", async () => {
  const app = appWith({ settings: { metrics: false } });
  expect((await app.handle(get("/metrics"))).status).toBe(404);
});

test("an empty registry is an empty text, an unused counter keeps its header", () => {
  const registry = new Registry();
  expect(registry.render()).toBe("");
  registry.counter("x_total", "Things.");
  expect(registry.render()).toBe("# HELP x_total Things.\n# TYPE x_total counter\n");
});
