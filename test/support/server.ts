import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { executableCommand } from "./executable.ts";

/** A running server of the product, with folders of its own that go when it stops. */
export interface TestServer {
  url: string;
  port: number;
  pid: number;
  home: string;
  /** Everything it wrote on standard error so far. */
  stderr(): string;
  exited: Promise<number>;
  signal(name: NodeJS.Signals): void;
  /** Ends it by SIGTERM and removes its folders. @returns the exit code. */
  stop(): Promise<number>;
}

export interface ServerOptions {
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** Shared between servers to spare the extraction; a new one by default. */
  cacheDir?: string;
  cwd?: string;
  /** Another file than the one under test everywhere else. */
  executable?: string;
  /** The same as a command line, such as the sources'. */
  command?: readonly string[];
}

/** A whole run names a folder that it removes; single files of tests share one that stays. */
const SHARED_CACHE =
  process.env["LMSERVER_TEST_CACHE"] ??
  join(tmpdir(), `lmserver-test-cache-${process.getuid?.() ?? 0}`);

/** Starts `lmserver serve` on a free port and waits for its ready line. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const home = mkdtempSync(join(tmpdir(), "lmserver-test-"));
  mkdirSync(join(home, "models"));
  const command = [
    options.command ??
      (options.executable === undefined ? executableCommand() : [options.executable]),
    ["serve", "--port", "0", "--json-ready", "--state-dir", join(home, "state")],
    ["--cache-dir", options.cacheDir ?? SHARED_CACHE, "--models-dir", join(home, "models")],
    options.args ?? [],
  ].flat();
  const child = Bun.spawn(command, {
    cwd: options.cwd ?? home,
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: home,
      // Servers share the folder: what one computed must not be found by another by chance.
      LMSERVER_PREFIX_CACHE_DISK: "0",
      ...options.env,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let stderr = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) stderr += decoder.decode(chunk, { stream: true });
  })();
  const ready = await firstLine(child.stdout);
  if (ready === null) {
    await reading;
    rmSync(home, { recursive: true, force: true });
    throw new Error(`the server ended with ${await child.exited} before it was ready:\n${stderr}`);
  }
  const { url, port, pid } = JSON.parse(ready) as { url: string; port: number; pid: number };
  return {
    url,
    port,
    pid,
    home,
    stderr: () => stderr,
    exited: child.exited,
    signal: (name) => child.kill(name),
    async stop() {
      child.kill("SIGTERM");
      const code = await child.exited;
      await reading;
      rmSync(home, { recursive: true, force: true });
      return code;
    },
  };
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string | null> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end);
  }
  return null;
}

/** Ids of the running processes whose parent is `pid`; zombies do not count. Linux only. */
export function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && isChild(name, pid))
    .map(Number);
}

function isChild(name: string, pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${name}/status`, "utf8");
    return status.includes(`\nPPid:\t${pid}\n`) && !/^State:\s+Z/m.test(status);
  } catch {
    return false; // it ended meanwhile
  }
}
