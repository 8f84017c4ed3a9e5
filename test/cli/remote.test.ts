import { afterAll, beforeAll, describe, expect, test, setDefaultTimeout } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { modelList, startFakeServer } from "../support/fake-server.ts";
import { executableCommand } from "../support/executable.ts";
import { runCommand } from "../support/run-command.ts";
import { startServer, type TestServer } from "../support/server.ts";

setDefaultTimeout(60_000);

let home: string;
let env: Record<string, string>;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "lmserver-remote-"));
  env = { HOME: home };
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const json = (text: string): unknown => JSON.parse(text);

test("a server that takes connections and says nothing is neither running nor not, and is not waited for", async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", () => resolve()));
  const { port } = silent.address() as AddressInfo;
  const where = ["--host", "127.0.0.1", "--port", String(port)];
  const verbs = [["status"], ["status", "--check"], ["log"]];
  const ends = await Promise.all(verbs.map((verb) => runCommand([...verb, ...where], env)));
  for (const { code, stdout, stderr } of ends) {
    expect([code, stdout]).toEqual([3, ""]);
    expect(stderr).toContain("did not answer in time");
  }
  silent.close();
});

describe("a server elsewhere that wants a key", () => {
  let server: TestServer;
  let where: string[];
  beforeAll(async () => {
    const keyFile = join(home, "keys");
    writeFileSync(keyFile, "remote-key\n", { mode: 0o600 });
    server = await startServer({ args: ["--api-key-file", keyFile] });
    where = ["--host", "127.0.0.1", "--port", String(server.port)];
  });
  afterAll(async () => void (await server.stop()));

  test("without the key: exit 1 and how to give it", async () => {
    for (const verb of [["ps"], ["load", "demo"], ["unload", "--all"], ["chat", "-p", "x"]]) {
      const { code, stdout, stderr } = await runCommand([...verb, ...where], env, "x");
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toContain("LM_API_TOKEN");
    }
  });

  test("status says it in its own way, or not at all", async () => {
    const plain = await runCommand(["status", ...where], env);
    expect([plain.code, plain.stderr]).toEqual([0, expect.stringContaining("LM_API_TOKEN")]);
    const quiet = await runCommand(["status", "--quiet", ...where], env);
    expect([quiet.code, quiet.stderr]).toEqual([0, ""]);
    const { stdout, stderr } = await runCommand(["status", "--json", ...where], env);
    expect(json(stdout)).toMatchObject({ running: true, loaded: null });
    expect(json(stderr)).toMatchObject({ error: { message: expect.any(String) } });
  });

  test("load and unload, as text", async () => {
    const key = { ...env, LM_API_TOKEN: "remote-key" };
    const loaded = await runCommand(["load", "DEM", ...where], key);
    expect([loaded.code, loaded.stdout]).toEqual([0, "demo\n"]);
    expect(loaded.stderr).toMatch(/Model loaded successfully in \d+\.\d\ds\. \(1\.\d+ MiB\)/);
    expect((await runCommand(["ps", ...where], key)).stdout).toMatch(/^demo /m);
    const unloaded = await runCommand(["unload", ...where], key);
    expect(unloaded).toEqual({ code: 0, stdout: 'Model "demo" unloaded.\n', stderr: "" });
    expect((await runCommand(["unload", ...where], key)).code).toBe(1);
    const none = await runCommand(["unload", "--all", ...where], key);
    expect(none).toEqual({ code: 0, stdout: "No models to unload.\n", stderr: "" });
  });

  test("load with options and unload, as documents", async () => {
    const key = ["--api-key", "remote-key", "--json", ...where];
    const options = ["--identifier", "tiny", "--ttl", "600", "-c", "512", "--parallel", "2"];
    const loaded = await runCommand(["load", "demo", ...options, ...key], env);
    expect(loaded.stderr).toBe("");
    expect(json(loaded.stdout)).toEqual({
      identifier: "tiny",
      modelKey: "demo",
      loadTimeSeconds: expect.any(Number),
    });
    expect(json((await runCommand(["ps", ...key], env)).stdout)).toMatchObject([
      { identifier: "tiny", modelKey: "demo", contextLength: 512, parallel: 2, ttlMs: 600_000 },
    ]);
    const wrong = await runCommand(["unload", "other", ...key], env);
    expect([wrong.code, json(wrong.stderr)]).toMatchObject([
      1,
      { error: { code: "model_not_found" } },
    ]);
    const unloaded = await runCommand(["unload", "tiny", ...key], env);
    expect(json(unloaded.stdout)).toEqual({ unloaded: ["tiny"] });
  });
});

test.each([
  ["an unknown model", ["load", "zzz"], 1, "model_not_found"],
  ["an ambiguous one", ["load", "llama"], 2, "ambiguous_model"],
  ["no model", ["load"], 2, "usage"],
  ["a bad value", ["load", "llama-a", "--ttl", "0"], 2, "invalid_config"],
  ["a refused load", ["load", "llama-a"], 1, "insufficient_memory"],
  ["both a name and --all", ["unload", "x", "--all"], 2, "usage"],
])("load and unload tell apart: %s", async (_name, words, exitCode, errorCode) => {
  using server = startFakeServer({
    "/api/v1/models": () => modelList("llama-a", "llama-b"),
    "/api/v1/models/load": () =>
      Response.json(
        { error: { type: "internal_error", message: "no room", code: "insufficient_memory" } },
        { status: 500 },
      ),
  });
  const { code, stdout, stderr } = await runCommand([...words, ...server.where, "--json"], env);
  expect([code, stdout]).toEqual([exitCode, ""]);
  const [last = ""] = stderr.trim().split("\n").slice(-1);
  expect(json(last)).toMatchObject({ error: { code: errorCode } });
});

test("Ctrl-C cancels a load: the server is left, exit 1", async () => {
  const left = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  using server = startFakeServer({
    "/api/v1/models": () => modelList("slow"),
    "/api/v1/models/load": ({ signal }) => {
      signal.addEventListener("abort", () => left.resolve());
      asked.resolve();
      return new Promise<Response>(() => undefined);
    },
  });
  const child = Bun.spawn([...executableCommand(), "load", "slow", ...server.where], {
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  await asked.promise;
  child.kill("SIGINT");
  await left.promise;
  expect(await child.exited).toBe(1);
  expect(await new Response(child.stderr).text()).toContain("The load was cancelled.");
});

test("verbose says what is asked, and never the key", async () => {
  using server = startFakeServer({
    "/api/lmserver/instances": () => Response.json({ instances: [] }),
  });
  const words = ["ps", "--verbose", "--host", `http://127.0.0.1:${server.port}`];
  const { code, stderr } = await runCommand(words, { ...env, LM_API_TOKEN: "hidden-key" });
  expect(code).toBe(0);
  expect(stderr).toContain(`GET http://127.0.0.1:${server.port}/api/lmserver/instances: 200`);
  expect(stderr).not.toContain("hidden-key");
  const shown = await runCommand([...words, "--api-key", "hidden-key"], env);
  expect(shown.stderr).toContain("prefer LM_API_TOKEN");
  expect(shown.stderr).not.toContain("hidden-key");
});

describe("get through a server", () => {
  const started = { job_id: "job_0123456789", status: "downloading", total_size_bytes: 1_000 };

  test("waits for the job and shows how far it is", async () => {
    let asked = 0;
    using server = startFakeServer({
      "/api/v1/models/download": () => Response.json(started),
      "/api/v1/models/download/status/job_0123456789": () =>
        Response.json({
          ...started,
          downloaded_bytes: (asked += 1) * 500,
          bytes_per_second: 2_000,
          status: asked === 2 ? "completed" : "downloading",
        }),
    });
    const { code, stdout, stderr } = await runCommand(["get", "o/r@Q4_0", ...server.where], env);
    expect([code, stdout]).toEqual([0, "Download completed.\n"]);
    expect(stderr).toContain("Downloading 50% of 1.00 KB 2.00 KB/s");
    expect(server.requests[0]?.body).toEqual({ model: "o/r", quantization: "Q4_0" });
  });

  test.each([
    ["failed", { ...started, status: "failed", error: { message: "the disk is full" } }, 1, "full"],
    ["paused", { ...started, status: "paused" }, 1, "was paused"],
    ["left alone with --detach", { ...started }, 0, ""],
  ])("a job that is %s", async (name, status, exitCode, hint) => {
    using server = startFakeServer({
      "/api/v1/models/download": () => Response.json(started),
      "/api/v1/models/download/status/job_0123456789": () => Response.json(status),
    });
    const detach = name.includes("detach") ? ["--detach"] : [];
    const words = ["get", "o/r", ...detach, "--json", ...server.where];
    const { code, stdout, stderr } = await runCommand(words, env);
    expect(code).toBe(exitCode);
    if (exitCode === 0) expect(json(stdout)).toMatchObject({ jobId: "job_0123456789" });
    else expect(stderr).toContain(hint);
  });
});

test("load tells how far the server is, until it is done", async () => {
  const shown = Promise.withResolvers<void>();
  const instance = (progress: number | null) => ({
    identifier: "big",
    model: "big",
    type: "llm",
    display_name: "Big",
    publisher: "pub",
    architecture: "llama",
    params_string: null,
    quantization: null,
    size_bytes: 1_000,
    max_context_length: 4_096,
    context_length: null,
    state: "loading",
    load_progress: progress,
    parallel: 4,
    running: 0,
    activity: "idle",
    queued: 1,
    ttl_ms: null,
    last_used_at: "2026-01-31T12:00:00.000Z",
    lora: [],
    draft_model: null,
  });
  const steps = [0.12, 0.5, 0.55];
  using server = startFakeServer({
    "/api/v1/models": () => modelList("big"),
    "/api/v1/models/load": async () => {
      await shown.promise;
      return Response.json({ instance_id: "big", load_time_seconds: 1.5 });
    },
    "/api/lmserver/instances": () => {
      const instances = [instance(steps.shift() ?? 1)];
      if (steps.length === 0) shown.resolve();
      return Response.json({ instances });
    },
  });
  const { code, stdout, stderr } = await runCommand(["load", "big", ...server.where], env);
  expect([code, stdout]).toEqual([0, "big\n"]);
  expect(stderr).toStartWith("Loading big ...\nLoading 10%\nLoading 50%\n");
  expect(stderr).toContain("Model loaded successfully in 1.50s.");
});

test("ps says what an instance is at, also one whose file is gone", async () => {
  const instance = (identifier: string, activity: string, draft: string | null) => ({
    identifier,
    model: identifier,
    type: "llm",
    display_name: "Big",
    publisher: "pub",
    architecture: "llama",
    params_string: null,
    quantization: "Q4_K_M",
    size_bytes: 1_000,
    max_context_length: 4_096,
    context_length: 2_048,
    state: "loaded",
    load_progress: null,
    parallel: 4,
    running: 1,
    activity,
    draft_model: draft,
    queued: 0,
    ttl_ms: null,
    last_used_at: "2026-01-31T12:00:00.000Z",
    lora: [],
  });
  using server = startFakeServer({
    "/api/v1/models": () => modelList("reads"),
    "/api/lmserver/instances": () =>
      Response.json({
        instances: [
          instance("reads", "processing_prompt", null),
          instance("gone", "generating", "small"),
        ],
      }),
  });
  const { code, stdout } = await runCommand(["ps", "--json", ...server.where], env);
  expect(code).toBe(0);
  expect(json(stdout)).toMatchObject([
    { identifier: "reads", status: "processingPrompt", path: null },
    {
      identifier: "gone",
      modelKey: "gone",
      status: "generating",
      draftModel: "small",
      quantization: { name: "Q4_K_M", bits: 4 },
      trainedForToolUse: false,
    },
  ]);
  const text = await runCommand(["ps", ...server.where], env);
  expect(text.stdout).toMatch(/^reads +reads +PROCESSINGPROMPT +1\.00 KB +2048 +4$/m);
  expect(text.stdout).toMatch(/^gone +gone \+ small +GENERATING /m);
});

test("load passes on how the model shall compute, and refuses what makes no sense", async () => {
  using server = startFakeServer({
    "/api/v1/models": () => modelList("big"),
    "/api/v1/models/load": () => Response.json({ instance_id: "big", load_time_seconds: 1 }),
  });
  const words = "--threads 2 --flash-attention off --cache-type-k q8_0 --cache-type-v q4_0";
  const rope = "--rope-freq-base 1000000 --rope-freq-scale 0.5 --lora pirate:0.5 --lora a:b";
  const flags = `${words} ${rope}`.split(" ");
  const where = ["--quiet", ...server.where];
  expect((await runCommand(["load", "big", ...flags, ...where], env)).code).toBe(2);
  const loaded = await runCommand(["load", "big", ...flags.slice(0, -2), ...where], env);
  expect(loaded).toEqual({ code: 0, stdout: "big\n", stderr: "" });
  expect(server.requests.at(-1)?.body).toEqual({
    model: "big",
    threads: 2,
    flash_attention: false,
    cache_type_k: "q8_0",
    cache_type_v: "q4_0",
    rope_freq_base: 1_000_000,
    rope_freq_scale: 0.5,
    lora: [{ id: "pirate", scale: 0.5 }],
  });
  for (const bad of [
    ["--cache-type-k", "q9"],
    ["--rope-freq-scale", "0"],
    ["--threads", "0"],
    ["--flash-attention", "maybe"],
  ]) {
    const { code, stderr } = await runCommand(["load", "big", ...bad, ...where], env);
    expect([code, stderr]).toEqual([2, expect.stringContaining(bad[0] ?? "")]);
  }
});

test("load passes on what the server warns of, but not to programs", async () => {
  using server = startFakeServer({
    "/api/v1/models": () => modelList("big"),
    "/api/v1/models/load": () =>
      Response.json(
        { instance_id: "big", load_time_seconds: 1 },
        { headers: { "x-lmserver-warning": "threads: 999 asked for, 2 compute (100%25, %C3%BC)" } },
      ),
  });
  const words = ["load", "big", "--threads", "999", ...server.where];
  const { code, stdout, stderr } = await runCommand(words, env);
  expect([code, stdout]).toEqual([0, "big\n"]);
  expect(stderr).toContain("\nwarning: threads: 999 asked for, 2 compute (100%, ü)\n");
  for (const silent of ["--quiet", "--json"])
    expect((await runCommand([...words, silent], env)).stderr).toBe("");
});

test("get lists, pauses, resumes and cancels the server's downloads", async () => {
  const job = (status: string) => ({
    job_id: "job_0123456789",
    status,
    model: "o/r",
    quantization: "Q4_0",
    total_size_bytes: 2_000,
    downloaded_bytes: 500,
    started_at: "2026-01-31T12:00:00.000Z",
  });
  using server = startFakeServer({
    "/api/lmserver/downloads": () => Response.json({ downloads: [job("downloading")] }),
    "/api/lmserver/downloads/control": ({ body }) =>
      (body as { job_id: string }).job_id === "job_0123456789"
        ? Response.json(job("paused"))
        : Response.json(
            { error: { message: "not found", code: "job_not_found" } },
            { status: 404 },
          ),
  });
  const listed = await runCommand(["get", "--jobs", ...server.where], env);
  expect(listed).toMatchObject({ code: 0, stderr: "" });
  expect(listed.stdout).toMatch(/^job_0123456789 +o\/r@Q4_0 +downloading +2\.00 KB +25%$/m);
  for (const action of ["pause", "resume", "cancel"]) {
    const words = ["get", `--${action}`, "job_0123456789", "--json", ...server.where];
    const { code, stdout } = await runCommand(words, env);
    expect([code, json(stdout)]).toMatchObject([0, [{ job_id: "job_0123456789" }]]);
    expect(server.requests.at(-1)?.body).toEqual({ job_id: "job_0123456789", action });
  }
  expect((await runCommand(["get", "--cancel", "job_x", ...server.where], env)).code).toBe(1);
});

describe("a hostile server", () => {
  const huge = "x".repeat(1_024 * 1_024);
  const endless = (): Response => {
    const chunk = new TextEncoder().encode(huge);
    return new Response(
      new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(chunk) }),
    );
  };
  test.each([
    ["an endless document", endless, 1, "16 MiB"],
    ["an endless error", () => new Response(endless().body, { status: 500 }), 1, "16 MiB"],
    [
      "something of another shape",
      () => Response.json({ instances: [{ identifier: 1 }] }),
      1,
      "no lmserver",
    ],
    ["something that is no JSON", () => new Response("<html>"), 1, "no lmserver"],
    ["a redirect", () => Response.redirect("http://127.0.0.1:1/"), 3, "No server answers"],
    ["an error without words", () => new Response(null, { status: 502 }), 1, "502"],
  ])("%s", async (_name, answer, exitCode, hint) => {
    using server = startFakeServer({ "/api/lmserver/instances": answer });
    const { code, stdout, stderr } = await runCommand(["ps", ...server.where], env);
    expect([code, stdout]).toEqual([exitCode, ""]);
    expect(stderr).toContain(hint);
  });
});

test("token makes, lists and removes what a server accepts", async () => {
  const server = await startServer({ args: ["--api-key", "other"] });
  try {
    const state = ["--state-dir", join(server.home, "state")];
    const made = await runCommand(
      ["token", "create", "--name", "phone", "--permission", "inference", ...state, "--json"],
      env,
    );
    const { id, token } = json(made.stdout) as { id: string; token: string };
    expect(token).toMatch(/^sk-lm-[A-Za-z0-9]{8}:[A-Za-z0-9]{20}$/);
    const listed = await runCommand(["token", "ls", ...state], env);
    expect(listed.stdout).toMatch(/^ID +NAME +CREATED +PERMISSIONS$/m);
    expect(listed.stdout).toContain(`${id}    phone`);
    expect(listed.stdout).not.toContain(token.slice(-20));
    const asked = await runCommand(["ps", ...state], { ...env, LM_API_TOKEN: token });
    expect(asked.code).toBe(0);
    const refused = await runCommand(["load", "demo", ...state], { ...env, LM_API_TOKEN: token });
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("models:manage")]);
    const removed = await runCommand(["token", "rm", id, ...state], env);
    expect(removed.stdout).toBe(`Token ${id} removed.\n`);
    expect((await runCommand(["token", "rm", id, ...state], env)).code).toBe(1);
    expect((await runCommand(["ps", ...state], { ...env, LM_API_TOKEN: token })).code).toBe(1);
    expect((await runCommand(["token", "ls", "--json", ...state], env)).stdout).toBe("[]\n");
  } finally {
    await server.stop();
  }
});

test("token says what it wants: exit 2", async () => {
  for (const words of [
    [],
    ["make"],
    ["create"],
    ["rm"],
    ["create", "--name", "x", "--permission", "all"],
  ])
    expect((await runCommand(["token", ...words], env)).code).toBe(2);
});

test("an estimate needs no server, and names what it takes", async () => {
  const text = await runCommand(["load", "demo", "--estimate-only", "-c", "1024"], env);
  expect([text.code, text.stderr]).toEqual([0, ""]);
  expect(text.stdout).toMatch(/^Model: demo\nContext Length: 1024\nGPU Offload: \d+%$/m);
  expect(text.stdout).toMatch(/^Estimated Total Memory: \d+\.\d\d MiB$/m);
  expect(text.stdout).toContain("This model may be loaded");
  const document = await runCommand(["load", "demo", "--estimate-only", "--json"], env);
  expect(json(document.stdout)).toMatchObject({
    modelKey: "demo",
    contextLength: 2048,
    canLoad: true,
  });
  expect((await runCommand(["load", "zzz", "--estimate-only"], env)).code).toBe(1);
  expect((await runCommand(["load", "demo", "--estimate-only", "-c", "99999"], env)).code).toBe(2);
});
