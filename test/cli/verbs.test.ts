import { afterAll, beforeAll, describe, expect, test, setDefaultTimeout } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addModel } from "../support/catalog-fixture.ts";
import { runCommand } from "../support/run-command.ts";
import { startServer, type TestServer } from "../support/server.ts";

setDefaultTimeout(60_000);

let home: string;
let env: Record<string, string>;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "lmserver-cli-"));
  env = { HOME: home };
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const json = (text: string): unknown => JSON.parse(text);

describe("without a server", () => {
  test("version prints one line, or one document", async () => {
    const text = await runCommand(["version"]);
    expect(text.stdout).toMatch(/^lmserver \d+\.\d+\.\d+ \(.+\), engine llama\.cpp v.+\n$/);
    for (const words of [
      ["version", "--json"],
      ["--version", "--json"],
      ["-v", "--json"],
    ]) {
      const { code, stdout, stderr } = await runCommand(words);
      expect([code, stderr]).toEqual([0, ""]);
      expect(json(stdout)).toMatchObject({ engine: expect.stringMatching(/^llama\.cpp v/) });
    }
  });

  test("help goes to stdout, for the program and for each verb", async () => {
    for (const words of [["help"], ["--help"], ["-h"]]) {
      const { code, stdout, stderr } = await runCommand(words);
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toContain("Usage: lmserver");
      expect(stdout).not.toContain("engine  ");
    }
    const serve = await runCommand(["help", "serve"]);
    expect(serve.stdout).toContain("--max-queue <n>");
    expect((await runCommand(["serve", "--help"])).stdout).toBe(serve.stdout);
  });

  test.each([
    ["an unknown verb", ["sevre"], "Did you mean: lmserver serve"],
    ["an unknown flag", ["serve", "--prot", "1"], "did you mean --port?"],
    ["an unknown flag without verb", ["--prot", "1"], "did you mean --port?"],
    ["a bad value", ["serve", "--port", "x"], "--port"],
    ["a word too many", ["serve", "now"], '"now"'],
    ["an unknown flag of another verb", ["version", "--jsn"], "did you mean --json?"],
    ["help about nothing", ["help", "sevre"], "Did you mean"],
    [
      "an import without a slash",
      ["import", "x", "--user-repo", "me"],
      '--user-repo: "me" is not user/repo: two names with a slash',
    ],
    ["a download without a slash", ["get", "foo"], "lacks the slash"],
    ["a host that is none", ["ps", "--host", "a b"], '--host: "a b" is not an address'],
    ["a folder that is none", ["serve", "--models-dir", "/dev/null"], "--models-dir"],
    ["a folder that is missing", ["serve", "--models-dir", "/no/such"], "--models-dir"],
    ["a key file that is missing", ["serve", "--api-key-file", "/no/such"], "--api-key-file"],
    ["authentication without a key", ["serve", "--require-auth"], "--require-auth"],
    ["a template that is missing", ["serve", "--chat-template", "/no/such"], "--chat-template"],
    ["a configuration that is missing", ["serve", "--config", "/no/such"], "--config"],
  ])("exit 2: %s", async (_name, words, hint) => {
    const { code, stdout, stderr } = await runCommand(words, env);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(hint);
  });

  test("all problems of a start are told at once", async () => {
    const { code, stderr } = await runCommand(
      ["serve", "--port", "x", "--models-dir", "/no/such", "--api-key-file", "/no/key"],
      { ...env, LMSERVER_PARALLEL: "0" },
    );
    expect(code).toBe(2);
    for (const name of ["--port", "--models-dir", "--api-key-file", "LMSERVER_PARALLEL"]) {
      expect(stderr).toContain(name);
    }
  });

  test("without HOME every folder that must be named is named", async () => {
    const { code, stderr } = await runCommand(["serve"]);
    expect(code).toBe(2);
    for (const flag of ["--models-dir", "--state-dir"]) expect(stderr).toContain(flag);
    expect(stderr).not.toContain("--cache-dir");
  });

  test("without HOME a state and a models folder are enough", async () => {
    const state = join(home, "no-home");
    const folders = ["--models-dir", home, "--state-dir", state];
    const listed = await runCommand(["ls", ...folders]);
    expect([listed.code, listed.stdout]).toEqual([0, expect.stringMatching(/^demo /m)]);
    const checked = await runCommand(["doctor", "--port", "0", ...folders]);
    expect([checked.code, checked.stdout]).toEqual([0, expect.stringContaining("ok    engine")]);
    const words = ["load", "demo", "--estimate-only", ...folders];
    expect((await runCommand(words)).code).toBe(0);
  });

  test("status says that nothing runs, and exits 1 only when asked to check", async () => {
    const port = ["--port", "1"];
    const text = await runCommand(["status", ...port], env);
    expect(text).toEqual({ code: 0, stdout: "The server is not running.\n", stderr: "" });
    const document = await runCommand(["status", "--json", ...port], env);
    expect(json(document.stdout)).toEqual({ running: false, port: 1 });
    expect((await runCommand(["status", "--check", ...port], env)).code).toBe(1);
  });

  test("stop has nothing to stop: exit 1, as a document on stderr with --json", async () => {
    const text = await runCommand(["stop"], env);
    expect([text.code, text.stdout]).toEqual([1, ""]);
    const { stderr } = await runCommand(["stop", "--json"], env);
    expect(json(stderr)).toEqual({
      error: { message: "The server is not running.", code: "failed" },
    });
  });

  test("errors are documents in every spelling of --json, and text after --no-json", async () => {
    for (const spelling of [["--json=true"], ["--json=1"], ["--no-json", "--json"]]) {
      const { code, stderr } = await runCommand(["ps", ...spelling, "--prot", "1"], env);
      expect([code, json(stderr)]).toMatchObject([2, { error: { code: "invalid_config" } }]);
    }
    for (const spelling of [["--json", "--no-json"], ["--json=false"]]) {
      const { stderr } = await runCommand(["ps", ...spelling, "--prot", "1"], env);
      expect(stderr).toStartWith("error: --prot is not a flag");
    }
  });

  test("ps reaches nobody: exit 3", async () => {
    const { code, stdout } = await runCommand(["ps", "--port", "1"], env);
    expect([code, stdout]).toEqual([3, ""]);
  });

  test("ls lists the folders themselves, broken files on stderr", async () => {
    const models = join(home, "some-models");
    mkdirSync(models);
    addModel(models, "pub/Nice-7B-GGUF/Nice-7B-Q4_K_M.gguf");
    addModel(models, "pub/Nice-7B-GGUF/Nice-7B-Q8_0.gguf");
    addModel(models, "embed.gguf", { architecture: "bert" });
    writeFileSync(join(models, "bad\u001b[31m.gguf"), "no");
    const words = ["ls", "--models-dir", models, "--no-demo"];
    const { code, stdout, stderr } = await runCommand(words, env);
    expect(code).toBe(0);
    expect(stdout).toContain("You have 2 models");
    expect(stdout).toMatch(/^nice-7b \(2 variants\) +7B +llama +Q4_K_M +\d+ B +models-dir$/m);
    expect(stdout).toMatch(/^EMBEDDING/m);
    expect(stderr).toContain("1 model cannot be used");
    expect(stderr).not.toContain("\u001b");
    const expanded = await runCommand([...words, "--variants"], env);
    expect(expanded.stdout).toMatch(/^ \* nice-7b@q4_k_m /m);
    expect(expanded.stdout).toMatch(/^ {3}nice-7b@q8_0 /m);
    const document = await runCommand([...words, "--json", "--llm"], env);
    expect(json(document.stdout)).toMatchObject([
      {
        type: "llm",
        modelKey: "nice-7b",
        quantization: { name: "Q4_K_M", bits: 4 },
        variants: ["nice-7b@q4_k_m", "nice-7b@q8_0"],
        selectedVariant: "nice-7b@q4_k_m",
      },
    ]);
    const pairs = await runCommand([...words, "--json", "--embedding", "--variants"], env);
    expect(json(pairs.stdout)).toMatchObject([
      { model: { modelKey: "text-embedding-embed" }, variants: [{ type: "embedding" }] },
    ]);
    const variants = await runCommand([...words, "--json", "pub/nice-7b"], env);
    expect(json(variants.stdout)).toMatchObject([
      { modelKey: "nice-7b" },
      { modelKey: "nice-7b@q8_0" },
    ]);
    const listed = await runCommand([...words, "nice-7b"], env);
    expect(listed.stdout).toStartWith("Listing variants for nice-7b:\n");
    expect((await runCommand([...words, "nice-7b", "--variants"], env)).code).toBe(1);
    expect((await runCommand([...words, "nope"], env)).code).toBe(1);
  });

  test("ls of nothing", async () => {
    const empty = join(home, "empty");
    mkdirSync(empty);
    const words = ["ls", "--models-dir", empty, "--no-demo"];
    expect((await runCommand(words, env)).stdout).toBe("You have not downloaded any models yet.\n");
    expect((await runCommand([...words, "--json"], env)).stdout).toBe("[]\n");
  });

  test("doctor looks at libraries, devices, folders and the port", async () => {
    const { code, stdout } = await runCommand(["doctor", "--json", "--port", "0"], {
      ...env,
      BUN_OPTIONS: "--smol",
    });
    expect(code).toBe(0);
    const report = json(stdout) as {
      ok: boolean;
      system: { threads: number; devices: { name: string }[] };
      checks: { name: string; status: string; detail: string }[];
    };
    expect(report.ok).toBe(true);
    expect(report.system.threads).toBeGreaterThan(0);
    expect(report.system.devices[0]?.name).toBe("CPU");
    const names = report.checks.map((check) => check.name);
    for (const name of [
      "settings",
      "engine",
      "GPU",
      "memory",
      "state folder",
      "models folder",
      "port",
    ])
      expect(names).toContain(name);
    expect(report.checks[0]).toMatchObject({ name: "environment", status: "warn" });
    expect(report.checks[0]?.detail).toContain("BUN_OPTIONS");
  });

  test("doctor goes on after a failure and says it by its exit code", async () => {
    const blocked = join(home, "blocked");
    writeFileSync(blocked, "");
    const words = ["doctor", "--port", "0", "--state-dir", join(blocked, "s")];
    const { code, stdout } = await runCommand(words, env);
    expect(code).toBe(1);
    expect(stdout).toContain("FAIL  state folder");
    expect(stdout).toContain("ok    engine");
    expect(stdout).toMatch(/^ok {4}memory: \d+\.\d\d GiB of \d+\.\d\d GiB available$/m);
  });

  test("doctor fails what a start refuses, and creates no folder that was named", async () => {
    const missing = join(home, "mistyped");
    const folders = ["--port", "0", "--models-dir", missing, "--api-key-file", "/no/such"];
    const { code, stdout } = await runCommand(["doctor", ...folders], env);
    expect(code).toBe(1);
    expect(stdout).toContain(`FAIL  settings: --models-dir: ${missing} does not exist`);
    expect(stdout).toContain("FAIL  settings: --api-key-file: /no/such cannot be read (ENOENT)");
    expect(existsSync(missing)).toBe(false);
    const bind = await runCommand(["doctor", "--port", "0", "--bind", "203.0.113.1"], env);
    expect([bind.code, bind.stdout]).toEqual([1, expect.stringContaining("FAIL  port: ")]);
  });
});

describe("with a server", () => {
  let server: TestServer;
  let state: string[];
  beforeAll(async () => {
    server = await startServer({ args: ["--load", "demo"] });
    state = ["--state-dir", join(server.home, "state")];
  });
  afterAll(async () => void (await server.stop()));

  test("status finds it by its state folder", async () => {
    const { code, stdout, stderr } = await runCommand(["status", "--json", ...state], env);
    expect([code, stderr]).toEqual([0, ""]);
    expect(json(stdout)).toEqual({
      running: true,
      port: server.port,
      version: expect.any(String),
      pid: server.pid,
      loaded: ["demo"],
    });
    const text = await runCommand(["status", ...state], env);
    expect(text.stdout).toContain(`The server is running on port ${server.port}.`);
  });

  test("status finds it by host and port", async () => {
    const where = ["--host", "127.0.0.1", "--port", String(server.port)];
    const { stdout } = await runCommand(["status", "--json", "--check", ...where], env);
    expect(json(stdout)).toMatchObject({ running: true, pid: null, loaded: ["demo"] });
    for (const host of [`127.0.0.1:${server.port}`, `localhost:${server.port}`]) {
      const found = await runCommand(["status", "--check", "--host", host], env);
      expect([found.code, found.stderr]).toEqual([0, ""]);
    }
  });

  test("ps lists what is loaded", async () => {
    const { code, stdout } = await runCommand(["ps", "--json", ...state], env);
    expect(code).toBe(0);
    expect(json(stdout)).toMatchObject([
      {
        type: "llm",
        modelKey: "demo",
        format: "gguf",
        displayName: expect.any(String),
        publisher: expect.any(String),
        path: expect.stringMatching(/demo\.gguf$/),
        indexedModelIdentifier: "demo",
        sizeBytes: expect.any(Number),
        maxContextLength: 2048,
        deviceIdentifier: null,
        vision: false,
        trainedForToolUse: true,
        identifier: "demo",
        contextLength: 2048,
        parallel: 4,
        status: "idle",
        queued: 0,
        ttlMs: null,
        lastUsedTime: expect.any(Number),
      },
    ]);
    const text = await runCommand(["ps", ...state], env);
    expect(text.stdout).toMatch(/^IDENTIFIER/);
    expect(text.stdout).toMatch(/^demo +demo +IDLE +1\.45 MB +2048 +4$/m);
  });

  test("ls asks the server what it has, here and elsewhere", async () => {
    const here = await runCommand(["ls", ...state], env);
    expect([here.code, here.stderr]).toEqual([0, ""]);
    expect(here.stdout).toMatch(/^demo +1\.3M +qwen3 +Q8_0 +1\.45 MB +demo +✓ LOADED$/m);
    const where = ["--host", "127.0.0.1", "--port", String(server.port)];
    const there = await runCommand(["ls", ...where], env);
    expect(there.stdout).toMatch(/^demo +1\.3M +qwen3 +Q8_0 +1\.45 MB +server +✓ LOADED$/m);
    const document = await runCommand(["ls", "--json", ...where], env);
    expect(json(document.stdout)).toMatchObject([
      { type: "llm", modelKey: "demo", format: "gguf", path: null, source: "server" },
    ]);
    expect((await runCommand(["ls", "--port", "1"], env)).code).toBe(3);
  });

  test("a second server on the same state folder is refused with code 4 and told who is there", async () => {
    const folders = ["--cache-dir", join(home, "c"), "--models-dir", home];
    const { code, stderr } = await runCommand(["serve", "--port", "0", ...state, ...folders], env);
    expect(code).toBe(4);
    expect(stderr).toContain(`PID ${server.pid}`);
    expect(stderr).toContain(server.url);
  });

  test("a port in use is refused with code 4 and says who answers there", async () => {
    const folders = ["--state-dir", join(home, "s"), "--models-dir", home];
    const words = ["serve", "--port", String(server.port), ...folders];
    const { code, stderr } = await runCommand(words, env);
    expect(code).toBe(4);
    expect(stderr).toContain(`Port ${server.port} is already in use by lmserver`);
  });

  test("an address that is not this machine's is refused with code 4", async () => {
    const folders = ["--state-dir", join(home, "s"), "--models-dir", home];
    for (const bind of ["203.0.113.1", "no-such-host.invalid"]) {
      const { code, stderr } = await runCommand(
        ["serve", "--port", "0", "--bind", bind, ...folders],
        env,
      );
      expect(code).toBe(4);
      expect(stderr).toContain(bind);
    }
  });

  test("stop ends it and waits", async () => {
    const { code, stdout } = await runCommand(["stop", ...state], env);
    expect([code, stdout]).toEqual([0, `Stopped the server on port ${server.port}.\n`]);
    expect(await server.exited).toBe(0);
    expect((await runCommand(["stop", ...state], env)).code).toBe(1);
  });
});

test("a state folder that cannot be written ends with code 4 and names the flag", async () => {
  const open = join(home, "open-to-all");
  mkdirSync(open);
  chmodSync(open, 0o777);
  const words = ["serve", "--port", "0", "--models-dir", home, "--state-dir", open];
  const { code, stderr } = await runCommand(words, env);
  expect(code).toBe(4);
  expect(stderr).toContain("--state-dir");
});
