import { expect, test } from "bun:test";
import { LmError } from "../../src/lib/errors.ts";
import type { EngineStatus } from "../../src/protocol/events.ts";
import { appWith, fakeDeps, fakeInstance, fakeModel, get } from "./fakes.ts";

const STATUS: EngineStatus = {
  slots: [
    {
      jobId: 7,
      choice: 1,
      state: "decode",
      promptTokens: 120,
      cachedTokens: 96,
      computedTokens: 139,
      generatedTokens: 20,
      miss: { reason: "differs", atToken: 96 },
    },
  ],
  parallel: 4,
  queued: 2,
  kvCells: 4_096,
  kvCellsUsed: 139,
  cache: {
    storedSequences: 3,
    treeNodes: 5,
    treeTokens: 800,
    archivedBlocks: 2,
    archivedBytes: 9_000,
    hits: { running: 1, stored: 2, archive: 3 },
    misses: { off: 4, empty: 5, differs: 6, whole: 7, lost: 8, full: 9, gone: 10 },
  },
  speculation: { draftedTokens: 40, acceptedTokens: 31 },
};

const busy = fakeInstance(fakeModel({ key: "acme/busy" }), {
  load: {
    step: 1,
    running: 1,
    queued: 2,
    kvCellsUsed: 139,
    kvCells: 4_096,
    promptTokens: 900,
    cachedTokens: 480,
    generatedTokens: 20,
  },
});
const ended = fakeInstance(fakeModel({ key: "acme/ended" }));
const app = (inspect: (identifier: string) => Promise<EngineStatus | null>) =>
  appWith({
    instances: [ended, busy],
    deps: { pool: { ...fakeDeps({ instances: [ended, busy] }).pool, inspect } },
  });

test("shows slots, queue, cells, cache sizes, hits and misses of each engine that answers", async () => {
  const answer = await app(async (identifier) => {
    if (identifier === "acme/busy") return STATUS;
    throw new LmError("engine_crashed", { model: identifier, cause: "gone" }, "gone");
  }).handle(get("/api/lmserver/slots"));
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({
    models: [
      {
        model: "acme/busy",
        answers: true,
        parallel: 4,
        queued: 2,
        kv_cells: 4096,
        kv_cells_used: 139,
        saved_tokens: 480,
        slots: [
          {
            state: "decode",
            job: 7,
            choice: 1,
            prompt_tokens: 120,
            cached_tokens: 96,
            computed_tokens: 139,
            generated_tokens: 20,
            miss: { reason: "differs", at_token: 96 },
          },
        ],
        cache: {
          stored_sequences: 3,
          tree_nodes: 5,
          tree_tokens: 800,
          archived_blocks: 2,
          archived_bytes: 9000,
          hits: { running: 1, stored: 2, archive: 3 },
          misses: { off: 4, empty: 5, differs: 6, whole: 7, lost: 8, full: 9, gone: 10 },
        },
        speculation: { drafted_tokens: 40, accepted_tokens: 31 },
      },
    ],
  });
});

test("an engine that does not answer in time is shown without its slots, a bug is not hidden", async () => {
  const late = await app(async () => {
    throw new DOMException("too late", "TimeoutError");
  }).handle(get("/api/lmserver/slots"));
  const { models } = (await late.json()) as { models: Record<string, unknown>[] };
  expect(models.map(({ model }) => model)).toEqual(["acme/busy", "acme/ended"]);
  expect(models[0]).toMatchObject({
    answers: false,
    parallel: busy.parallel,
    kv_cells: 4_096,
    kv_cells_used: 139,
    saved_tokens: 480,
    slots: [],
    cache: null,
  });
  const broken = await app(async () => {
    throw new TypeError("a bug");
  }).handle(get("/api/lmserver/slots"));
  expect(broken.status).toBe(500);
});
