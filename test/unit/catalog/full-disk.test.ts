import { expect, spyOn, test } from "bun:test";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { DownloadManager } from "../../../src/catalog/download/download-manager.ts";
import { downloadsFrom } from "../../support/download-fixture.ts";
import { FakeHub, noise, sha256 } from "../../support/fake-hub.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { tempFolder } from "../../support/temp-folder.ts";
import { until } from "../../support/until.ts";

const CONTENT = noise(400_000);
const LOOK_MS = 30_000;

/** Refuses every write of this process until it is disposed. */
async function fullDisk(): Promise<Disposable> {
  const handle = await open(import.meta.path);
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const error = Object.assign(new Error("no space left on device"), {
    code: "ENOSPC",
    syscall: "write",
  });
  const spy = spyOn(prototype, "write").mockRejectedValue(error);
  return { [Symbol.dispose]: () => spy.mockRestore() };
}

async function begin(downloads: DownloadManager): Promise<string> {
  const request = { model: "o/m", quantization: null, owner: null, allowAnyHost: false };
  const job = await downloads.start(request);
  if (job.state === "already_downloaded") throw new Error("it was there already");
  return job.id;
}

/** A job that a full disk stopped, on a disk with `free.bytes` of room beside the spare. */
async function stopped(hub: FakeHub, modelsDir: string, recordsPath?: string) {
  hub.add("o/m/m.gguf", CONTENT);
  const clock = new ManualClock();
  const free = { bytes: 2 ** 40 };
  const options = {
    tools: { clock, connections: 1, freeBytes: () => Promise.resolve(free.bytes) },
    ...(recordsPath !== undefined && { recordsPath }),
  };
  const { downloads } = downloadsFrom(hub, modelsDir, options);
  {
    using _disk = await fullDisk();
    const id = await begin(downloads);
    await downloads.settled(id);
    free.bytes = 0;
    return { downloads, clock, free, id, options };
  }
}

test("a full disk pauses a download with the reason, and it goes on when there is room", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  const { downloads, clock, free, id } = await stopped(hub, folder.path);
  expect(downloads.status(id)).toMatchObject({
    state: "paused",
    failure: "m.gguf: the disk is full.",
    completedMs: null,
  });
  hub.requests.length = 0;
  clock.advance(LOOK_MS);
  await until(() => clock.pending === 1);
  expect([downloads.status(id)?.state, hub.requests]).toEqual(["paused", []]);
  free.bytes = 2 ** 40;
  clock.advance(LOOK_MS);
  await until(() => downloads.status(id)?.state !== "paused");
  expect(await downloads.settled(id)).toMatchObject({ state: "completed", failure: null });
  expect(sha256(readFileSync(join(folder.path, "o/m/m.gguf")))).toBe(sha256(CONTENT));
  expect(clock.pending).toBe(0);
});

test("a download that a full disk stopped goes on after a restart", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  const recordsPath = join(folder.path, "downloads.json");
  const modelsDir = join(folder.path, "models");
  const { downloads, clock, free, id, options } = await stopped(hub, modelsDir, recordsPath);
  await downloads.close();
  expect(clock.pending).toBe(0);
  const second = downloadsFrom(hub, modelsDir, options).downloads;
  await second.restore();
  expect(second.status(id)?.failure).toContain("the disk is full");
  free.bytes = 2 ** 40;
  clock.advance(LOOK_MS);
  await until(() => second.status(id)?.state !== "paused");
  expect(await second.settled(id)).toMatchObject({ state: "completed" });
});

test("a download that a person pauses stays paused, whatever room there is", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  const { downloads, clock, free, id } = await stopped(hub, folder.path);
  expect(await downloads.pause(id)).toMatchObject({ state: "paused", failure: null });
  free.bytes = 2 ** 40;
  clock.advance(LOOK_MS);
  await until(() => clock.pending === 0);
  expect(downloads.status(id)?.state).toBe("paused");
});

test("a paused download whose folder was removed begins from zero in a new one", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("o/m/sub/m.gguf", CONTENT);
  const held = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  hub.misbehave = async ({ range }) => {
    if ((range?.start ?? 0) < 2 * 65_536) return null;
    reached.resolve();
    await held.promise;
    return null;
  };
  const { downloads } = downloadsFrom(hub, folder.path, { tools: { connections: 1 } });
  const id = await begin(downloads);
  await reached.promise;
  await downloads.pause(id);
  held.resolve();
  rmSync(join(folder.path, "o"), { recursive: true });
  hub.requests.length = 0;
  await downloads.resume(id);
  expect(await downloads.settled(id)).toMatchObject({ state: "completed", failure: null });
  expect(hub.requests[0]?.range?.start).toBe(0);
  expect(existsSync(join(folder.path, "o/m/sub/m.gguf"))).toBe(true);
});
