import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { childrenOf, startServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** The one file on its own: where it may lie, what it must not read, what it says when it cannot run. */

const BUILT = resolve(import.meta.dir, "../../dist/lmserver");
let folder: string;
let executable: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "lmserver-executable-"));
  chmodSync(folder, 0o755);
  executable = join(folder, "bin/lmserver");
  mkdirSync(join(folder, "bin"));
  copyFileSync(BUILT, executable);
  chmodSync(executable, 0o755);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

async function run(
  words: string[],
  options: { env?: Record<string, string>; cwd?: string; as?: string[] } = {},
): Promise<Run> {
  const child = Bun.spawn([...(options.as ?? []), executable, ...words], {
    env: options.env ?? {},
    cwd: options.cwd ?? folder,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

test("version says what is inside, and needs no HOME and no environment", async () => {
  const { code, stdout } = await run(["version", "--json"]);
  expect(code).toBe(0);
  const version = JSON.parse(stdout) as Record<string, unknown>;
  expect(version).toMatchObject({
    version: "0.1.0",
    engine: expect.stringMatching(/^llama\.cpp v/),
  });
});

test("settings files in the working folder are not read", async () => {
  const cwd = join(folder, "elsewhere");
  mkdirSync(cwd);
  writeFileSync(join(cwd, ".env"), "LMSERVER_PORT=notaport\nLMSERVER_BIND=0.0.0.0\n");
  writeFileSync(join(cwd, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
  writeFileSync(join(cwd, "evil.ts"), 'console.log("preloaded"); process.exit(77);\n');
  writeFileSync(join(cwd, "tsconfig.json"), "{ broken");
  const server = await startServer({ cwd });
  expect(server.url).toStartWith("http://127.0.0.1:");
  expect(server.stderr()).not.toContain("preloaded");
  expect(await server.stop()).toBe(0);
});

test("T-L7: libraries in the working folder are not loaded", async () => {
  const cwd = join(folder, "libraries");
  mkdirSync(cwd);
  // Those that llama.cpp's need and Bun does not bring.
  for (const name of ["libstdc++.so.6", "libgcc_s.so.1", "libggml-base.so"])
    writeFileSync(join(cwd, name), "planted");
  const server = await startServer({ cwd });
  const answer = await fetch(`${server.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "demo", prompt: "The quick", max_tokens: 2 }),
  });
  expect(await answer.text()).toContain("choices");
  expect(await server.stop()).toBe(0);
  const words = [
    "doctor",
    "--port",
    "0",
    "--state-dir",
    join(folder, "s7"),
    "--models-dir",
    folder,
  ];
  const { code, stdout } = await run([...words, "--cache-dir", join(folder, "c7")], { cwd });
  expect(stdout).not.toContain("planted");
  expect(code).toBe(0);
});

test("without HOME the folders must be named, and naming them is enough", async () => {
  const bare = await run(["serve", "--port", "0"]);
  expect(bare.code).toBe(2);
  expect(bare.stderr).toContain("--state-dir");
  const server = await startServer({ env: { HOME: "" } });
  expect(await server.stop()).toBe(0);
});

const asNobody = process.getuid?.() === 0 ? ["setpriv", "--reuid=65534", "--clear-groups"] : null;

test("it runs as an ordinary user from a folder it cannot write to", async () => {
  if (asNobody === null) {
    console.warn("not root: running as another user is not tested");
    return;
  }
  const home = join(folder, "nobody");
  mkdirSync(home);
  chmodSync(home, 0o777);
  chmodSync(join(folder, "bin"), 0o555);
  const dirs = ["--state-dir", `${home}/s`, "--cache-dir", `${home}/c`, "--models-dir", home];
  const { code, stdout, stderr } = await run(["doctor", "--json", "--port", "0", ...dirs], {
    as: asNobody,
    env: { PATH: process.env["PATH"] ?? "" },
  });
  expect(stderr).not.toContain("EACCES");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toBeObject();
});

test("a cache folder that cannot be written ends with code 5 and names the flag", async () => {
  const blocked = join(folder, "blocked");
  writeFileSync(blocked, "");
  const dirs = ["--state-dir", join(folder, "s"), "--models-dir", folder];
  const { code, stderr } = await run([
    "serve",
    "--port",
    "0",
    ...dirs,
    "--cache-dir",
    `${blocked}/c`,
  ]);
  expect(code).toBe(5);
  expect(stderr).toContain("--cache-dir");
});

test("a cache folder mounted noexec ends with code 5 and says so", async () => {
  if (Bun.which("unshare") === null || !Bun.spawnSync(["unshare", "-rm", "true"]).success) {
    console.warn("no user namespaces here: a noexec mount is not tested");
    return;
  }
  const mount = join(folder, "noexec");
  mkdirSync(mount);
  const script =
    `mount -t tmpfs -o noexec,mode=0700 none "${mount}" && exec "${executable}" serve --port 0 ` +
    `--state-dir "${folder}/s2" --models-dir "${folder}" --cache-dir "${mount}"`;
  const child = Bun.spawnSync(["unshare", "-rm", "sh", "-c", script], { env: {} });
  expect(child.stderr.toString()).toContain("noexec");
  expect(child.exitCode).toBe(5);
});

test("a port in use ends with code 4 and says which server holds it", async () => {
  const server = await startServer();
  const dirs = ["--state-dir", join(folder, "s3"), "--cache-dir", join(folder, "race")];
  const words = ["serve", "--port", String(server.port), "--models-dir", folder, ...dirs];
  const { code, stderr } = await run(words);
  expect(code).toBe(4);
  expect(stderr).toContain(`Port ${server.port} is already in use`);
  expect(await server.stop()).toBe(0);
});

test("engines die with a server that is killed", async () => {
  const server = await startServer({ args: ["--load", "demo"] });
  await until(() => childrenOf(server.pid).length === 1, "the engine runs");
  const [engine] = childrenOf(server.pid);
  server.signal("SIGKILL");
  await server.exited;
  await until(() => !existsSync(`/proc/${engine}`), "the engine is gone");
  await server.stop();
});

test("a replaced executable still starts engines of the running build", async () => {
  const own = join(folder, "replaced");
  copyFileSync(BUILT, own);
  chmodSync(own, 0o755);
  const server = await startServer({ executable: own });
  rmSync(own);
  writeFileSync(own, "#!/bin/sh\nexit 99\n", { mode: 0o755 });
  const answer = await fetch(`${server.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "demo", prompt: "The quick", max_tokens: 2 }),
  });
  expect(answer.status).toBe(200);
  expect(await server.stop()).toBe(0);
});
