import { expect, test, setDefaultTimeout } from "bun:test";
import { existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeAdapter } from "../../scripts/make-model/make-adapter.ts";
import { addModel } from "../support/catalog-fixture.ts";
import { executableCommand } from "../support/executable.ts";
import { FakeHub, noise } from "../support/fake-hub.ts";
import { openTerminal } from "../support/pseudo-terminal.ts";
import { runCommand } from "../support/run-command.ts";
import { startServer } from "../support/server.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);

const CONTENT = noise(600_000);
const json = (text: string): unknown => JSON.parse(text);

test("get downloads without a server, plain lines on stderr, then finds it there", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("org/m-GGUF/m-Q4_K_M.gguf", CONTENT);
  const env = { HOME: folder.path, HF_ENDPOINT: hub.url };
  const path = join(folder.path, ".lmserver/models/org/m-GGUF/m-Q4_K_M.gguf");
  const first = await runCommand(["get", "org/m-GGUF@q4_k_m"], env);
  expect([first.code, first.stdout]).toEqual([0, `Download completed.\n${path}\n`]);
  expect(first.stderr).toMatch(/^Downloading 100% of 600\.00 KB$/m);
  expect(first.stderr).not.toContain("\u001b");
  expect(readFileSync(path).equals(Buffer.from(CONTENT))).toBe(true);
  const second = await runCommand(["get", "org/m-GGUF", "--json"], env);
  expect([second.code, second.stderr]).toEqual([0, ""]);
  expect(json(second.stdout)).toEqual({
    status: "already_downloaded",
    jobId: null,
    totalBytes: null,
    path,
  });
});

test("get goes on where Ctrl-C stopped it", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("org/m-GGUF/m-Q4_K_M.gguf", CONTENT);
  const env = { HOME: folder.path, HF_ENDPOINT: hub.url };
  const reached = Promise.withResolvers<void>();
  hub.misbehave = (request) => {
    if (request.range === null) return null;
    reached.resolve();
    const answer = hub.answer(request);
    return { ...answer, body: answer.body!.subarray(0, 1_000), ending: "hang" };
  };
  const child = Bun.spawn([...executableCommand(), "get", "org/m-GGUF"], {
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  await reached.promise;
  child.kill("SIGINT");
  expect(await child.exited).toBe(1);
  expect(await new Response(child.stderr).text()).toContain("the same command goes on with it");
  hub.misbehave = () => null;
  const { code, stdout } = await runCommand(["get", "org/m-GGUF", "--quiet"], env);
  expect(code).toBe(0);
  expect(stdout).toStartWith("Download completed.");
});

test("get draws a bar on a terminal, and plain lines there with NO_COLOR", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("org/m-GGUF/m-Q4_K_M.gguf", CONTENT);
  for (const [models, variables, isBar] of [
    ["a", {}, true],
    ["b", { NO_COLOR: "1" }, false],
  ] as const) {
    const env = { HOME: folder.path, HF_ENDPOINT: hub.url, ...variables };
    mkdirSync(join(folder.path, models));
    const words = ["get", "org/m-GGUF", "--models-dir", join(folder.path, models)];
    const terminal = openTerminal(words, env);
    await terminal.see("Download completed.");
    expect(await terminal.exited).toBe(0);
    expect(terminal.shown().includes("░")).toBe(isBar);
    terminal.close();
  }
});

test("get says what cannot be had, as a document with --json", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add("org/m-GGUF/m-Q4_K_M.gguf", CONTENT);
  const env = { HOME: folder.path, HF_ENDPOINT: hub.url };
  const none = await runCommand(["get", "org/none", "--json"], env);
  expect([none.code, none.stdout]).toEqual([1, ""]);
  expect(json(none.stderr)).toMatchObject({ error: { message: expect.any(String) } });
  const quant = await runCommand(["get", "org/m-GGUF@Q2_K", "--quiet"], env);
  expect(quant.code).toBe(1);
  expect(quant.stderr).toContain("Q4_K_M");
  expect((await runCommand(["get"], env)).code).toBe(2);
  expect((await runCommand(["get", "org/m-GGUF", "--detach"], env)).code).toBe(3);
});

test("get lets a running server download, waits for it or leaves it to it", async () => {
  await using hub = await FakeHub.start();
  hub.add("org/m-GGUF/m-Q4_K_M.gguf", CONTENT);
  hub.add("org/n-GGUF/n-Q4_K_M.gguf", CONTENT);
  const server = await startServer({ env: { HF_ENDPOINT: hub.url } });
  try {
    const state = ["--state-dir", join(server.home, "state")];
    const env = { HOME: server.home };
    const waited = await runCommand(["get", "org/m-GGUF@Q4_K_M", ...state], env);
    expect([waited.code, waited.stdout]).toEqual([0, "Download completed.\n"]);
    const path = join(server.home, "models/org/m-GGUF/m-Q4_K_M.gguf");
    expect(readFileSync(path).equals(Buffer.from(CONTENT))).toBe(true);
    const again = await runCommand(["get", "org/m-GGUF", "--json", ...state], env);
    expect(json(again.stdout)).toMatchObject({ status: "already_downloaded" });
    const left = await runCommand(["get", "org/n-GGUF", "--detach", ...state], env);
    expect(left.stdout).toMatch(
      /^(The server downloads it: job_[0-9a-f]{10}|Download completed\.)\n$/,
    );
    await until(
      () => existsSync(join(server.home, "models/org/n-GGUF/n-Q4_K_M.gguf")),
      "the download",
    );
    const none = await runCommand(["get", "org/none", ...state], env);
    expect(none.code).toBe(1);
  } finally {
    await server.stop();
  }
});

test("import moves, copies and links; a dry run changes nothing", async () => {
  using folder = tempFolder();
  const env = { HOME: folder.path };
  const models = join(folder.path, ".lmserver/models");
  const file = addModel(folder.path, "Nice-7B-Q4_K_M.gguf");
  const words = ["import", file, "--user-repo", "me/nice"];
  const target = join(models, "me/nice/Nice-7B-Q4_K_M.gguf");
  const dry = await runCommand([...words, "--dry-run", "--json"], env);
  expect(json(dry.stdout)).toEqual({
    path: target,
    files: [{ from: file, to: target }],
    dryRun: true,
  });
  expect(existsSync(target)).toBe(false);
  const linked = await runCommand([...words, "-l"], env);
  expect(linked).toEqual({ code: 0, stdout: `Imported to ${target}\n`, stderr: "" });
  expect(lstatSync(target).isSymbolicLink()).toBe(true);
  expect((await runCommand([...words, "--copy"], env)).code).toBe(1);
  const moved = await runCommand(["import", file, "--user-repo", "me/other"], env);
  expect(moved.code).toBe(0);
  expect(existsSync(file)).toBe(false);
  expect((await runCommand([...words, "-c", "-L"], env)).code).toBe(2);
  expect((await runCommand(["import"], env)).code).toBe(2);
  expect((await runCommand(["import", join(folder.path, "none.gguf")], env)).code).toBe(1);
});

test.each([
  ["get", ["get", "org/m-GGUF"]],
  ["import", ["import", "model.gguf"]],
  ["rm", ["rm", "m", "--yes"]],
])("%s does not create a models folder whose name is mistyped", async (_verb, words) => {
  using folder = tempFolder();
  const missing = join(folder.path, "mistyped");
  const env = { HOME: folder.path, HF_ENDPOINT: "http://127.0.0.1:1" };
  addModel(folder.path, "model.gguf");
  const { code, stderr } = await runCommand([...words, "--models-dir", missing], env);
  expect([code, stderr]).toEqual([2, `error: --models-dir: ${missing} does not exist\n`]);
  expect(existsSync(missing)).toBe(false);
});

test("rm deletes with --yes, asks at a terminal, and refuses where nobody can be asked", async () => {
  using folder = tempFolder();
  const env = { HOME: folder.path };
  const models = join(folder.path, ".lmserver/models");
  const first = addModel(models, "pub/First-7B/First-7B-Q4_K_M.gguf");
  const second = addModel(models, "pub/Second-7B/Second-7B-Q4_K_M.gguf");
  writeFileSync(join(models, "note.txt"), "stays");
  const words = ["rm", "first-7b", "--no-demo"];
  const refused = await runCommand(words, env);
  expect([refused.code, existsSync(first)]).toEqual([2, true]);
  expect(refused.stderr).toContain("--yes");
  const done = await runCommand([...words, "--yes", "--json"], env);
  expect(json(done.stdout)).toMatchObject({ removed: "first-7b", files: [first] });
  expect(existsSync(join(models, "pub/First-7B"))).toBe(false);
  for (const [answer, code, isLeft] of [
    ["n\r", 1, true],
    ["\u0003", 1, true],
    ["y\r", 0, false],
  ] as const) {
    const terminal = openTerminal(["rm", "second-7b", "--no-demo"], env);
    await terminal.see("[y/N] ");
    terminal.type(answer);
    expect(await terminal.exited).toBe(code);
    expect(existsSync(second)).toBe(isLeft);
    terminal.close();
  }
  expect(existsSync(join(models, "note.txt"))).toBe(true);
  expect((await runCommand([...words, "--yes"], env)).code).toBe(1);
  const adapter = join(models, "pub/Pirate/Pirate.gguf");
  mkdirSync(dirname(adapter), { recursive: true });
  makeAdapter({ path: adapter });
  const listed = await runCommand(["ls", "--no-demo"], env);
  expect(listed.stdout).toMatch(/^LORA ADAPTER +ARCH +SIZE +FROM\npirate +llama /m);
  const removed = await runCommand(["rm", "pirate", "--yes", "--no-demo"], env);
  expect(removed.stdout).toStartWith('Model "pirate" deleted');
  expect(existsSync(adapter)).toBe(false);
  const demo = await runCommand(["rm", "demo", "--yes"], env);
  expect([demo.code, demo.stderr]).toEqual([1, expect.stringContaining("built in")]);
});
