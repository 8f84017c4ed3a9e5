import { describe, expect, test } from "bun:test";
import type { GenerateRequest } from "../../src/chat/events.ts";
import { invalidRequest, LmError } from "../../src/lib/errors.ts";
import type { AcquireOptions, LoadRequest } from "../../src/pool/pool.ts";
import {
  appWith,
  chatBody,
  done,
  embedder,
  errorOf,
  fakeDeps,
  fakeInstance,
  fakeModel,
  finished,
  play,
  post,
  started,
  text,
} from "./fakes.ts";

const drafted = {
  ...done,
  timings: {
    ...done.timings,
    decodeMs: 500,
    drafts: { model: "small", total: 12, accepted: 8, rejected: 1, ignored: 3 },
  },
};
const stats = {
  draft_model: "small",
  total_draft_tokens_count: 12,
  accepted_draft_tokens_count: 8,
  rejected_draft_tokens_count: 1,
  ignored_draft_tokens_count: 3,
};
const small = fakeModel({ key: "small" });

test("stats tell of drafts where there was a draft model, and of nothing else", async () => {
  const answer = async (path: string, end: typeof drafted | typeof done) => {
    const app = appWith({ generate: play([started(), text("a"), finished(), end]) });
    return (await (await app.handle(post(path, chatBody))).json()) as { stats: object };
  };
  const plain = await answer("/v1/chat/completions", done);
  expect(plain.stats).toEqual({});
  const quick = await answer("/v1/chat/completions", drafted);
  expect(quick.stats).toMatchObject(stats);
  expect(quick.stats).toHaveProperty("tokens_per_second");
  const v0 = await answer("/api/v0/chat/completions", drafted);
  expect(v0.stats).toMatchObject(stats);
  expect(Object.keys((await answer("/api/v0/chat/completions", done)).stats)).not.toContain(
    "draft_model",
  );
});

test.each([
  ["/v1/chat/completions", chatBody],
  ["/v1/completions", { model: "acme/tiny", prompt: "x" }],
  ["/api/v0/chat/completions", chatBody],
])("%s hands the draft model's name on", async (path, body) => {
  const seen: GenerateRequest[] = [];
  const generate = play([started(), finished(), done], (request) => seen.push(request));
  const app = appWith({ generate });
  for (const draft_model of [fakeModel().key, null]) {
    await (await app.handle(post(path, { ...body, draft_model }))).text();
  }
  expect(seen.map(({ draftModel }) => draftModel)).toEqual([fakeModel().key, null]);
});

test("the warning that it is ignored begins with the client's field", async () => {
  const generate = play([started({ warnings: ["draftModel: it is ignored"] }), finished(), done]);
  const rest = { settings: { restExtensions: true } };
  const bodies: [string, object][] = [
    ["/v1/chat/completions", chatBody],
    ["/v1/completions", { prompt: "x" }],
    ["/api/v1/chat", { model: fakeModel().key, input: "x" }],
  ];
  for (const [path, body] of bodies) {
    const response = await appWith({ generate, ...rest }).handle(post(path, body));
    expect(response.headers.get("x-lmserver-warning")).toBe("draft_model: it is ignored");
  }
});

test("a chat of the native API refuses one before its stream begins", async () => {
  const app = appWith({ settings: { restExtensions: true } });
  const body = { model: fakeModel().key, input: "x", stream: true };
  const unknown = await app.handle(post("/api/v1/chat", { ...body, draft_model: "nope" }));
  expect(unknown.status).toBe(404);
  expect(await errorOf(unknown)).toMatchObject({ type: "model_not_found", param: "draft_model" });
  const unsuited = await app.handle(post("/api/v1/chat", { ...body, draft_model: embedder.key }));
  expect(await errorOf(unsuited)).toMatchObject({ code: "invalid_value", param: "draft_model" });
});

test("a chat of the native API loads it with its model, and tells nothing before it is accepted", async () => {
  const { catalog, pool } = fakeDeps();
  const find = async (name: string) => (name === "small" ? small : await catalog.find(name));
  const seen: (AcquireOptions | undefined)[] = [];
  const asking = (failure: LmError | null, fields: object) => {
    const acquire: typeof pool.acquire = async (model, signal, options) => {
      seen.push(options);
      if (failure !== null) throw failure;
      return await pool.acquire(model, signal, options);
    };
    const deps = { catalog: { ...catalog, find }, pool: { ...pool, acquire } };
    const app = appWith({ settings: { restExtensions: true }, deps });
    const body = { model: fakeModel().key, input: "x", stream: true, ...fields };
    return app.handle(post("/api/v1/chat", body));
  };
  const named = { draft_model: "small" };
  const draft = { model: small, maxTokens: 16, minTokens: 0, minProbability: 0 };
  for (const [fields, settings] of [[named, { draft }] as const, [{}, undefined] as const]) {
    expect(await (await asking(null, fields)).text()).toContain("event: model_load.end");
    expect(seen.pop()?.settings).toEqual(settings);
  }
  const unsuited = invalidRequest("draftModel", "invalid_value", "other tokens");
  const refused = await asking(unsuited, named);
  expect(refused.status).toBe(400);
  expect(await errorOf(refused)).toMatchObject({ code: "invalid_value", param: "draft_model" });
  const broken = new LmError("model_load_failed", { model: "m", reason: "r" }, "broken file");
  expect(await (await asking(broken, named)).text()).toMatch(
    /^event: chat\.start\n[^]*broken file/,
  );
});

describe("draft_model of a load", () => {
  function loading(settings: object) {
    const loads: LoadRequest[] = [];
    const { catalog, pool } = fakeDeps();
    const app = appWith({
      settings,
      deps: {
        catalog: {
          ...catalog,
          find: async (name) => (name === "small" ? small : await catalog.find(name)),
        },
        pool: {
          ...pool,
          load: async (model, request) => {
            loads.push(request);
            return fakeInstance(model, { jit: false });
          },
        },
      },
    });
    const ask = (fields: object) =>
      app.handle(post("/api/v1/models/load", { model: fakeModel().key, ...fields }));
    return { loads, ask };
  }

  test("names an installed model and how far it guesses", async () => {
    const { loads, ask } = loading({ restExtensions: true });
    expect((await ask({ draft_model: "small" })).status).toBe(200);
    const limits = { draft_max_tokens: 6, draft_min_tokens: 2, draft_min_probability: 0.5 };
    expect((await ask({ draft_model: "small", ...limits })).status).toBe(200);
    expect(loads.map(({ draft }) => draft)).toEqual([
      { model: small, maxTokens: 16, minTokens: 0, minProbability: 0 },
      { model: small, maxTokens: 6, minTokens: 2, minProbability: 0.5 },
    ]);
  });

  test("one that is unknown, limits that contradict, and a server without extensions refuse", async () => {
    const { loads, ask } = loading({ restExtensions: true });
    const unknown = await ask({ draft_model: "/etc/passwd" });
    expect(unknown.status).toBe(404);
    expect(await errorOf(unknown)).toMatchObject({ type: "model_not_found", param: "draft_model" });
    const limits = await ask({ draft_model: "small", draft_max_tokens: 2, draft_min_tokens: 3 });
    expect([limits.status, (await errorOf(limits)).param]).toEqual([400, "draft_min_tokens"]);
    const strict = await loading({}).ask({ draft_model: "small" });
    expect((await errorOf(strict)).code).toBe("unrecognized_keys");
    expect(loads).toEqual([]);
  });
});
