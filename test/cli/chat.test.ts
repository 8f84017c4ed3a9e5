import { afterAll, beforeAll, describe, expect, test, setDefaultTimeout } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chatChunk, eventStream, modelList, startFakeServer } from "../support/fake-server.ts";
import { executableCommand } from "../support/executable.ts";
import { openProgram, openTerminal } from "../support/pseudo-terminal.ts";
import { runCommand } from "../support/run-command.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);

let home: string;
let env: Record<string, string>;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "lmserver-chat-"));
  env = { HOME: home };
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const USAGE = JSON.stringify({
  choices: [],
  usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 },
});
const whole = (...texts: readonly string[]): Response =>
  eventStream([
    ...texts.map((content) => chatChunk({ content })),
    chatChunk({}, "stop"),
    USAGE,
    "[DONE]",
  ]);

describe("one answer", () => {
  test("goes to stdout, with a key; the figures go to stderr", async () => {
    using server = startFakeServer({
      "/api/v1/models": () => modelList("pub/one"),
      "/v1/chat/completions": () => whole("Hel", "lo."),
    });
    const { code, stdout, stderr } = await runCommand(
      ["chat", ...server.where, "-p", "Hi", "-s", "Be brief", "--stats", "--ttl", "60"],
      { ...env, LM_API_TOKEN: "secret-7" },
    );
    expect([code, stdout]).toEqual([0, "Hello.\n"]);
    expect(stderr).toMatch(/^Stop Reason: stop$/m);
    expect(stderr).toMatch(/^Tokens\/Second: \d+\.\d\d$/m);
    expect(stderr).toMatch(/^Time to First Token: \d+\.\d{3}s$/m);
    expect(stderr).toMatch(/^Prompt Tokens: 7\nPredicted Tokens: 2\nTotal Tokens: 9$/m);
    const asked = server.requests.at(-1);
    expect(asked?.headers.get("authorization")).toBe("Bearer secret-7");
    expect(asked?.body).toMatchObject({
      model: "pub/one",
      ttl: 60,
      messages: [
        { role: "system", content: "Be brief" },
        { role: "user", content: "Hi" },
      ],
    });
  });

  test("what is piped in stands below the prompt, and alone it is the prompt", async () => {
    using server = startFakeServer({
      "/api/v1/models": () => modelList("one"),
      "/v1/chat/completions": ({ body }) =>
        whole(JSON.stringify((body as { messages: unknown }).messages)),
    });
    const words = ["chat", "one", ...server.where, "--reasoning", "off"];
    const both = await runCommand([...words, "-p", "Sum up:"], env, "line 1\nline 2\n");
    expect(JSON.parse(both.stdout)).toEqual([
      { role: "user", content: "Sum up:\n\nline 1\nline 2" },
    ]);
    const alone = await runCommand(words, env, "line 1");
    expect(JSON.parse(alone.stdout)).toEqual([{ role: "user", content: "line 1" }]);
    expect(server.requests.at(-1)?.body).toMatchObject({ enable_thinking: false });
    expect((await runCommand(words, env)).code).toBe(2);
  });

  test("with --json it is one document, thoughts apart", async () => {
    using server = startFakeServer({
      "/api/v1/models": () => modelList("one"),
      "/v1/chat/completions": () =>
        eventStream([
          chatChunk({ reasoning_content: "hm" }),
          chatChunk({ content: "Yes" }),
          chatChunk({}, "length"),
          USAGE,
          "[DONE]",
        ]),
    });
    const { stdout, stderr } = await runCommand(
      ["chat", ...server.where, "-p", "?", "--json"],
      env,
    );
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toMatchObject({
      model: "one",
      content: "Yes",
      reasoning: "hm",
      stats: { stopReason: "length", promptTokens: 7, predictedTokens: 2 },
    });
  });

  test.each([
    ["a name that may be several", ["on"], 2, "one-b"],
    ["no name and several models", [], 2, "one-b"],
    ["a name that the server does not know either", ["nope"], 1, "Model not found"],
  ])("%s", async (_name, words, exitCode, hint) => {
    using server = startFakeServer({
      "/api/v1/models": () => modelList("one-a", "one-b"),
      "/v1/chat/completions": () =>
        Response.json({ error: { message: "no such model", code: "x" } }, { status: 404 }),
    });
    const { code, stderr } = await runCommand(["chat", ...words, ...server.where, "-p", "?"], env);
    expect(code).toBe(exitCode);
    expect(stderr).toContain(hint);
  });

  test.each([
    ["an error in the middle", JSON.stringify({ error: { message: "it crashed" } }), "it crashed"],
    ["an end in the middle", "[DONE]", "before it was complete"],
    ["something that is no JSON", "oops", "before it was complete"],
  ])("%s is a failure", async (_name, last, hint) => {
    using server = startFakeServer({
      "/api/v1/models": () => modelList("one"),
      "/v1/chat/completions": () => eventStream([chatChunk({ content: "He" }), last]),
    });
    const { code, stdout, stderr } = await runCommand(["chat", ...server.where, "-p", "?"], env);
    expect([code, stdout]).toEqual([1, "He\n"]);
    expect(stderr).toContain(hint);
  });
});

describe("a conversation at a terminal", () => {
  test("remembers, edits, has commands, and Ctrl-D leaves", async () => {
    let turns = 0;
    using server = startFakeServer({
      "/api/v1/models": () => modelList("alpha", "beta"),
      "/v1/chat/completions": () => whole(`answer ${(turns += 1)}`),
    });
    const chat = openTerminal(["chat", "alpha", ...server.where], env);
    await chat.see("Chatting with alpha");
    await chat.see("> ");
    chat.type("first\r");
    await chat.see("answer 1");
    await chat.see("> ");
    chat.type("\u001b[A\u007f\u007f!\r"); // the last line again, without its end
    await chat.see("answer 2");
    expect(server.requests.at(-1)?.body).toMatchObject({
      messages: [
        { role: "user", content: "first" },
        { role: "assistant", content: "answer 1" },
        { role: "user", content: "fir!" },
      ],
    });
    for (const [line, reply] of [
      ["/help", "/system <text>"],
      ["/modle", "Did you mean /model?"],
      ["/model bet", "The model is beta."],
      ["/model gamma", "Model not found"],
      ["/models", "  beta"],
      ["/stats", "Figures are on."],
      ["/reasoning off", "Reasoning is off."],
      ["/reasoning maybe", "/reasoning takes auto, on or off."],
      ["/reasoning", "Reasoning is off."],
      ["/system Be kind", "The system prompt is set."],
    ] as const) {
      await chat.see("> ");
      chat.type(`${line}\r`);
      await chat.see(reply);
    }
    await chat.see("> ");
    chat.type("again\r");
    await chat.see("answer 3");
    await chat.see("Total Tokens: 9");
    expect(server.requests.at(-1)?.body).toMatchObject({
      model: "beta",
      enable_thinking: false,
      messages: [
        { role: "system", content: "Be kind" },
        { role: "user", content: "again" },
      ],
    });
    await chat.see("> ");
    chat.type("\u0004");
    expect(await chat.exited).toBe(0);
    chat.close();
  });

  test("Ctrl-C stops an answer and the next question is asked; twice in a row it leaves", async () => {
    using server = startFakeServer({
      "/api/v1/models": () => modelList("one"),
      "/v1/chat/completions": () => eventStream([chatChunk({ content: "endless" }), undefined]),
    });
    const chat = openTerminal(["chat", ...server.where], env);
    await chat.see("> ");
    chat.type("go\r");
    await chat.see("endless");
    chat.type("\u0003");
    await chat.see("(stopped)");
    await chat.see("> ");
    chat.type("more\r");
    await chat.see("endless");
    expect(server.requests.at(-1)?.body).toMatchObject({
      messages: [{ content: "go" }, { content: "endless" }, { content: "more" }],
    });
    chat.type("\u0003");
    await chat.see("(stopped)");
    await chat.see("> ");
    chat.type("\u0003");
    expect(await chat.exited).toBe(130);
    chat.close();
  });

  test.each(["x", "\u0003"])(
    "ends without a word when nobody reads it any longer (%j)",
    async (key) => {
      using server = startFakeServer({ "/api/v1/models": () => modelList("pub/one") });
      const words = [...executableCommand(), "chat", ...server.where].map((word) => `'${word}'`);
      const chat = openProgram(["sh", "-c", `${words.join(" ")} | head -1; echo over`], env);
      await chat.see("Chatting with");
      let isOver = false;
      void chat.exited.then(() => (isOver = true));
      await until(() => {
        if (!isOver) chat.type(key);
        return isOver;
      }, "its end");
      expect(chat.shown()).not.toMatch(/EPIPE|ReaderGone|error/);
      chat.close();
    },
  );

  test("Ctrl-C at the prompt says what a second one does", async () => {
    using server = startFakeServer({ "/api/v1/models": () => modelList("one") });
    const chat = openTerminal(["chat", ...server.where], env);
    await chat.see("> ");
    chat.type("half a line\u0003");
    await chat.see("Ctrl-C again leaves.");
    chat.type("\u0003");
    expect(await chat.exited).toBe(130);
    chat.close();
  });

  test("a terminal obeys nothing that a model says, nor a server's errors", async () => {
    const evil = "\u001b]52;c;ZXZpbA==\u0007\u009b2J\rtext";
    let turns = 0;
    using server = startFakeServer({
      "/api/v1/models": () => modelList("one"),
      "/v1/chat/completions": () =>
        (turns += 1) === 1
          ? whole("\u001b", "]52;c;ZXZpbA==\u0007", evil)
          : Response.json({ error: { message: evil } }, { status: 500 }),
    });
    const chat = openTerminal(["chat", ...server.where], env);
    await chat.see("> ");
    chat.type("go\r");
    await chat.see("2Jtext");
    await chat.see("> ");
    chat.type("again\r");
    await chat.see("2Jtext");
    expect(chat.shown()).not.toContain("\u001b]52");
    expect(chat.shown()).not.toContain("\u009b");
    expect(chat.shown()).not.toContain("\u0007");
    chat.type("\u0003\u0003");
    await chat.exited;
    chat.close();
  });
});

describe("with the product's own server", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ args: ["--alias", "friend=demo"] });
  });
  afterAll(async () => void (await server.stop()));

  test("the demo model answers, once and in a conversation", async () => {
    const where = ["--state-dir", join(server.home, "state")];
    await runCommand(["load", "demo", "--identifier", "second", ...where], env);
    const once = await runCommand(["chat", "demo", "-p", "Hello there", ...where], env);
    expect([once.code, once.stderr]).toEqual([0, ""]);
    expect(once.stdout.trim()).not.toBe("");
    const chat = openTerminal(["chat", "demo", ...where, "--stats"], env);
    await chat.see("Chatting with demo");
    await chat.see("> ");
    chat.type("Hello there\r");
    await chat.see("Predicted Tokens:");
    for (const name of ["friend", "second"]) {
      await chat.see("> ");
      chat.type(`/model ${name}\r`);
      await chat.see(`The model is ${name}.`);
    }
    await chat.see("> ");
    chat.type("/exit\r");
    expect(await chat.exited).toBe(0);
    chat.close();
  });
});
