/**
 * Runs the test suite and ends with one line: `N passed, N failed`, and how many were skipped.
 * Words after it are handed to `bun test`, for example a folder.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "..");
const words = ["test", "--timeout", "60000", ...process.argv.slice(2)];
/** Libraries that the servers under test extract; once per run is enough. */
const cache = mkdtempSync(join(tmpdir(), "lmserver-test-cache-"));
const child = spawn(process.execPath, words, {
  cwd: ROOT,
  env: { ...process.env, LMSERVER_TEST_CACHE: cache },
  stdio: ["ignore", "inherit", "pipe"],
});

let tail = "";
child.stderr.on("data", (chunk: Buffer) => {
  process.stderr.write(chunk);
  tail = (tail + chunk.toString()).slice(-20_000);
});
child.on("close", (status, signal) => {
  rmSync(cache, { recursive: true, force: true });
  const count = (word: string): number => {
    const matches = [...tail.matchAll(new RegExp(`^\\s*(\\d+) ${word}$`, "gm"))];
    return Number(matches.at(-1)?.[1] ?? 0);
  };
  // A run that died without a failing test has still failed.
  const failed = status === 0 ? count("fail") : Math.max(1, count("fail"));
  const skipped = count("skip");
  if (signal !== null) console.log(`bun test was ended by ${signal}`);
  console.log(
    `${count("pass")} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`,
  );
  process.exitCode = failed === 0 && count("pass") > 0 ? 0 : 1;
});
