import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";

/** One server under measurement. */
export interface Server {
  name: string;
  baseUrl: string;
  model: string;
  /** Milliseconds from the start of the process to its first answered completion; null by URL. */
  startMs: number | null;
  /** Largest resident memory so far of all its processes, in bytes, file mappings excluded. */
  peakBytes(): number | null;
  stop(): Promise<void>;
}

export interface ServerOptions {
  model: string;
  parallel: number;
  context: number;
  /** More flags for our own server. */
  flags?: readonly string[];
}

/** @param text NAME=URL of a server that runs already. */
export function serverAt(text: string, model: string): Server {
  const at = text.indexOf("=");
  if (at < 1) throw new Error(`--url ${text}: expected NAME=URL`);
  return {
    name: text.slice(0, at),
    baseUrl: text.slice(at + 1),
    model,
    startMs: null,
    peakBytes: () => null,
    stop: async () => {},
  };
}

/** Our executable with folders of its own, serving exactly this model. */
export async function startOurs(executable: string, options: ServerOptions): Promise<Server> {
  const home = mkdtempSync(join(tmpdir(), "lmserver-bench-"));
  const models = join(home, "models");
  mkdirSync(models);
  symlinkSync(resolve(options.model), join(models, basename(options.model)));
  const port = await freePort();
  const command = [
    resolve(executable),
    ["serve", "--port", String(port), "--models-dir", models, "--no-demo"],
    ["--state-dir", join(home, "state"), "--cache-dir", join(home, "cache")],
    ["--parallel", String(options.parallel), "--context-length", String(options.context)],
    ["--log-level", "warn"],
    options.flags ?? [],
  ].flat();
  const clean = (): void => rmSync(home, { recursive: true, force: true });
  return start("lmserver", command, port, null, clean);
}

/** llama.cpp's own server with the same slots and context. */
export async function startLlamaServer(path: string, options: ServerOptions): Promise<Server> {
  const port = await freePort();
  const command = [
    resolve(path),
    ["-m", resolve(options.model), "--port", String(port), "--host", "127.0.0.1"],
    ["-np", String(options.parallel), "-c", String(options.context), "--kv-unified"],
    ["--no-webui", "--log-disable"],
  ].flat();
  return start("llama-server", command, port, basename(options.model), () => {});
}

async function start(
  name: string,
  command: string[],
  port: number,
  model: string | null,
  clean: () => void,
): Promise<Server> {
  const begun = performance.now();
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  const baseUrl = `http://127.0.0.1:${port}`;
  const id = await firstAnswer(baseUrl, model, child).catch(async (error: unknown) => {
    child.kill("SIGTERM");
    await child.exited;
    clean();
    throw error;
  });
  const startMs = performance.now() - begun;
  return {
    name,
    baseUrl,
    model: id,
    startMs,
    peakBytes: () => sum(processTree(child.pid).map(peakOf)),
    async stop() {
      child.kill("SIGTERM");
      await child.exited;
      clean();
    },
  };
}

/** Waits for the first completion. @returns the model's id. */
async function firstAnswer(
  baseUrl: string,
  model: string | null,
  child: Bun.Subprocess,
): Promise<string> {
  const id = model ?? (await pollModel(baseUrl, child));
  await pollCompletion(baseUrl, id, child);
  return id;
}

async function pollModel(baseUrl: string, child: Bun.Subprocess): Promise<string> {
  const response = await poll(`${baseUrl}/v1/models`, {}, child);
  const { data } = (await response.json()) as { data: { id: string }[] };
  const id = data[0]?.id;
  if (id === undefined) throw new Error("the server lists no model");
  return id;
}

async function pollCompletion(url: string, model: string, child: Bun.Subprocess): Promise<void> {
  const body = JSON.stringify({ model, prompt: "a", max_tokens: 1 });
  const headers = { "content-type": "application/json" };
  const response = await poll(`${url}/v1/completions`, { method: "POST", headers, body }, child);
  await response.arrayBuffer();
}

/** Asks until the answer is 200; a server that ended or takes a minute is an error. */
async function poll(url: string, init: RequestInit, child: Bun.Subprocess): Promise<Response> {
  const deadline = performance.now() + 60_000;
  let last = "no answer";
  while (performance.now() < deadline && child.exitCode === null) {
    try {
      const response = await fetch(url, init);
      if (response.ok) return response;
      last = `${response.status} ${await response.text()}`;
    } catch (error) {
      last = String(error);
    }
    await Bun.sleep(10);
  }
  throw new Error(`${url} never answered: ${last}`);
}

function freePort(): Promise<number> {
  return new Promise((done) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => done(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

function processTree(pid: number): number[] {
  const children = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .map(Number);
  return [pid, ...children.flatMap(processTree)];
}

function parentOf(pid: string): number | null {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  } catch {
    return null; // it ended meanwhile
  }
}

/** Anonymous memory now plus what the peak exceeds it by; mapped weights are not counted. */
function peakOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kilobytes = (key: string): number =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
  return (kilobytes("VmHWM") - kilobytes("RssFile")) * 1024;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
