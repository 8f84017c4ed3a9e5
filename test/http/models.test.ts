import { describe, expect, test } from "bun:test";
import { resolveModel, type ResolveOptions } from "../../src/chat/resolve-model.ts";
import type { CatalogModel, ModelKind } from "../../src/catalog/model.ts";
import { LmError } from "../../src/lib/errors.ts";
import type { InstanceStatus } from "../../src/pool/pool.ts";
import { createApp } from "../../src/http/app.ts";
import { appWith, embedder, errorOf, fakeDeps, fakeInstance, fakeModel, get } from "./fakes.ts";

const a = fakeModel({ key: "a" });
const b = fakeModel({ key: "org/b" });

interface Listed {
  id: string;
  state: string;
  context_length: number;
  loaded_context_length?: number;
}
interface List {
  object: string;
  data: Listed[];
  first_id: string | null;
  last_id: string | null;
}

async function list(options: Parameters<typeof appWith>[0]): Promise<List> {
  const response = await appWith(options).handle(get("/v1/models?limit=5"));
  expect(response.status).toBe(200);
  return (await response.json()) as List;
}

describe("GET /v1/models", () => {
  test("lists loaded ones first, each model once", async () => {
    const instances = [
      fakeInstance(b, { identifier: "mine" }),
      fakeInstance(b, { identifier: "mine:2", state: "loading", info: null }),
      fakeInstance(a, { state: "crashed" }),
    ];
    const { data, first_id, last_id } = await list({ models: [embedder, a, b], instances });
    expect(data.map(({ id, state }) => `${id} ${state}`)).toEqual([
      "mine loaded",
      "mine:2 loading",
      "a not-loaded",
      "acme/embed not-loaded",
    ]);
    expect(data[0]).toMatchObject({ context_length: 2048, loaded_context_length: 2048 });
    expect(data[2]).toMatchObject({ context_length: 4096 });
    expect([first_id, last_id]).toEqual(["mine", "acme/embed"]);
  });

  test("lists the demo last, whatever the others are called", async () => {
    const demo = fakeModel({ key: "demo", source: "demo" });
    const { data, last_id } = await list({ models: [b, demo, a], instances: [] });
    expect(data.map(({ id }) => id)).toEqual(["a", "org/b", "demo"]);
    expect(last_id).toBe("demo");
  });

  test("shows what changes between two answers: files, instances and their states", async () => {
    let models: readonly CatalogModel[] = [a];
    let instances: readonly InstanceStatus[] = [];
    const { catalog, pool } = fakeDeps();
    const app = createApp(
      fakeDeps({
        deps: {
          catalog: { ...catalog, list: async () => models },
          pool: { ...pool, instances: () => instances },
        },
      }),
    );
    const shown = async (): Promise<string[]> => {
      const { data } = (await (await app.handle(get("/v1/models"))).json()) as List;
      return data.map(({ id, state }) => `${id} ${state}`);
    };
    expect(await shown()).toEqual(["a not-loaded"]);
    expect(await shown()).toEqual(["a not-loaded"]);
    models = [a, b];
    expect(await shown()).toEqual(["a not-loaded", "org/b not-loaded"]);
    instances = [fakeInstance(b, { state: "loading", info: null })];
    expect(await shown()).toEqual(["org/b loading", "a not-loaded"]);
    instances = [fakeInstance(b)];
    expect(await shown()).toEqual(["org/b loaded", "a not-loaded"]);
    // The same names of another file.
    instances = [fakeInstance({ ...b, path: "/models/gone.gguf" })];
    expect(await shown()).toEqual(["org/b loaded", "a not-loaded", "org/b not-loaded"]);
    instances = [];
    expect(await shown()).toEqual(["a not-loaded", "org/b not-loaded"]);
  });

  test("without loading on request lists only what is loaded", async () => {
    const options = { models: [a, b], instances: [fakeInstance(b)], settings: { jit: false } };
    expect((await list(options)).data.map(({ id }) => id)).toEqual(["org/b"]);
  });

  test("is an empty list without models", async () => {
    expect(await list({ models: [] })).toMatchObject({
      object: "list",
      data: [],
      first_id: null,
      last_id: null,
    });
  });
});

describe("GET /v1/models/{id}", () => {
  const app = appWith({ models: [a, b], instances: [fakeInstance(a, { identifier: "my:2" })] });

  test.each([
    ["org/b", "org/b"],
    ["org%2Fb", "org/b"],
    ["org%2fb/", "org/b"],
    ["org/b@q4_0", "org/b"],
    ["org%2Fb%40q4_0", "org/b"],
    ["my:2", "my:2"],
    ["my%3A2", "my:2"],
  ])("%s is %s", async (path, id) => {
    const response = await app.handle(get(`/v1/models/${path}`));
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ id, object: "model" });
  });

  test("every name that a chat may use finds what would answer, however it is called in memory", async () => {
    const { catalog } = fakeDeps();
    const find = async (name: string) =>
      name.toLowerCase() === "claude-9" ? a : catalog.find(name);
    const aliased = appWith({
      models: [a, b],
      instances: [fakeInstance(a, { identifier: "Mine" }), fakeInstance(a, { identifier: "a:2" })],
      deps: { catalog: { ...catalog, list: async () => [a, b], find } },
    });
    const idOf = async (name: string): Promise<unknown> =>
      ((await (await aliased.handle(get(`/v1/models/${name}`))).json()) as { id: string }).id;
    expect(await idOf("claude-9")).toBe("Mine");
    expect(await idOf("mine")).toBe("Mine");
    expect(await idOf("A:2")).toBe("a:2");
  });

  test.each(["nope", "org%252Fb", "..%2f..%2fetc%2fpasswd", "%00", "a/b/c"])(
    "%s is unknown",
    async (path) => {
      const response = await app.handle(get(`/v1/models/${path}`));
      expect(response.status).toBe(404);
      expect(await errorOf(response)).toMatchObject({ code: "model_not_found", param: "model" });
    },
  );

  test.each(["%zz", "%", "%ff", "a%c0%af"])("%s is a malformed escape", async (path) => {
    const response = await app.handle(get(`/v1/models/${path}`));
    expect(response.status).toBe(400);
    expect((await errorOf(response)).code).toBe("invalid_value");
  });

  test("a name is shown without its control characters and not without end", async () => {
    const name = `\u001b]52;c;x\u0007\u202e${"x".repeat(500)}`;
    const response = await app.handle(get(`/v1/models/${encodeURIComponent(name)}`));
    const { message } = await errorOf(response);
    expect(message).not.toMatch(/[^\P{C}\n]/u);
    expect(message.length).toBeLessThan(250);
  });
});

describe("which model a name means", () => {
  const options: ResolveOptions = { jit: true, modelFallback: false, allowLlmEmbeddings: false };
  const other = fakeModel({ key: "other" });
  type Row = {
    name: string;
    asked: string | null;
    kind?: ModelKind;
    models?: CatalogModel[];
    instances?: InstanceStatus[];
    options?: Partial<ResolveOptions>;
    means: string;
  };
  const rows: Row[] = [
    { name: "its key", asked: "org/b", means: "org/b" },
    {
      name: "a loaded identifier comes before a key",
      asked: "org/b",
      instances: [fakeInstance(a, { identifier: "org/b" })],
      means: "a",
    },
    {
      name: "an identifier in other case",
      asked: "MINE",
      instances: [fakeInstance(a, { identifier: "mine" })],
      means: "a",
    },
    ...[null, "", "default"].flatMap((asked): Row[] => [
      {
        name: `${JSON.stringify(asked)} is the only loaded one`,
        asked,
        instances: [fakeInstance(b)],
        means: "org/b",
      },
      {
        name: `${JSON.stringify(asked)} is the only installed one`,
        asked,
        models: [a, embedder],
        means: "a",
      },
      {
        name: `${JSON.stringify(asked)} of several installed`,
        asked,
        means: "missing_required_parameter",
      },
      {
        name: `${JSON.stringify(asked)} of several loaded`,
        asked,
        models: [a],
        instances: [fakeInstance(a), fakeInstance(b)],
        means: "missing_required_parameter",
      },
    ]),
    { name: "an unknown name", asked: "nope", means: "model_not_found" },
    {
      name: "an unknown name, with fallback",
      asked: "nope",
      instances: [fakeInstance(b), fakeInstance(embedder)],
      options: { modelFallback: true },
      means: "org/b",
    },
    {
      name: "an unknown name, with fallback and two loaded",
      asked: "nope",
      instances: [fakeInstance(b), fakeInstance(other)],
      options: { modelFallback: true },
      means: "model_not_found",
    },
    ...[null, "default"].map((asked): Row => ({
      name: `${asked} to embed, where chat models may, beside one for embedding`,
      asked,
      kind: "embedding",
      models: [a, embedder],
      instances: [fakeInstance(a)],
      options: { allowLlmEmbeddings: true },
      means: "acme/embed",
    })),
    {
      name: "nothing to embed with but a chat model, where allowed",
      asked: null,
      kind: "embedding",
      models: [a],
      options: { allowLlmEmbeddings: true },
      means: "a",
    },
    { name: "the wrong kind", asked: "acme/embed", means: "unsupported_model" },
    { name: "a chat model to embed", asked: "a", kind: "embedding", means: "unsupported_model" },
    {
      name: "a chat model to embed, where allowed",
      asked: "a",
      kind: "embedding",
      options: { allowLlmEmbeddings: true },
      means: "a",
    },
    {
      name: "not loaded, without loading on request",
      asked: "a",
      options: { jit: false },
      means: "model_not_loaded",
    },
    {
      name: "loaded, without loading on request",
      asked: "a",
      instances: [fakeInstance(a)],
      options: { jit: false },
      means: "a",
    },
    {
      name: "a crashed instance is not loaded",
      asked: "a",
      instances: [fakeInstance(a, { state: "crashed" })],
      options: { jit: false },
      means: "model_not_loaded",
    },
  ];
  test.each(rows)("$name: $means", async (row) => {
    const models = row.models ?? [a, b, embedder];
    const sources = {
      catalog: {
        list: async () => models,
        find: async (name: string) => models.find(({ key }) => key === name) ?? null,
      },
      pool: { instances: () => row.instances ?? [] },
    };
    const found = await resolveModel(sources, row.asked, row.kind ?? "llm", {
      ...options,
      ...row.options,
    }).then(
      (model) => model.key,
      (error: LmError) => ("reason" in error.details ? error.details.reason : error.code),
    );
    expect(found).toBe(row.means);
  });
});
