import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";

/** One server under measurement. */
export interface Server {
  name: string;
  baseUrl: string;
  model: string;
  /** Milliseconds from the start of the process to its first answered request. */
  startMs: number;
  /** Of the server process; its engines are children. */
  pid: number;
  /** Largest resident memory so far of all its processes, in bytes, file mappings excluded. */
  peakBytes(): number;
  stop(): Promise<void>;
}

export interface ServerOptions {
  model: string;
  parallel: number;
  context: number;
  /** The model makes embeddings only. */
  embeds?: boolean;
  /** More flags for our own server. */
  flags?: readonly string[];
  /** More flags for llama-server. */
  peerFlags?: readonly string[];
  /** Further models that ours can load by name. */
  otherModels?: readonly string[];
  /**
   * Folder for our models, state and caches that outlives the server. A new one, removed with the
   * server, when not given.
   */
  home?: string;
}

/** Our executable with folders of its own, serving exactly these models. */
export async function startOurs(executable: string, options: ServerOptions): Promise<Server> {
  const home = options.home ?? mkdtempSync(join(tmpdir(), "lmserver-bench-"));
  const models = join(home, "models");
  mkdirSync(models, { recursive: true });
  for (const file of [options.model, ...(options.otherModels ?? [])]) {
    const link = join(models, basename(file));
    if (!existsSync(link)) symlinkSync(resolve(file), link);
  }
  const port = await freePort();
  const command = [
    resolve(executable),
    ["serve", "--port", String(port), "--models-dir", models, "--no-demo"],
    ["--state-dir", join(home, "state"), "--cache-dir", join(home, "cache")],
    ["--parallel", String(options.parallel), "--context-length", String(options.context)],
    ["--log-level", "warn"],
    options.flags ?? [],
  ].flat();
  const clean = (): void => {
    if (options.home === undefined) rmSync(home, { recursive: true, force: true });
  };
  return start("lmserver", command, port, options, clean);
}

/** llama.cpp's own server with the same slots and context. */
export async function startLlamaServer(path: string, options: ServerOptions): Promise<Server> {
  const port = await freePort();
  const command = [
    resolve(path),
    ["-m", resolve(options.model), "--port", String(port), "--host", "127.0.0.1"],
    ["-np", String(options.parallel), "-c", String(options.context), "--kv-unified"],
    ["--no-webui", "--log-disable"],
    options.peerFlags ?? [],
  ].flat();
  return start("llama-server", command, port, options, () => {});
}

async function start(
  name: string,
  command: string[],
  port: number,
  options: ServerOptions,
  clean: () => void,
): Promise<Server> {
  const begun = performance.now();
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  const baseUrl = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await child.exited;
    clean();
  };
  try {
    const model = await firstAnswer(baseUrl, options, child);
    return {
      name,
      baseUrl,
      model,
      startMs: performance.now() - begun,
      pid: child.pid,
      peakBytes: () => sum(processTree(child.pid).map(peakOf)),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Waits until a request to the model is answered. Ours takes the name of a file for a model, the
 * peer knows one model whatever the name.
 * @returns the model's name.
 */
async function firstAnswer(
  baseUrl: string,
  options: ServerOptions,
  child: Bun.Subprocess,
): Promise<string> {
  const model = basename(options.model, ".gguf");
  const [path, body] = options.embeds
    ? ["/v1/embeddings", { model, input: "a" }]
    : ["/v1/completions", { model, prompt: "a", max_tokens: 1 }];
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  const response = await poll(`${baseUrl}${path}`, init, child);
  await response.arrayBuffer();
  return model;
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
