import { expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAlive } from "../support/pool-fixture.ts";
import { until } from "../support/until.ts";

interface Report {
  pid: number;
  watchdogKills: number;
}

/** Starts a process with a pool that streams, and hands over its newest report. */
function startParent() {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "../support/pool-parent.ts")], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const reports: Report[] = [];
  void (async () => {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const bytes of child.stdout) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      reports.push(...lines.map((line) => JSON.parse(line) as Report));
    }
  })();
  return { child, reports };
}

test("an engine dies with its server, SIGKILL included", async () => {
  const { child, reports } = startParent();
  await until(() => reports.length > 0);
  const pid = reports[0]?.pid ?? 0;
  expect(isAlive(pid)).toBe(true);
  child.kill("SIGKILL");
  await child.exited;
  await until(() => !isAlive(pid));
});

test("a server that was stopped and continued ends no engine", async () => {
  const { child, reports } = startParent();
  try {
    await until(() => reports.length > 0);
    child.kill("SIGSTOP");
    await Bun.sleep(3_000);
    child.kill("SIGCONT");
    const seen = reports.length;
    await until(() => reports.length > seen + 20);
    expect(reports.at(-1)).toEqual({ pid: reports[0]?.pid ?? 0, watchdogKills: 0 });
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
});

test("engines are started from the running build after its file was replaced", async () => {
  const folder = mkdtempSync(join(tmpdir(), "lmserver-test-"));
  const executable = join(folder, "server");
  copyFileSync(process.execPath, executable);
  const server = Bun.spawn([executable, join(import.meta.dir, "../support/pool-replaced.ts")], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  try {
    const output = server.stdout.getReader();
    const read = async () => new TextDecoder().decode((await output.read()).value);
    expect(await read()).toBe("started\n");
    writeFileSync(join(folder, "new"), "#!/bin/sh\nexit 9\n", { mode: 0o755 });
    renameSync(join(folder, "new"), executable);
    await server.stdin.write("go\n");
    await server.stdin.end();
    expect(await read()).toBe("t1 t2 t3 \n");
    expect(await server.exited).toBe(0);
  } finally {
    server.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
});
