import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isLocked, lockFile } from "../../../src/catalog/download/file-lock.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const CANCELLED = new Error("cancelled");
const never = new AbortController().signal;

test("a second job waits until the first gives the lock back", async () => {
  using folder = tempFolder();
  const path = join(folder.path, "m.gguf.part.lock");
  const unlock = await lockFile(path, never);
  let hasIt = false;
  const second = lockFile(path, never).then((release) => {
    hasIt = true;
    return release;
  });
  await Bun.sleep(0);
  expect([hasIt, await isLocked(path), existsSync(path)]).toEqual([false, true, true]);
  await unlock();
  await (
    await second
  )();
  expect([hasIt, await isLocked(path), existsSync(path)]).toEqual([true, false, false]);
});

test("who waits for a lock leaves when its signal aborts", async () => {
  using folder = tempFolder();
  const path = join(folder.path, "m.gguf.part.lock");
  const unlock = await lockFile(path, never);
  const stop = new AbortController();
  const waiting = lockFile(path, stop.signal);
  stop.abort(CANCELLED);
  expect(await waiting.catch((error: unknown) => error)).toBe(CANCELLED);
  await unlock();
});

test("who was cancelled before it came does not wait for a lock that another job holds", async () => {
  using folder = tempFolder();
  const path = join(folder.path, "m.gguf.part.lock");
  const unlock = await lockFile(path, never);
  const waiting = lockFile(path, AbortSignal.abort(CANCELLED));
  expect(await waiting.catch((error: unknown) => error)).toBe(CANCELLED);
  await unlock();
});
