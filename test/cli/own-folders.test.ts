import { afterAll, beforeAll, expect, test, setDefaultTimeout } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeAdapter } from "../../scripts/make-model/make-adapter.ts";
import { addModel } from "../support/catalog-fixture.ts";
import { FakeHub, noise } from "../support/fake-hub.ts";
import { runCommand } from "../support/run-command.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { tempFolder } from "../support/temp-folder.ts";

setDefaultTimeout(60_000);

const CONTENT = noise(100_000);
const json = (text: string): unknown => JSON.parse(text);

let hub: FakeHub;
let server: TestServer;
let state: string[];
/** Its second folder; the first receives downloads. */
const models = mkdtempSync(join(tmpdir(), "lmserver-own-folders-"));
const model = addModel(models, "pub/Nice-7B/Nice-7B-Q4_K_M.gguf");
const adapter = join(models, "pub/Pirate/Pirate.gguf");
beforeAll(async () => {
  mkdirSync(join(models, "pub/Pirate"), { recursive: true });
  makeAdapter({ path: adapter });
  hub = await FakeHub.start();
  hub.add("org/m-GGUF/m-Q4_K_M.gguf", CONTENT);
  const args = ["--load", "demo", "--models-dir", models];
  server = await startServer({ args, env: { HF_ENDPOINT: hub.url } });
  state = ["--state-dir", join(server.home, "state")];
});
afterAll(async () => {
  await server.stop();
  await hub[Symbol.asyncDispose]();
  rmSync(models, { recursive: true, force: true });
});

const sameFolders = (): string[] =>
  [join(server.home, "models"), models].flatMap((path) => ["--models-dir", path]);

/** Where this user's own folders are others than the server's, or unknown. */
const homes: readonly (readonly [string, Record<string, string>])[] = [
  ["with another HOME", { HOME: models }],
  ["with HOME unset", {}],
];

test.each(homes)("ls, ps and estimates look into the server's folders, %s", async (_name, env) => {
  const adapters = await runCommand(["ls", "--lora", "--json", ...state], env);
  expect(json(adapters.stdout)).toMatchObject([{ key: "pirate", path: adapter }]);
  const listed = await runCommand(["ls", "nice-7b", "--json", ...state], env);
  expect(json(listed.stdout)).toMatchObject([{ modelKey: "nice-7b", path: model }]);
  const loaded = await runCommand(["ps", "--json", ...state], env);
  expect([loaded.code, loaded.stderr]).toEqual([0, ""]);
  expect(json(loaded.stdout)).toMatchObject([{ path: expect.stringMatching(/demo\.gguf$/) }]);
  const words = ["load", "nice-7b", "--estimate-only", "--json"];
  const estimate = await runCommand([...words, ...state], env);
  expect(json(estimate.stdout)).toMatchObject({ modelKey: "nice-7b" });
});

test("folders that are named are looked into instead, by ls and estimates", async () => {
  using folder = tempFolder();
  const env = { HOME: folder.path };
  const elsewhere = ["--models-dir", folder.path, "--no-demo", ...state];
  expect((await runCommand(["ls", "--lora", "--json", ...elsewhere], env)).stdout).toBe("[]\n");
  expect((await runCommand(["ls", "--json", ...elsewhere], env)).stdout).toBe("[]\n");
  const words = ["load", "nice-7b", "--estimate-only"];
  expect((await runCommand([...words, ...elsewhere], env)).code).toBe(1);
  const listed = await runCommand(["ls", "demo", "--json", ...sameFolders(), ...state], env);
  expect(json(listed.stdout)).toMatchObject([{ modelKey: "demo", source: "demo" }]);
});

test("get fills the folder that is named, which the running server does not know", async () => {
  using folder = tempFolder();
  const env = { HOME: folder.path, HF_ENDPOINT: hub.url };
  const words = ["get", "org/m-GGUF", "--models-dir", folder.path];
  const { code, stdout } = await runCommand([...words, ...state], env);
  const path = join(folder.path, "org/m-GGUF/m-Q4_K_M.gguf");
  expect([code, stdout]).toEqual([0, `Download completed.\n${path}\n`]);
  expect(readFileSync(path).equals(Buffer.from(CONTENT))).toBe(true);
  expect(existsSync(join(server.home, "models/org"))).toBe(false);
  for (const where of [
    ["--detach", ...state],
    ["--port", String(server.port)],
  ]) {
    const refused = await runCommand([...words, ...where], env);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("--models-dir")]);
  }
  const there = await runCommand(["get", "org/m-GGUF", "--json", ...sameFolders(), ...state], env);
  expect(json(there.stdout)).toMatchObject({ status: "completed", jobId: expect.any(String) });
});
