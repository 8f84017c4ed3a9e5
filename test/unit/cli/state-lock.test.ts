import { expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { processStart } from "../../../src/cli/process-start.ts";
import { runningServer, takeStateLock } from "../../../src/cli/state-lock.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const MODULE = resolve(import.meta.dir, "../../../src/cli/state-lock.ts");

/** Tries to take the lock in another process. @returns what it printed. */
function tryElsewhere(stateDir: string): string {
  const script = `
    import { takeStateLock } from ${JSON.stringify(MODULE)};
    try { takeStateLock(${JSON.stringify(stateDir)}, "2"); console.log("taken"); }
    catch (error) { console.log(error.exitCode, error.message); }`;
  const { stdout } = Bun.spawnSync([process.execPath, "-e", script]);
  return stdout.toString().trim();
}

test("a second server on the same folder is told about the first one", () => {
  using folder = tempFolder();
  const stateDir = join(folder.path, "state");
  const lock = takeStateLock(stateDir, "1");
  const catalog = { folders: [{ path: "/m", source: "models-dir" as const }], demoPath: null };
  lock.announce({ url: "http://127.0.0.1:5555", port: 5555, catalog });
  expect(runningServer(stateDir)).toMatchObject({ port: 5555, catalog });
  const told = tryElsewhere(stateDir);
  expect(told).toStartWith("4 ");
  expect(told).toContain(`PID ${process.pid}`);
  expect(told).toContain("http://127.0.0.1:5555");
  lock.release();
  expect(tryElsewhere(stateDir)).toBe("taken");
});

test("what a killed server left behind is taken over", () => {
  using folder = tempFolder();
  const script = `
    import { takeStateLock } from ${JSON.stringify(MODULE)};
    takeStateLock(${JSON.stringify(folder.path)}, "1").announce({ url: "http://x", port: 1, catalog: { folders: [], demoPath: null } });
    process.kill(process.pid, "SIGKILL");`;
  Bun.spawnSync([process.execPath, "-e", script]);
  expect(existsSync(join(folder.path, "server.json"))).toBe(true);
  expect(runningServer(folder.path)).toBeNull();
  takeStateLock(folder.path, "1").release();
});

test("T-L9: a process that got the number of a dead server is not taken for it", () => {
  using folder = tempFolder();
  const state = { pid: process.pid, processStart: "1", version: "1", url: null, port: null };
  writeFileSync(join(folder.path, "server.json"), JSON.stringify(state));
  expect(runningServer(folder.path)).toBeNull();
  // Right number and right start, but nobody holds the lock.
  const own = { ...state, processStart: processStart(process.pid) };
  writeFileSync(join(folder.path, "server.json"), JSON.stringify(own));
  expect(runningServer(folder.path)).toBeNull();
});

test.each(["", "{}", "[1]", '{"pid":-1}', "\u0000"])("a state file of %p is no server", (text) => {
  using folder = tempFolder();
  writeFileSync(join(folder.path, "server.json"), text);
  expect(runningServer(folder.path)).toBeNull();
});

test("T-L4: the folder and its files are for their owner only", () => {
  using folder = tempFolder();
  const before = process.umask(0o077);
  const stateDir = join(folder.path, "state");
  const lock = takeStateLock(stateDir, "1");
  process.umask(before);
  expect(statSync(stateDir).mode & 0o777).toBe(0o700);
  expect(statSync(join(stateDir, "server.json")).mode & 0o777).toBe(0o600);
  expect(statSync(join(stateDir, "server.lock")).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(join(stateDir, "server.json"), "utf8"))).toMatchObject({
    pid: process.pid,
    port: null,
  });
  lock.release();
  expect(existsSync(join(stateDir, "server.json"))).toBe(false);
});

test("a folder that others may write to, or that is none, is refused with its flag", () => {
  using folder = tempFolder();
  chmodSync(folder.path, 0o777);
  expect(() => takeStateLock(folder.path, "1")).toThrow(/other users may write.*--state-dir/);
  chmodSync(folder.path, 0o700);
  const file = join(folder.path, "file");
  writeFileSync(file, "");
  expect(() => takeStateLock(file, "1")).toThrow(/cannot be created|not a folder/);
});
