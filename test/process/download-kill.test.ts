import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { FakeHub, noise, sha256 } from "../support/fake-hub.ts";
import { tempFolder } from "../support/temp-folder.ts";

const CHILD = resolve(import.meta.dir, "../support/download-child.ts");
const CONTENT = noise(3_000_000);
const KILLS = 10;

function spawnDownload(hub: FakeHub, modelsDir: string) {
  return Bun.spawn([process.execPath, CHILD, modelsDir, "org/m-GGUF"], {
    env: { HF_ENDPOINT: hub.url },
    stdout: "pipe",
    stderr: "inherit",
  });
}

/** Where in its work the process dies: after so many answers, so many bytes into the last one. */
function killPoints(seed: number): { answers: number; bytes: number }[] {
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  return Array.from({ length: KILLS }, () => ({ answers: random(3), bytes: random(200_000) }));
}

test("a download killed at ten random points goes on, and ends with the same digest", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("org/m-GGUF/m-Q4_K_M.gguf", CONTENT);
  const seed = Date.now() >>> 0;
  console.log(`seed ${seed}`);
  for (const { answers, bytes } of killPoints(seed)) {
    const reached = Promise.withResolvers<void>();
    let passed = 0;
    hub.misbehave = (request) => {
      if (request.range === null) return null;
      passed += 1;
      if (passed <= answers) return null;
      reached.resolve();
      const answer = hub.answer(request);
      return { ...answer, body: answer.body!.subarray(0, bytes), ending: "hang" };
    };
    const child = spawnDownload(hub, folder.path);
    await Promise.race([reached.promise, child.exited]);
    child.kill("SIGKILL");
    await child.exited;
  }
  hub.misbehave = () => null;
  hub.requests.length = 0;
  const child = spawnDownload(hub, folder.path);
  const said: unknown = JSON.parse(await new Response(child.stdout).text());
  expect(said).toEqual({ state: "completed", failure: null });
  const path = join(folder.path, "org/m-GGUF/m-Q4_K_M.gguf");
  expect(sha256(readFileSync(path))).toBe(sha256(CONTENT));
  expect(readdirSync(join(path, ".."))).toEqual(["m-Q4_K_M.gguf"]);
}, 60_000);

test("what was journalled before the kill is not fetched again", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("org/m-GGUF/m-Q4_K_M.gguf", CONTENT);
  const reached = Promise.withResolvers<void>();
  let passed = 0;
  // Of twelve ranges eight arrive; the ninth is asked for after at least five were written.
  hub.misbehave = (request) => {
    if (request.range === null) return null;
    passed += 1;
    if (passed <= 8) return null;
    if (passed === 9) reached.resolve();
    return { ...hub.answer(request), body: new Uint8Array(), ending: "hang" };
  };
  const first = spawnDownload(hub, folder.path);
  await reached.promise;
  first.kill("SIGKILL");
  await first.exited;
  hub.misbehave = () => null;
  hub.requests.length = 0;
  const second = spawnDownload(hub, folder.path);
  expect(await second.exited).toBe(0);
  const asked = hub.requests.reduce(
    (sum, { range }) => sum + (range === null ? 0 : range.end - range.start),
    0,
  );
  expect(asked).toBeLessThan(CONTENT.length - 3 * 256 * 1024);
}, 60_000);
