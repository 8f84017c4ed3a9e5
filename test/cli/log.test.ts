import { expect, test, setDefaultTimeout } from "bun:test";
import { join } from "node:path";
import { executableCommand } from "../support/executable.ts";
import { eventStream, startFakeServer } from "../support/fake-server.ts";
import { runCommand } from "../support/run-command.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);

/** `lmserver log` while it runs. */
function watchLog(server: TestServer, ...words: readonly string[]) {
  const where = ["--state-dir", join(server.home, "state")];
  const child = Bun.spawn([...executableCommand(), "log", ...words, ...where], {
    env: { PATH: process.env["PATH"] ?? "", HOME: server.home },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let text = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) text += decoder.decode(chunk, { stream: true });
  })();
  return {
    shown: () => text,
    async end() {
      child.kill("SIGINT");
      const code = await child.exited;
      await reading;
      return code;
    },
    child,
  };
}

/** Asks until the log shows it: the log begins when its reader has arrived. */
async function askUntilShown(server: TestServer, shown: () => string, wanted: string) {
  await until(async () => {
    await fetch(`${server.url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "demo", prompt: "Canary-4711 once", max_tokens: 4 }),
    }).then((response) => response.text());
    return shown().includes(wanted);
  }, `${wanted} in ${shown()}`);
}

/** What was printed so far, without a line that is not whole yet. */
const events = (text: string) =>
  text
    .slice(0, text.lastIndexOf("\n"))
    .split("\n")
    .map((line) => JSON.parse(line) as { timestamp: number; data: Record<string, unknown> });

test("shows figures but no texts, unless the server logs content", async () => {
  const server = await startServer();
  try {
    const log = watchLog(server, "stream", "--json", "--source", "model");
    await askUntilShown(server, log.shown, "llm.prediction.output");
    expect(await log.end()).toBe(0);
    expect(log.shown()).not.toContain("Canary");
    const all = events(log.shown());
    const output = all.find(({ data }) => data["type"] === "llm.prediction.output");
    expect(output).toEqual({
      timestamp: expect.any(Number),
      data: {
        type: "llm.prediction.output",
        modelIdentifier: "demo",
        modelPath: "demo",
        stats: {
          stopReason: expect.any(String),
          tokensPerSecond: expect.any(Number),
          timeToFirstTokenSec: expect.any(Number),
          promptTokensCount: expect.any(Number),
          predictedTokensCount: expect.any(Number),
          totalTokensCount: expect.any(Number),
        },
      },
    });
  } finally {
    await server.stop();
  }
});

test("shows what the server says and, with --log-content, questions and answers; ends with it", async () => {
  const server = await startServer({ args: ["--log-content"] });
  const log = watchLog(server, "--json");
  const model = watchLog(server, "--source", "model", "--filter", "input", "--stats");
  await askUntilShown(server, log.shown, '"output":');
  await askUntilShown(server, model.shown, "Canary-4711 once");
  await fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "demo",
      messages: [{ role: "user", content: "Canary-chat" }],
      max_tokens: 2,
      n: 2,
    }),
  }).then((response) => response.text());
  const asked = (): number =>
    events(log.shown()).findIndex(({ data }) => String(data["input"]).includes("Canary-chat"));
  await until(
    () =>
      events(log.shown())
        .slice(asked())
        .filter(({ data }) => data["type"] === "llm.prediction.output").length === 2,
    "both answers of the chat",
  );
  expect(events(log.shown())[asked()]?.data["input"]).toContain("<|im_start|>user\nCanary-chat");
  const all = events(log.shown());
  const types = new Set(all.map(({ data }) => data["type"]));
  expect(types).toEqual(new Set(["llm.prediction.input", "llm.prediction.output", "server.log"]));
  const said = all.filter(({ data }) => data["type"] === "server.log");
  expect(said.map(({ data }) => data["content"]).join("\n")).toContain("path=/v1/completions");
  const input = all.find(({ data }) => data["type"] === "llm.prediction.input");
  expect(input?.data["input"]).toBe("Canary-4711 once");
  expect(model.shown()).toMatch(/^\S+Z input to demo: Canary-4711 once$/m);
  expect(model.shown()).not.toContain("output of");
  server.signal("SIGTERM");
  expect(await server.exited).toBe(0);
  expect(await log.child.exited).toBe(3);
  expect(await model.child.exited).toBe(3);
  await server.stop();
});

test("a server that is killed ends it with the code of one that is not there", async () => {
  const line = { timestamp: 0, data: { type: "server.log", level: "info", content: "here" } };
  const server = startFakeServer({
    "/api/lmserver/logs": () => eventStream([JSON.stringify(line), undefined]),
  });
  const child = Bun.spawn([...executableCommand(), "log", "--json", ...server.where], {
    env: { HOME: "/" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  expect((await child.stdout.getReader().read()).done).toBe(false);
  server[Symbol.dispose]();
  expect(await child.exited).toBe(3);
  expect(JSON.parse(await new Response(child.stderr).text())).toEqual({
    error: { message: "The server ended.", code: "unreachable" },
  });
});

test("needs the permission to administer", async () => {
  const server = await startServer({ args: ["--api-key", "k"] });
  try {
    const where = ["--state-dir", join(server.home, "state")];
    const token = async (permission: string): Promise<string> => {
      const words = ["token", "create", "--name", "t", "--permission", permission, ...where];
      return (await runCommand(words, { HOME: server.home })).stdout.trim();
    };
    const weak = { HOME: server.home, LM_API_TOKEN: await token("inference") };
    const { code, stderr } = await runCommand(["log", ...where], weak);
    expect([code, stderr]).toEqual([1, expect.stringContaining("server:admin")]);
    const answer = await fetch(`${server.url}/api/lmserver/logs?source=server`, {
      headers: { authorization: `Bearer ${await token("server:admin")}` },
    });
    expect(answer.status).toBe(200);
    await answer.body?.cancel();
    const wrong = await fetch(`${server.url}/api/lmserver/logs?source=all`, {
      headers: { authorization: "Bearer k" },
    });
    expect(wrong.status).toBe(400);
  } finally {
    await server.stop();
  }
});

test.each([
  ["a filter without its source", ["--filter", "input"], 2, "--source model"],
  ["a filter of another word", ["--source", "model", "--filter", "x"], 2, "--filter"],
  ["another source", ["--source", "runtime"], 2, "model, server"],
  ["another word", ["now"], 2, "stream"],
  ["something that is no log", [], 1, "no log"],
])("log: %s", async (_name, words, exitCode, hint) => {
  using server = startFakeServer({
    "/api/lmserver/logs": () => eventStream([JSON.stringify({ timestamp: "now", data: {} })]),
  });
  const { code, stderr } = await runCommand(["log", ...words, ...server.where], { HOME: "/" });
  expect([code, stderr]).toEqual([exitCode, expect.stringContaining(hint)]);
});
