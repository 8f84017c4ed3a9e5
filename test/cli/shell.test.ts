import { expect, test, setDefaultTimeout } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { executableCommand } from "../support/executable.ts";
import { chatChunk, modelList, startFakeServer } from "../support/fake-server.ts";
import { openProgram } from "../support/pseudo-terminal.ts";
import { resultOf, runCommand } from "../support/run-command.ts";
import { tempFolder } from "../support/temp-folder.ts";

setDefaultTimeout(60_000);

const VERBS =
  "serve status stop ls ps get import rm load unload chat bench log token install-service completions doctor version help";

/** What bash would offer for the words of a command line, the last of them unfinished. */
function offered(script: string, ...words: readonly string[]): string[] {
  const line = words.map((word) => `'${word}'`).join(" ");
  const ask = `source "$1"; COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _lmserver; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = Bun.spawnSync(["bash", "-c", ask, "bash", script]);
  return stdout.toString().trim().split("\n");
}

test("help lists every verb with a sentence, and each explains itself", async () => {
  const { stdout } = await runCommand(["help"]);
  for (const verb of VERBS.split(" ")) {
    expect(stdout).toMatch(new RegExp(`^  ${verb} +[A-Z].{10,}$`, "m"));
    const text = await runCommand(["help", verb]);
    expect([text.code, text.stderr]).toEqual([0, ""]);
  }
  expect((await runCommand(["lod"])).stderr).toContain("Did you mean: lmserver load");
});

test("output that cannot be written is a failure in one sentence", async () => {
  if (!existsSync("/dev/full")) return console.log("there is no /dev/full here");
  const child = Bun.spawn([...executableCommand(), "version"], {
    stdin: "ignore",
    stdout: Bun.file("/dev/full"),
    stderr: "pipe",
  });
  expect(await child.exited).toBe(1);
  const said = await new Response(child.stderr).text();
  expect(said).toBe("error: The output cannot be written (ENOSPC).\n");
});

/** Server-sent events until the client leaves. */
function endlessStream(event: string): Response {
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await Bun.sleep(1);
      controller.enqueue(new TextEncoder().encode(`data: ${event}\n\n`));
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

const LINE = { timestamp: 0, data: { type: "server.log", level: "info", content: "here" } };

test.each([
  [["log", "--quiet"], "head -1", "1970-01-01T00:00:00.000Z info  here\n"],
  [["chat", "x", "-p", "Hi"], "head -c 5", "word "],
])("%j ends when nobody reads it any longer", async (words, reader, shown) => {
  using server = startFakeServer({
    "/api/lmserver/logs": () => endlessStream(JSON.stringify(LINE)),
    "/api/v1/models": () => modelList("x"),
    "/v1/chat/completions": () => endlessStream(chatChunk({ content: "word " })),
  });
  const script = `"$@" < /dev/null | ${reader}; printf '<%s>' "\${PIPESTATUS[0]}"`;
  const command = [...executableCommand(), ...words, ...server.where];
  const child = Bun.spawn(["bash", "-c", script, "bash", ...command], {
    env: { PATH: process.env["PATH"] ?? "", HOME: "/" },
    stdout: "pipe",
    stderr: "pipe",
  });
  expect(await resultOf(child)).toEqual({ code: 0, stdout: `${shown}<0>`, stderr: "" });
});

test("bash completes verbs, flags, values and sub-verbs", async () => {
  using folder = tempFolder();
  const { code, stdout } = await runCommand(["completions", "bash"]);
  expect(code).toBe(0);
  const script = join(folder.path, "lmserver.bash");
  writeFileSync(script, stdout);
  const parsed = Bun.spawnSync(["bash", "-n", script]);
  expect([parsed.exitCode, parsed.stderr.toString()]).toEqual([0, ""]);
  expect(offered(script, "lmserver", "")).toEqual(VERBS.split(" "));
  expect(offered(script, "lmserver", "un")).toEqual(["unload"]);
  expect(offered(script, "lmserver", "load", "--est")).toEqual(["--estimate-only"]);
  expect(offered(script, "lmserver", "load", "--gpu", "")).toEqual(["auto", "off", "max"]);
  const levels = ["debug", "info", "warn", "error", "none"];
  expect(offered(script, "lmserver", "serve", "--log-level", "=")).toEqual(levels);
  expect(offered(script, "lmserver", "--log-level", "=", "in")).toEqual(["info"]);
  expect(offered(script, "lmserver", "serve", "--no-ji")).toEqual(["--no-jit"]);
  expect(offered(script, "lmserver", "token", "c")).toEqual(["create"]);
  expect(offered(script, "lmserver", "help", "inst")).toEqual(["install-service"]);
});

test.each([
  ["zsh", ["zsh", "-n"], ["#compdef lmserver", "'chat:Talk with a model"]],
  ["fish", ["fish", "--no-execute"], ["complete -c lmserver -f", "-a chat -d 'Talk"]],
] as const)("%s gets every verb and flag", async (shell, check, parts) => {
  using folder = tempFolder();
  const { code, stdout } = await runCommand(["completions", shell]);
  expect(code).toBe(0);
  for (const part of [...parts, "system-prompt", "models-dir", "reasoning"])
    expect(stdout).toContain(part);
  const script = join(folder.path, "script");
  writeFileSync(script, stdout);
  if (Bun.which(check[0]) === null) {
    console.log(`${shell} is not installed: its script is only compared, not parsed`);
    return;
  }
  const parsed = Bun.spawnSync([...check, script]);
  expect([parsed.exitCode, parsed.stderr.toString()]).toEqual([0, ""]);
});

/** How each shell is started bare, reads its script, and shows the words that a command got. */
const SHELLS: readonly (readonly [string, readonly string[], string, string])[] = [
  [
    "bash",
    ["bash", "--norc", "--noprofile", "-i"],
    "source ./script",
    `lmserver() { printf '<%s>' "$@"; }`,
  ],
  [
    "zsh",
    ["zsh", "-f", "-i"],
    'autoload -Uz compinit; compinit -u -D; eval "$(<./script)"',
    `lmserver() { printf '<%s>' "$@"; }`,
  ],
  [
    "fish",
    ["fish", "--no-config", "-i"],
    "source ./script",
    "function lmserver; printf '<%s>' $argv; end",
  ],
];

test.each(SHELLS)(
  "%s completes names with blanks, goes on into folders, and knows flags after a word",
  async (shell, command, read, define) => {
    if (Bun.which(shell) === null) return console.log(`${shell} is not installed`);
    using folder = tempFolder();
    const { stdout } = await runCommand(["completions", shell]);
    writeFileSync(join(folder.path, "script"), stdout);
    writeFileSync(join(folder.path, "my model.gguf"), "");
    mkdirSync(join(folder.path, "old models/x"), { recursive: true });
    const env = { HOME: folder.path, PS1: "$ ", TERM: "dumb" };
    const session = openProgram(command, env, folder.path);
    session.type(`${define}\r${read}; echo rea''dy\r`);
    await session.see("ready\r\n");
    for (const [keys, words] of [
      ["import my\tX", "<import><my model.gguf><X>"],
      ["ls --models-dir ol\tX", "<ls><--models-dir><old models/X>"],
      ["import ol\tx\tX", "<import><old models/x/X>"],
      ["load foo --est\tX", "<load><foo><--estimate-only><X>"],
      ["token rm X --na\tX", "<token><rm><X><--name><X>"],
      ["--log-l\tX", "<--log-level><X>"],
      ["--port 80 --log-l\tX", "<--port><80><--log-level><X>"],
      ["serve --log-level=inf\tX", "<serve><--log-level=info><X>"],
      ["--models-dir=ol\tX", "<--models-dir=old models/X>"],
    ] as const) {
      session.type(`lmserver ${keys}\r`);
      await session.see(words);
    }
    session.close();
  },
);

test("fish offers the flags of the first word alone", async () => {
  if (Bun.which("fish") === null) return console.log("fish is not installed");
  using folder = tempFolder();
  const script = join(folder.path, "script");
  writeFileSync(script, (await runCommand(["completions", "fish"])).stdout);
  const fishOffers = (line: string): string[] => {
    const ask = `source $argv[1]; complete -C $argv[2]`;
    const { stdout } = Bun.spawnSync(["fish", "--no-config", "-c", ask, script, line]);
    return stdout
      .toString()
      .trim()
      .split("\n")
      .map((offer) => offer.replace(/\t.*/, ""));
  };
  const ofToken = ["--json", "--name", "--permission", "--state-dir"];
  expect(fishOffers("lmserver token ls --").toSorted()).toEqual(ofToken);
  expect(fishOffers("lmserver token rm --").toSorted()).toEqual(ofToken);
  expect(fishOffers("lmserver chat -p load --")).not.toContain("--gpu");
  expect(fishOffers("lmserver ").toSorted()).toEqual(VERBS.split(" ").toSorted());
});

test("completions for no shell: exit 2", async () => {
  expect((await runCommand(["completions"])).code).toBe(2);
  expect((await runCommand(["completions", "tcsh"])).stderr).toContain("bash, zsh, fish");
});
