import { expect, test } from "bun:test";
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startServer, type TestServer } from "../support/server.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { until } from "../support/until.ts";

/** Stored prefixes of the product: what outlives it, and who may use what. */

const PROMPT = "Once upon a time there was a small house near the river. ".repeat(30);
const ON_DISK = ["--prefix-cache-disk", "64MiB"];

interface Answer {
  text: string;
  promptTokens: number;
  cachedTokens: number;
}

async function ask(server: TestServer, key = "", body: object = {}): Promise<Answer> {
  const response = await fetch(`${server.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({
      model: "demo",
      prompt: PROMPT,
      max_tokens: 12,
      temperature: 0,
      ...body,
    }),
  });
  expect(response.status).toBe(200);
  const answer = (await response.json()) as {
    choices: { text: string }[];
    usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
  };
  return {
    text: answer.choices[0]?.text ?? "",
    promptTokens: answer.usage.prompt_tokens,
    cachedTokens: answer.usage.prompt_tokens_details.cached_tokens,
  };
}

async function metric(server: TestServer, series: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const line = text.split("\n").find((each) => each.startsWith(`lmserver_prefix_cache_${series}`));
  return Number(line?.split(" ").at(-1) ?? Number.NaN);
}

const filesIn = (folder: string): string[] =>
  readdirSync(join(folder, "prefixes"), { recursive: true })
    .map((name) => join(folder, "prefixes", String(name)))
    .filter((path) => path.endsWith(".kv"));

test("a prompt is found again after a restart, by damage lost and never wrong", async () => {
  using folder = tempFolder();
  chmodSync(folder.path, 0o700);
  const start = () => startServer({ cacheDir: folder.path, args: ON_DISK });
  const first = await start();
  const cold = await ask(first);
  const without = await ask(first, "", { cache_prompt: false });
  await first.stop();
  expect(cold).toEqual({ ...without, cachedTokens: 0 });
  expect(cold.promptTokens).toBeGreaterThan(300);
  const files = filesIn(folder.path);
  expect(files.length).toBeGreaterThan(0);
  for (const path of files) expect(statSync(path).mode & 0o777).toBe(0o600);

  const second = await start();
  expect(await ask(second)).toEqual({ ...cold, cachedTokens: cold.promptTokens - 1 });
  expect(await metric(second, 'hits_total{model="demo",source="archive"}')).toBe(1);
  expect(await metric(second, "archive_blocks")).toBe(files.length);
  await second.stop();

  for (const path of files) {
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 255;
    writeFileSync(path, bytes);
  }
  const third = await start();
  expect(await ask(third)).toEqual(cold);
  expect(await metric(third, 'misses_total{model="demo",reason="not readable any more"}')).toBe(1);
  await third.stop();
}, 60_000);

test("a block that somebody made up, with its checksum, is a miss", async () => {
  using folder = tempFolder();
  chmodSync(folder.path, 0o700);
  const start = () => startServer({ cacheDir: folder.path, args: ON_DISK });
  const first = await start();
  const cold = await ask(first);
  await first.stop();
  for (const path of filesIn(folder.path)) forge(path);
  const second = await start();
  expect(await ask(second)).toEqual(cold);
  expect(await metric(second, 'misses_total{model="demo",reason="not readable any more"}')).toBe(1);
  const metrics = await (await fetch(`${second.url}/metrics`)).text();
  expect(metrics).toContain("\nlmserver_engine_starts_total 1\n");
  await second.stop();
}, 60_000);

/** Says that the state holds 268 million cells. */
function forge(path: string): void {
  const bytes = new Uint8Array(readFileSync(path));
  const view = new DataView(bytes.buffer);
  const stateAt = 24 + 4 * view.getUint32(8, true);
  view.setUint32(stateAt + 12, 0x0fff_ffff, true);
  const { xxHash64 } = Bun.hash;
  const checksum = xxHash64(bytes.subarray(stateAt), xxHash64(bytes.subarray(24, stateAt)));
  view.setBigUint64(16, checksum, true);
  writeFileSync(path, bytes);
}

test("keys share prefixes in memory and on disk only when the server joins them", async () => {
  using folder = tempFolder();
  chmodSync(folder.path, 0o700);
  const keys = ["--api-key", "key-one", "--api-key", "key-two"];
  const counts: number[] = [];
  const start = (more: readonly string[]) =>
    startServer({ cacheDir: folder.path, args: [...ON_DISK, ...keys, ...more] });
  const round = async (more: readonly string[], asked: readonly string[]): Promise<void> => {
    const server = await start(more);
    for (const key of asked) counts.push((await ask(server, key)).cachedTokens);
    await server.stop();
  };
  await round([], ["key-one", "key-two", "key-one"]);
  await round([], ["key-two"]);
  await round(["--shared-prefix-cache"], ["key-one", "key-two"]);
  const most = counts[2] ?? 0;
  expect(most).toBeGreaterThan(300);
  expect(counts).toEqual([0, 0, most, most, 0, most]);
}, 60_000);

test("a folder that cannot be used is told and counted once, and memory is used", async () => {
  using folder = tempFolder();
  chmodSync(folder.path, 0o700);
  writeFileSync(join(folder.path, "prefixes"), "");
  const server = await startServer({ cacheDir: folder.path, args: ON_DISK });
  await ask(server);
  await ask(server);
  await until(async () => (await metric(server, "archive_blocks")) > 0, "blocks in memory");
  expect(await metric(server, "disk_failures_total")).toBe(1);
  const told = /EEXIST.*computed prompts are not kept on disk/g;
  expect(server.stderr().match(told)).toHaveLength(1);
  await server.stop();
}, 60_000);

test("a lower cap holds from the start, and none at all leaves nothing", async () => {
  using folder = tempFolder();
  chmodSync(folder.path, 0o700);
  const start = (cap: string) =>
    startServer({ cacheDir: folder.path, args: ["--prefix-cache-disk", cap] });
  const bytes = (): number =>
    filesIn(folder.path)
      .map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0)
      .reduce((sum, size) => sum + size, 0);
  const filling = await start("64MiB");
  for (const letter of "abcdef") await ask(filling, "", { prompt: `${letter} ${PROMPT}` });
  await filling.stop();
  const cap = Math.floor(bytes() / 2);
  const lower = await start(`${cap}`);
  await until(() => bytes() <= cap, "half of it");
  await lower.stop();
  expect(filesIn(folder.path)).not.toEqual([]);
  const none = await start("0");
  await until(() => filesIn(folder.path).length === 0, "nothing");
  await none.stop();
}, 60_000);

test("nothing is written when the disk is off", async () => {
  using folder = tempFolder();
  chmodSync(folder.path, 0o700);
  const server = await startServer({
    cacheDir: folder.path,
    args: ["--prefix-cache-disk", "0"],
  });
  await ask(server);
  await server.stop();
  expect(readdirSync(folder.path)).not.toContain("prefixes");
}, 60_000);
