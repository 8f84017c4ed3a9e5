import { describe, expect, test } from "bun:test";
import type { CatalogAdapter } from "../../src/catalog/model.ts";
import type { GenerateRequest } from "../../src/chat/events.ts";
import type { LoadRequest } from "../../src/pool/pool.ts";
import { LOAD_DEFAULTS } from "../support/pool-fixture.ts";
import {
  appWith,
  chatBody,
  done,
  errorOf,
  fakeDeps,
  fakeInstance,
  fakeModel,
  finished,
  get,
  play,
  post,
  started,
} from "./fakes.ts";
import { modelHeader } from "../support/model-header.ts";

const pirate: CatalogAdapter = {
  key: "pirate",
  displayName: "Pirate",
  path: "/models/pirate.gguf",
  sizeBytes: 1_000,
  modifiedMs: 0,
  architecture: "llama",
  source: "models-dir",
};

describe("lora of one request", () => {
  const routes = [
    ["/v1/chat/completions", chatBody],
    ["/v1/completions", { model: "acme/tiny", prompt: "x" }],
  ] as const;

  test.each(routes)("%s names adapters by number or name", async (path, body) => {
    const seen: GenerateRequest[] = [];
    const generate = play([started(), finished(), done], (request) => seen.push(request));
    const app = appWith({ generate });
    const asked: (object[] | null)[] = [[{ id: 1, scale: 0.5 }, { id: "pirate" }], [], null];
    for (const lora of asked) {
      const response = await app.handle(post(path, { ...body, lora }));
      expect(response.status).toBe(200);
      await response.text();
    }
    expect(seen.map(({ adapters }) => adapters)).toEqual([
      [
        { adapter: 1, scale: 0.5 },
        { adapter: "pirate", scale: 1 },
      ],
      undefined,
      undefined,
    ]);
  });

  test.each([
    ["a number that is negative", [{ id: -1, scale: 1 }], "lora[0].id"],
    ["a scale that is text", [{ id: 0, scale: "1" }], "lora[0].scale"],
    ["a scale beyond the range", [{ id: 0, scale: 101 }], "lora[0].scale"],
    ["no list", { id: 0, scale: 1 }, "lora"],
    ["too many", Array.from({ length: 65 }, (_, id) => ({ id, scale: 1 })), "lora"],
  ])("%s is refused by name", async (_name, lora, param) => {
    const response = await appWith({}).handle(post(routes[0][0], { ...chatBody, lora }));
    expect(response.status).toBe(400);
    expect((await errorOf(response)).param).toBe(param);
  });
});

describe("lora of a load", () => {
  function loading(settings: object) {
    const loads: LoadRequest[] = [];
    const { catalog, pool } = fakeDeps();
    const app = appWith({
      settings,
      deps: {
        catalog: { ...catalog, adapters: async () => [pirate] },
        pool: {
          ...pool,
          load: async (model, request) => {
            loads.push(request);
            return fakeInstance(model, { jit: false });
          },
        },
      },
    });
    const ask = (lora: unknown) =>
      app.handle(post("/api/v1/models/load", { model: fakeModel().key, lora }));
    return { loads, ask, app };
  }

  test("names installed adapters; their files come from the catalogue", async () => {
    const { loads, ask } = loading({ restExtensions: true });
    expect((await ask([{ id: "Pirate", scale: 0.25 }, { id: "pirate" }])).status).toBe(200);
    const file = { name: "pirate", path: pirate.path, sizeBytes: 1_000 };
    expect(loads).toEqual([
      {
        adapters: [
          { ...file, scale: 0.25 },
          { ...file, scale: 1 },
        ],
      },
    ]);
  });

  test.each(["/etc/passwd", "/models/pirate.gguf", "../pirate", "parrot"])(
    "%s is no installed adapter: nothing is loaded",
    async (id) => {
      const { loads, ask } = loading({ restExtensions: true });
      const response = await ask([{ id }]);
      expect(response.status).toBe(400);
      const error = await errorOf(response);
      expect(error.param).toBe("lora[0].id");
      expect(error.message).toContain("installed are pirate");
      expect(loads).toEqual([]);
    },
  );

  test("without extensions it is an unknown key, as in LM Studio", async () => {
    const { ask } = loading({});
    expect((await errorOf(await ask([{ id: "pirate" }]))).code).toBe("unrecognized_keys");
  });

  test("installed adapters are listed without their paths", async () => {
    const response = await loading({}).app.handle(get("/api/lmserver/adapters"));
    expect(await response.json()).toEqual({
      adapters: [
        {
          key: "pirate",
          display_name: "Pirate",
          architecture: "llama",
          size_bytes: 1_000,
          source: "models-dir",
        },
      ],
    });
  });
});

describe("experts of a load", () => {
  const header = modelHeader({ expertCount: 8 });
  const mixture = fakeModel({ key: "mixture", architecture: "qwen3moe", header });

  test("a number of experts is applied and echoed where there are some, never more", async () => {
    const { pool } = fakeDeps();
    const loads: LoadRequest[] = [];
    const load: typeof pool.load = async (model, request) => {
      loads.push(request);
      const settings = { ...LOAD_DEFAULTS, ...request };
      return fakeInstance(model, { jit: false, settings });
    };
    const app = appWith({ models: [mixture, fakeModel()], deps: { pool: { ...pool, load } } });
    const ask = (model: string, num_experts: number) =>
      app.handle(post("/api/v1/models/load", { model, num_experts, echo_load_config: true }));
    const applied = await ask("mixture", 4);
    expect(applied.headers.get("x-lmserver-warning")).toBeNull();
    expect(await applied.json()).toMatchObject({ load_config: { num_experts: 4 } });
    const refused = await ask("mixture", 9);
    expect([refused.status, (await errorOf(refused)).param]).toEqual([400, "num_experts"]);
    const none = await ask(fakeModel().key, 4);
    expect(none.headers.get("x-lmserver-warning")).toContain("num_experts");
    expect(await none.json()).not.toHaveProperty("load_config.num_experts");
    expect(loads).toEqual([{ experts: { architecture: "qwen3moe", used: 4 } }, {}]);
  });
});

describe("tuning of a load", () => {
  test("threads that no processor is there for are told", async () => {
    const app = appWith({ settings: { restExtensions: true } });
    const ask = (threads: number) =>
      app.handle(post("/api/v1/models/load", { model: fakeModel().key, threads }));
    const computing = fakeInstance(fakeModel()).info?.threads ?? 0;
    const enough = await ask(computing);
    expect([enough.status, enough.headers.get("x-lmserver-warning")]).toEqual([200, null]);
    const many = await ask(500);
    expect(many.headers.get("x-lmserver-warning")).toStartWith(
      `threads: 500 asked for, ${computing} compute`,
    );
  });

  const fields = {
    threads: 2,
    cache_type_k: "q8_0",
    cache_type_v: "q4_0",
    rope_freq_base: 1_000_000,
    rope_freq_scale: 0.5,
  };
  const loading = async (body: object) => {
    const { pool } = fakeDeps();
    const loads: LoadRequest[] = [];
    const load: typeof pool.load = async (model, request) => {
      loads.push(request);
      return fakeInstance(model, { jit: false });
    };
    const app = appWith({ settings: { restExtensions: true }, deps: { pool: { ...pool, load } } });
    const model = fakeModel().key;
    return { loads, response: await app.handle(post("/api/v1/models/load", { model, ...body })) };
  };

  test("threads, types of the cache and positions reach the pool", async () => {
    const { loads, response } = await loading(fields);
    expect(response.status).toBe(200);
    expect(loads).toEqual([
      {
        threads: 2,
        kvTypeK: "q8_0",
        kvTypeV: "q4_0",
        ropeFreqBase: 1_000_000,
        ropeFreqScale: 0.5,
      },
    ]);
  });

  test("a quantised cache of values without flash attention is refused before anything is read", async () => {
    const asked = { cache_type_v: "q4_0", flash_attention: false };
    const { loads, response } = await loading(asked);
    expect([response.status, (await errorOf(response)).param]).toEqual([400, "cache_type_v"]);
    expect(loads).toEqual([]);
    expect((await loading({ ...asked, cache_type_v: "f16" })).response.status).toBe(200);
  });

  test.each([
    ["threads", 0],
    ["cache_type_k", "q9_9"],
    ["rope_freq_scale", 0],
    ["rope_freq_base", "1"],
  ])("%s of %p is refused by name", async (name, value) => {
    const { loads, response } = await loading({ [name]: value });
    expect([response.status, (await errorOf(response)).param]).toEqual([400, name]);
    expect(loads).toEqual([]);
  });
});
