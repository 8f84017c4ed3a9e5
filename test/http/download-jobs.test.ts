import { expect, test } from "bun:test";
import type { DownloadSnapshot } from "../../src/catalog/download/downloads.ts";
import { appWith, errorOf, fakeDeps, get, post } from "./fakes.ts";

const PATH = "/api/lmserver/downloads";
const settings = { apiKeys: ["one", "two"] };
const as = (key: string) => ({ authorization: `Bearer ${key}` });

function appWithJobs() {
  const jobs: DownloadSnapshot[] = [];
  const done: string[] = [];
  const change =
    (action: string, state: DownloadSnapshot["state"]) =>
    (id: string): DownloadSnapshot | null => {
      const job = jobs.find((one) => one.id === id);
      if (job === undefined) return null;
      done.push(`${action} ${id}`);
      return Object.assign(job, { state });
    };
  const { downloads } = fakeDeps();
  const app = appWith({
    settings,
    deps: {
      downloads: downloads && {
        ...downloads,
        async start({ owner, model }) {
          const job: DownloadSnapshot = {
            id: `job_${String(jobs.length).padStart(10, "0")}`,
            state: "downloading",
            owner,
            source: model,
            quantization: null,
            modelPath: `/${model}`,
            files: [],
            totalBytes: 100,
            downloadedBytes: 40,
            bytesPerSecond: 8,
            estimatedCompletionMs: null,
            startedMs: 0,
            completedMs: null,
            failure: null,
          };
          jobs.push(job);
          return job;
        },
        status: (id) => jobs.find((job) => job.id === id) ?? null,
        list: () => jobs,
        pause: async (id) => change("pause", "paused")(id),
        resume: async (id) => change("resume", "downloading")(id),
        cancel: async (id) => change("cancel", "failed")(id),
      },
    },
  });
  const begin = async (model: string, key: string): Promise<string> => {
    const response = await app.handle(post("/api/v1/models/download", { model }, as(key)));
    return ((await response.json()) as { job_id: string }).job_id;
  };
  const ask = (job_id: string, action: string, key: string) =>
    app.handle(post(`${PATH}/control`, { job_id, action }, as(key)));
  return { app, done, begin, ask };
}

test("each caller lists and changes its own jobs", async () => {
  const { app, done, begin, ask } = appWithJobs();
  const first = await begin("a/b", "one");
  const second = await begin("c/d", "two");
  const listed = await app.handle(get(PATH, as("one")));
  expect(await listed.json()).toEqual({
    downloads: [
      {
        job_id: first,
        status: "downloading",
        bytes_per_second: 8,
        total_size_bytes: 100,
        downloaded_bytes: 40,
        started_at: "1970-01-01T00:00:00.000Z",
        model: "a/b",
        quantization: null,
      },
    ],
  });
  for (const [action, status] of [
    ["pause", "paused"],
    ["resume", "downloading"],
    ["cancel", "failed"],
  ] as const) {
    const response = await ask(first, action, "one");
    expect(await response.json()).toMatchObject({ job_id: first, status });
  }
  expect(done).toEqual([`pause ${first}`, `resume ${first}`, `cancel ${first}`]);
  for (const [id, key] of [
    [second, "one"],
    [first, "two"],
    ["job_none", "one"],
  ] as const) {
    const refused = await ask(id, "cancel", key);
    expect([refused.status, (await errorOf(refused)).code]).toEqual([404, "job_not_found"]);
  }
  expect(done).toHaveLength(3);
});

test("another action, or none, is refused by name", async () => {
  const { begin, ask } = appWithJobs();
  const id = await begin("a/b", "one");
  const response = await ask(id, "explode", "one");
  expect([response.status, (await errorOf(response)).param]).toEqual([400, "action"]);
});
