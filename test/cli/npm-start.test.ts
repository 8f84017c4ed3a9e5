import { expect, test, setDefaultTimeout } from "bun:test";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { resultOf } from "../support/run-command.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);

const ROOT = resolve(import.meta.dir, "../..");
const NODE = Bun.which("node") ?? process.execPath;
const SCRIPT = join(ROOT, "scripts/start.mjs");
const START = `"${NODE}" "${SCRIPT}" --shell=$$`;
const isBuilt = existsSync(join(ROOT, "dist/lmserver"));
if (!isBuilt) console.warn("dist/lmserver is not built: npm start is not tested");

/** What npm runs, in a shell that waits for it as dash does. */
function start(home: string, ...words: readonly string[]) {
  return Bun.spawn(["sh", "-c", `${START} ${words.join(" ")}; exit $?`], {
    env: { PATH: process.env["PATH"] ?? "", HOME: home },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

const pidOf = async ({ stdout }: ReturnType<typeof start>): Promise<number> => {
  const ready = new TextDecoder().decode((await stdout.getReader().read()).value);
  return (JSON.parse(ready) as { pid: number }).pid;
};

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test.if(isBuilt)("npm start: the server ends with the shell that npm ends", async () => {
  using folder = tempFolder();
  const shell = start(folder.path, "--port 0 --json-ready");
  const pid = await pidOf(shell);
  shell.kill("SIGTERM");
  await until(() => !isAlive(pid), "the server's end");
  expect(await new Response(shell.stderr).text()).toContain('"signal":"SIGTERM"');
});

test.if(isBuilt)("npm start: a signal is handed on, and the exit code comes back", async () => {
  using folder = tempFolder();
  const child = Bun.spawn([NODE, SCRIPT, "--port", "0", "--json-ready"], {
    env: { PATH: process.env["PATH"] ?? "", HOME: folder.path },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const pid = await pidOf(child);
  child.kill("SIGINT");
  expect(await child.exited).toBe(0);
  expect(isAlive(pid)).toBe(false);
  const { code, stderr } = await resultOf(start(folder.path, "--prot 1"));
  expect([code, stderr]).toEqual([2, expect.stringContaining("did you mean --port?")]);
});

test.if(isBuilt)("npm start: the server ends when the shell was gone before it began", async () => {
  using folder = tempFolder();
  const { pid } = Bun.spawnSync(["true"]);
  const child = Bun.spawn([NODE, SCRIPT, `--shell=${pid}`, "--port", "0"], {
    env: { PATH: process.env["PATH"] ?? "", HOME: folder.path },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  expect([0, 143]).toContain(await child.exited);
});
