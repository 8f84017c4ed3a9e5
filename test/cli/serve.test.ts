import { expect, test, setDefaultTimeout } from "bun:test";
import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { tinyModel } from "../../scripts/make-hostile-gguf.ts";
import { executableCommand } from "../support/executable.ts";
import { runCommand } from "../support/run-command.ts";
import { childrenOf, startServer, type TestServer } from "../support/server.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);

/** Starts a stream of `tokens` tokens and waits for its first bytes. */
async function openStream(server: TestServer, tokens: number) {
  const response = await fetch(`${server.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "demo",
      prompt: "Once upon a time",
      max_tokens: tokens,
      stream: true,
      ignore_eos: true,
    }),
  });
  expect(response.status).toBe(200);
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let text = decoder.decode((await reader.read()).value, { stream: true });
  const rest = (async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text;
      text += decoder.decode(value, { stream: true });
    }
  })();
  return { rest };
}

const ONE_THREAD = ["--threads", "1", "--load", "demo"];

test("the ready line is all there is on stdout, and a signal ends an idle server with 0", async () => {
  using folder = tempFolder();
  const words = ["--port", "0", "--json-ready", "--models-dir", folder.path];
  // Without HOME the cache lies in the state folder.
  const state = ["--state-dir", join(folder.path, "s")];
  const child = Bun.spawn([...executableCommand(), ...words, ...state], {
    env: { PATH: process.env["PATH"] ?? "" },
    stdout: "pipe",
    stderr: "ignore",
  });
  const reader = child.stdout.getReader();
  const first = new TextDecoder().decode((await reader.read()).value);
  const ready = JSON.parse(first) as { event: string; url: string; port: number; pid: number };
  expect(ready).toEqual({
    event: "ready",
    url: `http://127.0.0.1:${ready.port}`,
    port: ready.port,
    pid: child.pid,
  });
  expect((await fetch(`${ready.url}/health`)).status).toBe(200);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  expect((await reader.read()).done).toBe(true);
});

test("T-L4: everything a run creates is for its owner only", async () => {
  using folder = tempFolder();
  const server = await startServer({
    cacheDir: join(folder.path, "cache"),
    args: ["--load", "demo"],
  });
  // Run from the sources nothing is extracted.
  const roots = [join(folder.path, "cache"), join(server.home, "state")].filter((root) =>
    existsSync(root),
  );
  for (const root of roots) {
    const inside = readdirSync(root, { recursive: true }).map((name) => join(root, String(name)));
    for (const path of [root, ...inside]) {
      expect(`${path} ${(lstatSync(path).mode & 0o077).toString(8)}`).toBe(`${path} 0`);
    }
  }
  expect(await server.stop()).toBe(0);
});

test.if(process.platform === "linux")(
  "T-L8: neither server nor engine leaves a core file",
  async () => {
    const server = await startServer({ args: ["--load", "demo"] });
    for (const pid of [server.pid, ...childrenOf(server.pid)]) {
      const limits = readFileSync(`/proc/${pid}/limits`, "utf8");
      expect(limits).toMatch(/^Max core file size +0 +0 /m);
    }
    expect(childrenOf(server.pid)).toHaveLength(1);
    expect(await server.stop()).toBe(0);
  },
);

test("T-L6: nothing of a run lives in the temporary folder", async () => {
  using folder = tempFolder();
  const server = await startServer({ args: ["--load", "demo"], env: { TMPDIR: folder.path } });
  expect(readdirSync(folder.path)).toEqual([]);
  expect(await server.stop()).toBe(0);
  expect(readdirSync(folder.path)).toEqual([]);
});

test("T-L6: no call of server or engine names a file of ours in a temporary folder", async () => {
  const [program, ...more] = executableCommand();
  if (program === undefined || more.length > 0) {
    console.warn("run from the sources: the calls of the executable are not traced");
    return;
  }
  if (Bun.which("strace") === null || !Bun.spawnSync(["strace", "-qq", "true"]).success) {
    console.warn("no strace, or no right to trace: T-L6 looks at what is left only");
    return;
  }
  using folder = tempFolder();
  const [temporary, record] = [join(folder.path, "tmp"), join(folder.path, "record")];
  mkdirSync(temporary);
  const cacheDir = join(folder.path, "cache");
  const trace = ["strace", "-f", "-qq", "-s", "4096", "-e", "trace=%file,bind", "-o", record];
  const server = await startServer({
    command: [...trace, program],
    cacheDir,
    args: ["--load", "demo"],
    env: { TMPDIR: temporary },
  });
  const { rest } = await openStream(server, 8);
  expect(await rest).toContain("[DONE]");
  process.kill(server.pid, "SIGTERM");
  expect(await server.exited).toBe(0);
  await server.stop();
  const named = readFileSync(record, "utf8").matchAll(/"(\/[^"]*)"/g);
  const paths = new Set([...named].map(([, path = ""]) => path));
  expect([...paths].filter((path) => path.startsWith(`${cacheDir}/engine-`))).not.toBeEmpty();
  const ours = [server.home, cacheDir, program];
  const strangers = [...paths].filter(
    (path) =>
      /^\/(?:var\/)?tmp\/./.test(path) &&
      !ours.some((prefix) => `${path}/`.startsWith(`${prefix}/`)),
  );
  // The compiler's headers are Bun's; they are gone when the engine runs.
  const compiler = new RegExp(`^${RegExp.escape(temporary)}(?:/\\.?[\\w-]*bun-cc.*)?$`);
  expect(strangers.filter((path) => !compiler.test(path))).toEqual([]);
  expect(readdirSync(temporary)).toEqual([]);
});

test("T-L2: no error tells a path, a stack or what the server is made of", async () => {
  const server = await startServer();
  const models = join(server.home, "models");
  // One that the header scan passes and the engine refuses, one that is refused at once.
  writeFileSync(join(models, "short.gguf"), tinyModel());
  writeFileSync(join(models, "junk.gguf"), "GGUF junk");
  const listed = async () => (await fetch(`${server.url}/v1/models`)).text();
  await until(async () => (await listed()).includes('"short"'), "the files are seen");
  const messages = [{ role: "user", content: "Hi" }];
  const chat = "/v1/chat/completions";
  const requests: [method: string, path: string, body?: unknown][] = [
    ["GET", "/nowhere"],
    ["GET", "/api/v1/nowhere"],
    ["GET", "/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd"],
    ["GET", "/api/v0/models/none"],
    ["GET", "/api/v1/models/download/status/job_0000000000"],
    ["DELETE", "/v1/models"],
    ["POST", chat, "{"],
    ["POST", chat, { messages: 1 }],
    ["POST", chat, { model: "none", messages }],
    ["POST", chat, { model: "short", messages }],
    ["POST", chat, { model: "junk", messages }],
    ["POST", chat, { model: "short", messages, stream: true }],
    ["POST", chat, { model: "demo", messages: [{ role: "user", content: "a ".repeat(9_000) }] }],
    ["POST", chat, { model: "demo", messages, response_format: { type: "grammar" } }],
    ["POST", "/v1/completions", { model: "demo", prompt: [99_999_999] }],
    ["POST", "/v1/completions", { model: "demo", prompt: "a", grammar: "root ::= (" }],
    ["POST", "/v1/embeddings", { model: "short", input: "a" }],
    ["POST", "/api/v0/chat/completions", { model: "short", messages }],
    ["POST", "/api/v1/chat", { model: "short", input: "a" }],
    ["POST", "/api/v1/chat", { model: "short", input: "a", stream: true }],
    ["POST", "/api/v1/models/load", { model: "short" }],
    ["POST", "/api/v1/models/load", { model: `${models}/short.gguf` }],
    ["POST", "/api/v1/models/unload", { instance_id: "none" }],
    ["POST", "/api/v1/models/download", { model: "file:///etc/passwd" }],
  ];
  const told: string[] = [];
  for (const [method, path, body] of requests) {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const init = { method, ...(body !== undefined && { body: text }) };
    const answer = await (await fetch(`${server.url}${path}`, init)).text();
    expect(`${method} ${path} ${answer}`).toContain("error");
    told.push(answer.replaceAll(text ?? "\0", ""));
  }
  const all = told.join("\n");
  expect(all).toContain("could not be loaded");
  // What a client sent is its own; everything else of this machine is not told.
  const asked = all.replaceAll(`${models}/short.gguf`, "");
  for (const secret of [server.home, models, "/home/", `${homedir()}/`, "/tmp/", Bun.version])
    expect(asked).not.toContain(secret);
  expect(all).not.toMatch(/(?:^|\\n)\s+at |\.ts:\d|node_modules/);
  expect(await server.stop()).toBe(0);
});

test("T-L1: what clients send is in no log, no metric and no file", async () => {
  const canary = (name: string): string => `canary-${name}-4711`;
  const server = await startServer({
    args: ["--log-level", "debug", "--api-key", canary("key")],
  });
  const authorization = `Bearer ${canary("key")}`;
  const send = async (path: string, body: unknown, headers = { authorization }) => {
    const url = `${server.url}${path}?secret=${canary("query")}`;
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    return response.text();
  };
  const messages = [{ role: "user", content: canary("prompt") }];
  const chat = "/v1/chat/completions";
  await send(chat, { model: "demo", messages, max_tokens: 4 });
  await send(chat, { model: "demo", messages, max_tokens: 4, stream: true });
  await send(chat, { model: canary("model"), messages });
  await send(chat, { model: "demo", messages: canary("messages") });
  await send(chat, { model: "demo", messages, temperature: canary("value") });
  await send(chat, { model: "demo", messages, response_format: { type: canary("format") } });
  await send(chat, { model: "demo", messages }, { authorization: `Bearer ${canary("wrong")}` });
  await send("/v1/completions", {
    model: "demo",
    prompt: canary("raw"),
    max_tokens: 2,
    echo: true,
  });
  await send("/v1/embeddings", { model: "demo", input: canary("input") });
  await send("/api/v1/chat", { model: "demo", input: canary("native"), store: false });
  await send("/api/v1/models/download", { model: canary("download") });
  const metrics = await fetch(`${server.url}/metrics`, { headers: { authorization } });
  const said = [await metrics.text(), server.stderr()].join("\n");
  const found = said.match(/canary-(\w+)-4711/g) ?? [];
  // A name that no model has is told, as the name it is.
  expect(found.filter((word) => word !== canary("model"))).toEqual([]);
  const state = join(server.home, "state");
  const files = readdirSync(state, { recursive: true }).map((name) => join(state, String(name)));
  expect(files.length).toBeGreaterThan(1);
  for (const file of files.filter((path) => lstatSync(path).isFile()))
    expect([file, readFileSync(file).includes("canary-")]).toEqual([file, false]);
  expect(await server.stop()).toBe(0);
  expect(server.stderr().replaceAll(canary("model"), "")).not.toContain("canary-");
});

test("G2: a stream that fits in the grace time ends as if nothing had happened", async () => {
  const server = await startServer({ args: [...ONE_THREAD, "--shutdown-grace", "60"] });
  const { rest } = await openStream(server, 300);
  server.signal("SIGTERM");
  const text = await rest;
  expect(text).toEndWith("data: [DONE]\n\n");
  expect(text).not.toContain('"error"');
  expect(await server.exited).toBe(0);
  await server.stop();
  expect(server.stderr()).toContain('"stopped"');
});

test("G3: a stream that does not fit ends with its dialect's error, and the server with 0", async () => {
  const server = await startServer({ args: [...ONE_THREAD, "--shutdown-grace", "0"] });
  const streams = await Promise.all([openStream(server, 1_900), openStream(server, 1_900)]);
  server.signal("SIGTERM");
  for (const { rest } of streams) {
    const text = await rest;
    expect(text).toContain('"error"');
    expect(text).toContain("shutting down");
  }
  expect(await server.exited).toBe(0);
  await server.stop();
});

test.each([
  ["SIGTERM", 143],
  ["SIGINT", 130],
] as const)(
  "G10: a second %s ends the process at once with %i, and its engine with it",
  async (signal, code) => {
    const server = await startServer({ args: [...ONE_THREAD, "--shutdown-grace", "60"] });
    const { rest } = await openStream(server, 1_900);
    const ended = rest.catch(() => "cut");
    const [engine] = childrenOf(server.pid);
    server.signal(signal);
    await until(() => server.stderr().includes("stopping"), "it is stopping");
    server.signal(signal);
    expect(await server.exited).toBe(code);
    await ended;
    await until(() => !isAlive(engine ?? 0), "the engine is gone");
    await server.stop();
  },
);

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false; // no such process
  }
}

test("SIGUSR1, SIGUSR2 and SIGPIPE change nothing", async () => {
  const server = await startServer();
  for (const signal of ["SIGUSR1", "SIGUSR2", "SIGPIPE"] as const) server.signal(signal);
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
  expect(await server.stop()).toBe(0);
});

test("SIGHUP reads the configuration and the folders again; a bad one changes nothing", async () => {
  using folder = tempFolder();
  const config = join(folder.path, "config.json");
  const keys = join(folder.path, "keys");
  writeFileSync(keys, "first\n", { mode: 0o600 });
  writeFileSync(config, JSON.stringify({ aliases: { one: "demo" }, apiKeyFile: keys }));
  const server = await startServer({ args: ["--config", config] });
  const headers = { "x-api-key": "first" };
  const knows = async (name: string) =>
    (await fetch(`${server.url}/v1/models/${name}`, { headers })).status === 200;
  expect([await knows("one"), await knows("two")]).toEqual([true, false]);
  const changed = { aliases: { two: "demo" }, ttl: 7, apiKeyFile: keys };
  writeFileSync(config, JSON.stringify(changed));
  writeFileSync(keys, "second\n");
  server.signal("SIGHUP");
  await until(() => knows("two"), "the new alias is known");
  expect(await knows("one")).toBe(false);
  expect(server.stderr()).toContain('"needsRestart":"ttl, api-key-file"');
  writeFileSync(config, "{ broken");
  server.signal("SIGHUP");
  await until(() => server.stderr().includes("was not reloaded"), "the refusal is logged");
  expect(await knows("two")).toBe(true);
  expect(await server.stop()).toBe(0);
});

test("localhost answers on both loopback addresses", async () => {
  const server = await startServer({ args: ["--bind", "localhost"] });
  for (const host of ["127.0.0.1", "[::1]"]) {
    expect((await fetch(`http://${host}:${server.port}/health`)).status).toBe(200);
  }
  expect(await server.stop()).toBe(0);
});

test("T-B1: all networks without a key: it works and warns loudly", async () => {
  const server = await startServer({ args: ["--bind", "0.0.0.0", "--log-format", "text"] });
  expect((await fetch(`http://127.0.0.1:${server.port}/v1/models`)).status).toBe(200);
  await until(() => server.stderr().includes("requires no key"), "the warning is out");
  expect(await server.stop()).toBe(0);
});

test.each([
  ["without a key", "", []],
  ["with a key file", "keys of 'ours'", ["--api-key-file"]],
] as const)("the request of the banner works as pasted: %s", async (_name, fileName, flags) => {
  if (Bun.which("curl") === null) {
    console.warn("no curl here: the banner's request is not pasted");
    return;
  }
  using folder = tempFolder();
  const file = join(folder.path, fileName);
  if (flags.length > 0) writeFileSync(file, "# a comment\n\nkey-123456\n", { mode: 0o600 });
  const args = ["--log-format", "text", "--load", "demo", "--threads", "1"];
  const server = await startServer({ args: [...args, ...flags.flatMap((flag) => [flag, file])] });
  await until(() => server.stderr().includes("  curl "), "the banner is out");
  const line = server.stderr().match(/^ {2}(curl .*)$/m)?.[1] ?? "";
  const { stdout } = Bun.spawnSync(["sh", "-c", `${line} -s`]);
  expect(JSON.parse(stdout.toString())).toMatchObject({ object: "chat.completion", model: "demo" });
  expect(await server.stop()).toBe(0);
});

test("T-L3: keys are demanded, are in no log, and stay out of the engine's environment", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "keys");
  writeFileSync(file, "# ours\nfile-key-123456\n", { mode: 0o644 });
  const server = await startServer({
    args: ["--api-key", "flag-key-123456", "--api-key-file", file, "--load", "demo"],
    env: { LMSERVER_API_KEY: "weaker-key-123456" },
  });
  const status = async (key: string | null) => {
    const headers: Record<string, string> = key === null ? {} : { authorization: `Bearer ${key}` };
    return (await fetch(`${server.url}/v1/models`, { headers })).status;
  };
  expect(await status(null)).toBe(401);
  expect(await status("weaker-key-123456")).toBe(401);
  expect(await status("flag-key-123456")).toBe(200);
  expect(await status("file-key-123456")).toBe(200);
  const [engine] = childrenOf(server.pid);
  expect(readFileSync(`/proc/${engine}/environ`, "utf8")).not.toContain("key-123456");
  expect(server.stderr()).not.toContain("key-123456");
  expect(server.stderr()).toContain("prefer --api-key-file");
  expect(server.stderr()).toContain("chmod 600");
  const env = { HOME: folder.path, LM_API_TOKEN: "file-key-123456" };
  const state = ["--state-dir", join(server.home, "state")];
  const { stdout } = await runCommand(["status", "--json", ...state], env);
  expect(JSON.parse(stdout)).toMatchObject({ running: true, loaded: ["demo"] });
  expect(await server.stop()).toBe(0);
});

test("a model of --load that does not exist ends the start with 1, unless it is optional", async () => {
  using folder = tempFolder();
  const words = ["--port", "0", "--models-dir", folder.path, "--load", "nope"];
  const dirs = ["--state-dir", join(folder.path, "s"), "--cache-dir", join(folder.path, "c")];
  const { code, stderr } = await runCommand(["serve", ...words, ...dirs]);
  expect(code).toBe(1);
  expect(stderr).toContain('no model is called "nope"');
  const server = await startServer({ args: ["--load", "nope", "--load-optional"] });
  expect(server.stderr()).toContain("could not be loaded");
  expect(await server.stop()).toBe(0);
});

test("G11: a signal at any moment of the start leaves no process and no lock", async () => {
  using folder = tempFolder();
  const words = ["--port", "0", "--models-dir", folder.path, "--load", "demo"];
  const dirs = ["--state-dir", join(folder.path, "s"), "--cache-dir", join(folder.path, "c")];
  for (const delayMs of [0, 60, 120, 200, 300, 450]) {
    const child = Bun.spawn([...executableCommand(), "serve", ...words, ...dirs], {
      env: { PATH: process.env["PATH"] ?? "" },
      stdout: "ignore",
      stderr: "ignore",
    });
    await Bun.sleep(delayMs);
    child.kill("SIGTERM");
    expect([0, 143]).toContain(await child.exited);
  }
  const server = await startServer({ args: ["--state-dir", join(folder.path, "s")] });
  expect(await server.stop()).toBe(0);
});

test("a ready line that nobody reads ends no server", async () => {
  using folder = tempFolder();
  const words = ["--port", "0", "--json-ready", "--models-dir", folder.path];
  const pipe = join(folder.path, "stdout");
  Bun.spawnSync(["mkfifo", pipe]);
  const readEnd = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeEnd = openSync(pipe, constants.O_WRONLY);
  const child = Bun.spawn([...executableCommand(), ...words, "--state-dir", folder.path], {
    env: { PATH: process.env["PATH"] ?? "" },
    stdout: writeEnd,
    stderr: "pipe",
  });
  for (const end of [writeEnd, readEnd]) closeSync(end);
  let said = "";
  let isAsked = false;
  const decoder = new TextDecoder();
  for await (const chunk of child.stderr) {
    said += decoder.decode(chunk, { stream: true });
    if (isAsked || !said.includes("Try it:")) continue;
    isAsked = true;
    child.kill("SIGTERM");
  }
  expect(said).toContain('"signal":"SIGTERM"');
  expect(await child.exited).toBe(0);
});

test("a reader of stderr that does not read costs log lines, not the server", async () => {
  using folder = tempFolder();
  const words = ["--port", "0", "--json-ready", "--models-dir", folder.path];
  const dirs = ["--state-dir", join(folder.path, "s"), "--cache-dir", join(folder.path, "c")];
  const pipe = join(folder.path, "stderr");
  Bun.spawnSync(["mkfifo", pipe]);
  const readEnd = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeEnd = openSync(pipe, constants.O_WRONLY);
  const child = Bun.spawn([...executableCommand(), ...words, ...dirs], {
    env: { PATH: process.env["PATH"] ?? "" },
    stdout: "pipe",
    stderr: writeEnd,
  });
  closeSync(writeEnd);
  const ready = new TextDecoder().decode((await child.stdout.getReader().read()).value);
  const { url } = JSON.parse(ready) as { url: string };
  const path = `/${"x".repeat(3_000)}`;
  for (let round = 0; round < 60; round += 1) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(url + path)));
    for (const answer of answers) expect(answer.status).toBe(404);
    await Promise.all(answers.map((answer) => answer.text()));
  }
  const log = Buffer.concat(await readUntilNotice(readEnd)).toString();
  expect(log).toMatch(/\d+ log lines were dropped because nobody read them/);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  closeSync(readEnd);
});

/** Reads a pipe until the notice about dropped lines has come through. */
async function readUntilNotice(file: number): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  const buffer = Buffer.alloc(65_536);
  await until(() => {
    for (;;) {
      try {
        const count = readSync(file, buffer);
        if (count === 0) break;
        chunks.push(Buffer.from(buffer.subarray(0, count)));
      } catch {
        break; // empty for now
      }
    }
    return Buffer.concat(chunks).includes("were dropped because");
  }, "the loss is told");
  return chunks;
}
