import { expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { DownloadManager } from "../../../src/catalog/download/download-manager.ts";
import type { DownloadSnapshot } from "../../../src/catalog/download/downloads.ts";
import { download, downloadsFrom } from "../../support/download-fixture.ts";
import { FakeHub, noise, sha256 } from "../../support/fake-hub.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { tempFolder } from "../../support/temp-folder.ts";
import { until } from "../../support/until.ts";

const CONTENT = noise(400_000);
const request = (model: string, owner: string | null = null) => ({
  model,
  quantization: null,
  owner,
  allowAnyHost: false,
});

async function begin(downloads: DownloadManager, model: string): Promise<DownloadSnapshot> {
  const job = await downloads.start(request(model));
  if (job.state === "already_downloaded") throw new Error("it was there already");
  return job;
}

/** Lets the first `count` answers for files through, holds the others until opened. */
function gate(hub: FakeHub, count: number): { open: () => void; reached: Promise<void> } {
  const held = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  let passed = 0;
  hub.misbehave = async ({ path }) => {
    if (path.startsWith("/api/")) return null;
    passed += 1;
    if (passed > count) {
      reached.resolve();
      await held.promise;
    }
    return null;
  };
  return { open: () => held.resolve(), reached: reached.promise };
}

/** A job for `o/m` whose manager was closed before the first byte. @returns its id. */
async function interrupted(
  hub: FakeHub,
  modelsDir: string,
  options: { recordsPath: string },
): Promise<string> {
  const held = gate(hub, 0);
  const { downloads } = downloadsFrom(hub, modelsDir, options);
  const { id } = await begin(downloads, "o/m");
  await held.reached;
  await downloads.close();
  held.open();
  return id;
}

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  );

test("two requests for one model are one job, and a third finds it there", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m-Q4_0.gguf", CONTENT);
  const held = gate(hub, 0);
  const { downloads } = downloadsFrom(hub, folder.path);
  const [one, two] = await Promise.all([begin(downloads, "o/m"), begin(downloads, "o/m@q4_0")]);
  expect(one.id).toBe(two.id);
  expect(one.id).toMatch(/^job_[0-9a-f]{10}$/);
  expect(downloads.list()).toHaveLength(1);
  held.open();
  expect((await downloads.settled(one.id))?.state).toBe("completed");
  expect(await downloads.start(request("o/m"))).toEqual({
    state: "already_downloaded",
    source: "o/m",
    modelPath: join(folder.path, "o/m/m-Q4_0.gguf"),
  });
});

test("three jobs run at once, the others wait in line", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  const names = ["a", "b", "c", "d", "e"];
  for (const name of names) hub.add(`o/${name}/${name}.gguf`, CONTENT);
  const held = gate(hub, 0);
  const { downloads } = downloadsFrom(hub, folder.path);
  for (const name of names) await begin(downloads, `o/${name}`);
  const states = () => downloads.list().map(({ state }) => state);
  expect(states()).toEqual(["downloading", "downloading", "downloading", "queued", "queued"]);
  const waiting = downloads.list()[3]!;
  await downloads.pause(waiting.id);
  expect(states()[3]).toBe("paused");
  held.open();
  await until(() => states().filter((state) => state === "completed").length === 4);
  expect((await downloads.resume(waiting.id))?.state).toBe("downloading");
  expect((await downloads.settled(waiting.id))?.state).toBe("completed");
});

test("a paused job keeps what arrived, and goes on from there", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m.gguf", CONTENT);
  const held = gate(hub, 3);
  const { downloads } = downloadsFrom(hub, folder.path, { tools: { connections: 1 } });
  const { id } = await begin(downloads, "o/m");
  await held.reached;
  const paused = await downloads.pause(id);
  expect(paused).toMatchObject({ state: "paused", bytesPerSecond: null });
  expect(paused?.downloadedBytes).toBe(3 * 65_536);
  held.open();
  hub.requests.length = 0;
  await downloads.resume(id);
  expect((await downloads.settled(id))?.state).toBe("completed");
  expect(hub.requests[0]?.range?.start).toBe(3 * 65_536);
  expect(hub.requests[0]?.headers.get("if-range")).toStartWith('"');
  expect(sha256(readFileSync(join(folder.path, "o/m/m.gguf")))).toBe(sha256(CONTENT));
});

test("another process goes on where the first one was closed", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m.gguf", CONTENT);
  const held = gate(hub, 2);
  // Only closing writes the journal.
  const tools = { connections: 1, journalEveryBytes: Number.POSITIVE_INFINITY };
  const first = downloadsFrom(hub, folder.path, { tools }).downloads;
  await begin(first, "o/m");
  await held.reached;
  await first.close();
  expect(await failureOf(first.start(request("o/m")))).toMatchObject({
    message: expect.stringContaining("stopping"),
  });
  held.open();
  hub.requests.length = 0;
  const second = downloadsFrom(hub, folder.path).downloads;
  expect((await download(second, "o/m")).state).toBe("completed");
  const starts = hub.requests.flatMap(({ range }) => range?.start ?? []);
  expect(Math.min(...starts)).toBe(2 * 65_536);
});

test("a restart lists the jobs: what was under way is paused, and goes on under its id", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m.gguf", CONTENT);
  hub.add("o/done/done.gguf", noise(1_000));
  const recordsPath = join(folder.path, "downloads.json");
  const modelsDir = join(folder.path, "models");
  const options = { recordsPath, tools: { connections: 1, journalEveryBytes: 1 } };
  const first = downloadsFrom(hub, modelsDir, options).downloads;
  const done = await download(first, "o/done");
  const held = gate(hub, 2);
  const job = await first.start(request("o/m", "somebody"));
  if (job.state === "already_downloaded") throw new Error("it was there already");
  await held.reached;
  await until(() => (first.status(job.id)?.downloadedBytes ?? 0) >= 2 * 65_536);
  expect(statSync(recordsPath).mode & 0o777).toBe(0o600);

  // The first process says nothing more: it might have been killed.
  const second = downloadsFrom(hub, modelsDir, options).downloads;
  await second.restore();
  expect(second.list().map(({ id, state }) => [id, state])).toEqual([
    [done.id, "completed"],
    [job.id, "paused"],
  ]);
  expect(second.status(done.id)).toEqual(done);
  expect(second.status(job.id)).toMatchObject({
    owner: "somebody",
    source: "o/m",
    startedMs: job.startedMs,
    totalBytes: CONTENT.length,
  });
  expect(second.status(job.id)?.downloadedBytes).toBeGreaterThanOrEqual(65_536);

  await first.close();
  held.open();
  const again = await second.start(request("o/m"));
  expect(again).toMatchObject({ id: job.id, state: "downloading" });
  expect((await second.settled(job.id))?.state).toBe("completed");
  expect(sha256(readFileSync(join(modelsDir, "o/m/m.gguf")))).toBe(sha256(CONTENT));
  await second.close();
  const third = downloadsFrom(hub, modelsDir, options).downloads;
  await third.restore();
  expect(third.status(job.id)).toMatchObject({ state: "completed", failure: null });
});

test("a job whose files another process brought meanwhile is completed", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m.gguf", CONTENT);
  const options = { recordsPath: join(folder.path, "downloads.json") };
  const modelsDir = join(folder.path, "models");
  const id = await interrupted(hub, modelsDir, options);
  expect((await download(downloadsFrom(hub, modelsDir).downloads, "o/m")).state).toBe("completed");
  const second = downloadsFrom(hub, modelsDir, options).downloads;
  await second.restore();
  expect(second.status(id)).toMatchObject({ state: "completed", downloadedBytes: CONTENT.length });
});

test("a failed job that goes on is no failed one after a kill", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m.gguf", CONTENT);
  const options = { recordsPath: join(folder.path, "downloads.json") };
  const modelsDir = join(folder.path, "models");
  const first = downloadsFrom(hub, modelsDir, options).downloads;
  hub.misbehave = async ({ path }) => (path.startsWith("/api/") ? null : { status: 410 });
  const { id } = await begin(first, "o/m");
  expect((await first.settled(id))?.state).toBe("failed");
  const held = gate(hub, 0);
  await first.resume(id);
  await held.reached;
  // The first process says nothing more: it might have been killed.
  const second = downloadsFrom(hub, modelsDir, options).downloads;
  await second.restore();
  expect(second.status(id)?.state).toBe("paused");
  await first.close();
  held.open();
});

test("a restored job is resumed without asking the hub what there is", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m.gguf", CONTENT);
  const options = { recordsPath: join(folder.path, "downloads.json") };
  const modelsDir = join(folder.path, "models");
  const id = await interrupted(hub, modelsDir, options);
  hub.requests.length = 0;
  const second = downloadsFrom(hub, modelsDir, options).downloads;
  await second.restore();
  await second.resume(id);
  expect((await second.settled(id))?.state).toBe("completed");
  expect(hub.requests.filter(({ path }) => path.startsWith("/api/"))).toEqual([]);
});

test("a list of jobs that is broken, or leads elsewhere, brings none", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  const recordsPath = join(folder.path, "downloads.json");
  const modelsDir = join(folder.path, "models");
  const record = {
    id: "job_0123456789",
    state: "paused",
    owner: null,
    source: "o/m",
    quantization: null,
    folder: join(modelsDir, "o/m"),
    files: [{ name: "m.gguf", url: `${hub.url}/m.gguf`, sizeBytes: 9, sha256: null }],
    startedMs: 1,
    endedMs: null,
    failure: null,
  };
  mkdirSync(record.folder, { recursive: true });
  mkdirSync(`${modelsDir}-evil`);
  symlinkSync(`${modelsDir}-evil`, join(modelsDir, "link"));
  const restored = async (text: string): Promise<number> => {
    writeFileSync(recordsPath, text);
    const { downloads } = downloadsFrom(hub, modelsDir, { recordsPath });
    await downloads.restore();
    return downloads.list().length;
  };
  const listed = (changes: object): string =>
    JSON.stringify({ version: 1, jobs: [{ ...record, ...changes }] });
  expect(await restored(listed({}))).toBe(1);
  expect(await restored("{")).toBe(0);
  expect(await restored(listed({ folder: "/etc" }))).toBe(0);
  expect(await restored(listed({ folder: `${modelsDir}-evil` }))).toBe(0);
  expect(await restored(listed({ folder: `${modelsDir}/../models-evil` }))).toBe(0);
  expect(await restored(listed({ folder: join(modelsDir, "link") }))).toBe(0);
  expect(await restored(listed({ files: [{ ...record.files[0], name: "../m.gguf" }] }))).toBe(0);
  expect(await restored(listed({ id: "job_../../x" }))).toBe(0);
});

test.each([
  ["its ETag tells", {}],
  ["only the digest tells", { etag: null }],
])("a changed file is not mixed with what an earlier process left: %s", async (_, facts) => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m.gguf", CONTENT, facts);
  const held = gate(hub, 2);
  const first = downloadsFrom(hub, folder.path, { tools: { connections: 1 } }).downloads;
  await begin(first, "o/m");
  await held.reached;
  await first.close();
  held.open();
  const newer = noise(400_000, 7);
  hub.add("o/m/m.gguf", newer, facts);
  expect((await download(downloadsFrom(hub, folder.path).downloads, "o/m")).state).toBe(
    "completed",
  );
  expect(sha256(readFileSync(join(folder.path, "o/m/m.gguf")))).toBe(sha256(newer));
});

test("a cancelled job leaves no file, also not of the shards that were complete", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m-00001-of-00002.gguf", noise(65_536));
  hub.add("o/m/m-00002-of-00002.gguf", CONTENT);
  const held = gate(hub, 2);
  const { downloads } = downloadsFrom(hub, folder.path, { tools: { connections: 1 } });
  const { id } = await begin(downloads, "o/m");
  await held.reached;
  expect(existsSync(join(folder.path, "o/m/m-00001-of-00002.gguf"))).toBe(true);
  expect(await downloads.cancel(id)).toMatchObject({
    state: "failed",
    failure: "It was cancelled.",
  });
  held.open();
  expect(readdirSync(join(folder.path, "o/m"))).toEqual([]);
});

test("a job that is cancelled after a restart leaves no file either", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  for (const n of [1, 2, 3]) hub.add(`o/m/m-0000${n}-of-00003.gguf`, noise(65_536, n));
  const modelsDir = join(folder.path, "models");
  const options = { recordsPath: join(folder.path, "downloads.json"), tools: { connections: 1 } };
  const fileOf = (name: string) => join(modelsDir, "o/m", name);
  const held = gate(hub, 1);
  const first = downloadsFrom(hub, modelsDir, options).downloads;
  mkdirSync(join(modelsDir, "o/m"), { recursive: true });
  writeFileSync(fileOf("m-00003-of-00003.gguf"), noise(65_536, 3));
  const { id } = await begin(first, "o/m");
  await held.reached;
  // What a kill leaves: the list as it is now, and the lock of a process that is gone.
  const list = readFileSync(options.recordsPath);
  await first.close();
  held.open();
  writeFileSync(options.recordsPath, list);
  writeFileSync(fileOf("m-00002-of-00003.gguf.part.lock"), "999999999");
  const second = downloadsFrom(hub, modelsDir, options).downloads;
  await second.restore();
  expect(await second.cancel(id)).toMatchObject({ state: "failed" });
  expect(readdirSync(join(modelsDir, "o/m"))).toEqual(["m-00003-of-00003.gguf"]);
});

test("cancelling a job that failed leaves what a later one has completed", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  for (const n of [1, 2]) hub.add(`o/m/m-0000${n}-of-00002.gguf`, noise(65_536, n));
  const gone = { status: 404, headers: { "content-length": "0" } };
  hub.misbehave = ({ path }) =>
    path.includes("00002-of") && !path.startsWith("/api/") ? gone : null;
  const { downloads } = downloadsFrom(hub, folder.path, { tools: { connections: 1 } });
  const failed = await begin(downloads, "o/m");
  expect(await downloads.settled(failed.id)).toMatchObject({ state: "failed" });
  hub.misbehave = () => null;
  const whole = await begin(downloads, "o/m");
  expect(await downloads.settled(whole.id)).toMatchObject({ state: "completed" });
  expect(whole.id).not.toBe(failed.id);
  await downloads.cancel(failed.id);
  expect(readdirSync(join(folder.path, "o/m"))).toHaveLength(2);
});

test("cancelling leaves alone what another process is fetching", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m.gguf", CONTENT);
  const held = gate(hub, 1);
  const { downloads } = downloadsFrom(hub, folder.path, { tools: { connections: 1 } });
  const { id } = await begin(downloads, "o/m");
  await held.reached;
  await downloads.pause(id);
  held.open();
  writeFileSync(join(folder.path, "o/m/m.gguf.part.lock"), String(process.ppid));
  await downloads.cancel(id);
  expect(readdirSync(join(folder.path, "o/m")).toSorted()).toEqual([
    "m.gguf.part",
    "m.gguf.part.json",
    "m.gguf.part.lock",
  ]);
});

test("two quantisations share the projector they both need", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m-Q4_0.gguf", CONTENT);
  hub.add("o/m/m-Q8_0.gguf", CONTENT);
  hub.add("o/m/mmproj-F16.gguf", noise(300_000, 3));
  const { downloads } = downloadsFrom(hub, folder.path);
  const ends = await Promise.all([
    download(downloads, "o/m@q4_0"),
    download(downloads, "o/m@q8_0"),
  ]);
  expect(ends.map(({ failure }) => failure)).toEqual([null, null]);
  const fetched = hub.requests.filter(
    ({ path, range }) => path.includes("mmproj") && range?.start === 0,
  );
  expect(fetched).toHaveLength(1);
  expect(readdirSync(join(folder.path, "o/m")).sort()).toEqual([
    "m-Q4_0.gguf",
    "m-Q8_0.gguf",
    "mmproj-F16.gguf",
  ]);
});

test("cancelling one quantisation leaves the other the projector it is fetching", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m-Q4_0.gguf", noise(65_536));
  hub.add("o/m/m-Q8_0.gguf", noise(65_536, 2));
  hub.add("o/m/mmproj-F16.gguf", CONTENT);
  const held = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  let asked = 0;
  hub.misbehave = async ({ path, range }) => {
    if (!path.includes("mmproj") || range === null) return null;
    asked += 1;
    if (asked === 3) reached.resolve();
    if (asked >= 3) await held.promise;
    return null;
  };
  const { downloads } = downloadsFrom(hub, folder.path, { tools: { connections: 1 } });
  const one = await begin(downloads, "o/m@q4_0");
  await reached.promise;
  const two = await begin(downloads, "o/m@q8_0");
  await until(() => existsSync(join(folder.path, "o/m/m-Q8_0.gguf")));
  await downloads.cancel(two.id);
  held.resolve();
  expect((await downloads.settled(one.id))?.failure).toBeNull();
  expect(readdirSync(join(folder.path, "o/m")).sort()).toEqual(["m-Q4_0.gguf", "mmproj-F16.gguf"]);
});

test("progress only grows, also when a file has to begin anew", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m.gguf", CONTENT);
  const { downloads } = downloadsFrom(hub, folder.path, { tools: { connections: 1 } });
  const seen: number[] = [];
  hub.misbehave = (asked) => {
    seen.push(...downloads.list().map(({ downloadedBytes }) => downloadedBytes));
    if (asked.path.startsWith("/api/") || hub.requests.length > 6) return null;
    const { headers, ...answer } = hub.answer(asked);
    const etag = hub.requests.length < 5 ? '"old"' : '"new"';
    return { ...answer, headers: { ...headers, etag } };
  };
  hub.files.get("o/m/m.gguf")!.etag = '"new"';
  expect((await download(downloads, "o/m")).downloadedBytes).toBe(CONTENT.length);
  expect(seen.length).toBeGreaterThan(8);
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
});

test("speed is measured, and falls to nothing while nothing arrives", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m.gguf", CONTENT);
  const held = gate(hub, 3);
  const clock = new ManualClock();
  const { downloads } = downloadsFrom(hub, folder.path, { tools: { clock, connections: 1 } });
  const { id } = await begin(downloads, "o/m");
  await held.reached;
  clock.jump(2_000);
  const status = downloads.status(id)!;
  expect(status.bytesPerSecond).toBe((3 * 65_536) / 2);
  const leftMs = ((CONTENT.length - 3 * 65_536) / status.bytesPerSecond!) * 1_000;
  expect(status.estimatedCompletionMs).toBeCloseTo(clock.now() + leftMs);
  clock.jump(6_000);
  expect(downloads.status(id)).toMatchObject({ bytesPerSecond: 0, estimatedCompletionMs: null });
  await downloads.close();
  held.open();
});

test("a disk that is too small is said before anything is fetched", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m.gguf", CONTENT);
  const tools = { freeBytes: () => Promise.resolve(CONTENT.length + 1_000) };
  const { downloads } = downloadsFrom(hub, folder.path, { tools });
  expect(await failureOf(begin(downloads, "o/m"))).toMatchObject({
    code: "insufficient_disk",
    details: { neededBytes: CONTENT.length },
  });
  expect(hub.requests).toHaveLength(1);
});

test("ended jobs are known for a day", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m.gguf", CONTENT);
  const clock = new ManualClock();
  const { downloads } = downloadsFrom(hub, folder.path, { tools: { clock } });
  const { id } = await download(downloads, "o/m");
  clock.jump(23 * 3_600_000);
  expect(downloads.status(id)?.state).toBe("completed");
  clock.jump(2 * 3_600_000);
  expect(downloads.status(id)).toBeNull();
  expect(downloads.status("job_0000000000")).toBeNull();
});

test("a file that another process is fetching is left to it", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/m.gguf", CONTENT);
  const { downloads } = downloadsFrom(hub, folder.path);
  await Bun.write(join(folder.path, "o/m/m.gguf.part.lock"), String(process.ppid));
  const end = await download(downloads, "o/m");
  expect(end.failure).toContain(`process ${process.ppid} is downloading it`);
});
