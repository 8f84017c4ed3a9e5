import { expect, setDefaultTimeout, test } from "bun:test";
import { resolve } from "node:path";
import { tempFolder } from "../support/temp-folder.ts";

/** After the install nothing needs a network: both ways to start and to test, without one. */

setDefaultTimeout(120_000);

const ROOT = resolve(import.meta.dir, "../..");
/** A network of its own in which only the machine itself answers. */
const ALONE = ["unshare", "-rn", "sh", "-c"];

const isPossible = ["ip", "curl"].every((name) => Bun.which(name) !== null) && canUnshare();
if (!isPossible)
  console.warn("no network namespace, ip or curl here: the offline runs are skipped");

function canUnshare(): boolean {
  if (Bun.which("unshare") === null) return false;
  return Bun.spawnSync([...ALONE, "ip link set lo up"]).exitCode === 0;
}

function runAlone(script: string, home: string) {
  const bun = resolve(ROOT, "node_modules/.bin");
  const child = Bun.spawnSync([...ALONE, `set -e; ip link set lo up; ${script}`], {
    cwd: ROOT,
    env: { PATH: `${bun}:${process.env["PATH"] ?? ""}`, HOME: home, npm_config_cache: home },
  });
  return { code: child.exitCode, text: child.stdout.toString() + child.stderr.toString() };
}

/** Starts the server, asks it once, and ends it by the process id that it told. */
const chat = (start: string): string => `
  ${start} --port 0 --json-ready --models-dir "$HOME" --state-dir "$HOME/s" --cache-dir "$HOME/c" \\
    > "$HOME/out" 2> "$HOME/err" &
  until grep -q '"ready"' "$HOME/out"; do kill -0 $! || { cat "$HOME/err"; exit 1; }; sleep 0.1; done
  url=$(sed -n 's/.*"url":"\\([^"]*\\)".*/\\1/p' "$HOME/out")
  pid=$(sed -n 's/.*"pid":\\([0-9]*\\).*/\\1/p' "$HOME/out")
  curl -s "$url/v1/chat/completions" -H 'Content-Type: application/json' \\
    -d '{"model":"demo","messages":[{"role":"user","content":"Hello"}],"max_tokens":2}'
  kill "$pid"; wait $!`;

test.skipIf(!isPossible).each([["npm start --"], ["bun run start"]])(
  "%s answers a chat without a network",
  (start) => {
    using home = tempFolder();
    const { code, text } = runAlone(chat(start), home.path);
    expect(text).toContain('"object":"chat.completion"');
    expect(code).toBe(0);
  },
);

test.skipIf(!isPossible).each([["npm test --"], ["bun run test"]])(
  "%s runs tests without a network",
  (command) => {
    using home = tempFolder();
    const { code, text } = runAlone(`${command} test/unit/config`, home.path);
    expect(text).toMatch(/\d+ passed, 0 failed/);
    expect(code).toBe(0);
  },
);
