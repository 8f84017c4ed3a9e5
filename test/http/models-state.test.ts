import { expect, test } from "bun:test";
import type { DownloadSnapshot } from "../../src/catalog/download/downloads.ts";
import { appWith, fakeDeps, fakeInstance, fakeModel, get } from "./fakes.ts";

const path = "/api/lmserver/models";
const job: DownloadSnapshot = {
  id: "job_0123456789",
  state: "paused",
  owner: null,
  source: "acme/new",
  quantization: "Q4_K_M",
  modelPath: "/models/acme/new/new-Q4_K_M.gguf",
  files: ["new-Q4_K_M.gguf"],
  totalBytes: 200,
  downloadedBytes: 50,
  bytesPerSecond: null,
  estimatedCompletionMs: null,
  startedMs: 0,
  completedMs: null,
  failure: null,
};

const cooldown = { reason: "killed by SIGSEGV", retryAfterMs: 30_000 };
test.each([null, cooldown])("what crashed is not in memory; its cool-down: %p", async (failure) => {
  const model = fakeModel();
  const { pool } = fakeDeps();
  const crashed = fakeInstance(model, { state: "crashed", info: null, jit: false });
  const instances = () => [crashed];
  const app = appWith({
    models: [model],
    deps: { pool: { ...pool, instances, cooldown: () => failure } },
  });
  const state = failure === null ? "on_disk" : "failed";
  const told = failure && { reason: failure.reason, retry_after_ms: failure.retryAfterMs };
  expect(await (await app.handle(get(path))).json()).toEqual({
    models: [{ key: model.key, state, progress: null, instances: [], failure: told }],
  });
});

test("each model has one state, with what belongs to it", async () => {
  const models = ["a", "b", "c", "d"].map((key) => fakeModel({ key, path: `/models/${key}.gguf` }));
  const [a, b, c] = models as [(typeof models)[0], (typeof models)[0], (typeof models)[0]];
  const { pool, downloads } = fakeDeps();
  const app = appWith({
    models,
    deps: {
      pool: {
        ...pool,
        instances: () => [
          fakeInstance(a),
          fakeInstance(a, { identifier: "a:2", state: "draining", running: 1 }),
          fakeInstance(b, { state: "loading", info: null, loadedFraction: 0.3 }),
        ],
        cooldown: (model) =>
          model === c ? { reason: "it is corrupt", retryAfterMs: 4_000 } : null,
      },
      downloads: downloads && {
        ...downloads,
        list: () => [
          job,
          { ...job, id: "job_1", state: "failed" },
          { ...job, id: "job_2", owner: "somebody else" },
          { ...job, id: "job_3", state: "completed", modelPath: a.path },
        ],
      },
    },
  });
  const nothing = { progress: null, instances: [], failure: null };
  expect(await (await app.handle(get(path))).json()).toEqual({
    models: [
      { ...nothing, key: "a", state: "loaded", instances: ["a", "a:2"] },
      { ...nothing, key: "b", state: "loading", instances: ["b"], progress: 0.3 },
      {
        ...nothing,
        key: "c",
        state: "failed",
        failure: { reason: "it is corrupt", retry_after_ms: 4_000 },
      },
      { ...nothing, key: "d", state: "on_disk" },
      { ...nothing, key: "acme/new@Q4_K_M", state: "downloading", progress: 0.25 },
    ],
  });
});

test("a model in memory is listed although its file was renamed or removed, once", async () => {
  const [here, gone] = ["here", "gone"].map((key) =>
    fakeModel({ key, path: `/models/${key}.gguf` }),
  ) as [ReturnType<typeof fakeModel>, ReturnType<typeof fakeModel>];
  const { pool } = fakeDeps();
  const instances = () => [
    fakeInstance(gone),
    fakeInstance({ ...gone }, { identifier: "gone:2" }),
    fakeInstance(here),
    fakeInstance(fakeModel({ key: "lost", path: "/models/lost.gguf" }), { state: "crashed" }),
  ];
  const app = appWith({ models: [here], deps: { pool: { ...pool, instances } } });
  const loaded = { state: "loaded", progress: null, failure: null };
  expect(await (await app.handle(get(path))).json()).toEqual({
    models: [
      { ...loaded, key: "here", instances: ["here"] },
      { ...loaded, key: "gone", instances: ["gone", "gone:2"] },
    ],
  });
});
