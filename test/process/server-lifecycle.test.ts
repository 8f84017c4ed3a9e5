import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import { sourceCommand } from "../support/executable.ts";
import { llamaLibraries } from "../support/llama-libraries.ts";
import { childrenOf, startServer, type TestServer } from "../support/server.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);

let server: TestServer;
let folder: ReturnType<typeof tempFolder>;
const start = async (...args: string[]): Promise<void> => {
  const own = ["--no-demo", "--models-dir", folder.path];
  server = await startServer({ command: sourceCommand(), args: [...own, ...args] });
};

const modelPath = (name: string) => join(folder.path, `${name}.gguf`);

function addModel(name: string, seed: number): void {
  makeModel({ path: modelPath(name), architecture: "llama", type: "F32", seed });
}

async function post(path: string, body: object): Promise<Response> {
  return await fetch(`${server.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

const complete = async (model: string, fields: object = {}): Promise<Response> =>
  await post("/v1/completions", {
    model,
    prompt: "once",
    max_tokens: 4,
    temperature: 0,
    ...fields,
  });

interface Loaded {
  identifier: string;
  state: string;
  parallel: number;
  ttl_ms: number | null;
  context_length: number | null;
}

async function instances(): Promise<Loaded[]> {
  const response = await fetch(`${server.url}/api/lmserver/instances`);
  return ((await response.json()) as { instances: Loaded[] }).instances;
}

const names = async () => (await instances()).map(({ identifier }) => identifier);

describe.if(llamaLibraries() !== null)("models of a running server", () => {
  beforeEach(() => (folder = tempFolder()));
  afterEach(async () => {
    expect(await server.stop()).toBe(0);
    folder[Symbol.dispose]();
  });

  test("the last model loaded by a request replaces the one before, explicit loads stay", async () => {
    for (const [index, name] of ["a", "b", "pinned"].entries()) addModel(name, index + 1);
    await start();
    expect((await post("/api/v1/models/load", { model: "pinned" })).status).toBe(200);
    for (const name of ["a", "b", "a", "b"]) expect((await complete(name)).status).toBe(200);
    expect(await names()).toEqual(["b", "pinned"]);
    await until(() => childrenOf(server.pid).length === 2, "engines of replaced models end");
  });

  test("--no-auto-evict keeps them, --memory-limit bounds them, and what cannot fit is refused", async () => {
    for (const [index, name] of ["a", "b", "c"].entries()) addModel(name, index + 1);
    await start("--no-auto-evict", "--memory-limit", "100MiB", "--context-length", "512");
    for (const name of ["a", "b"]) expect((await complete(name)).status).toBe(200);
    expect(await names()).toEqual(["a", "b"]);
    expect((await complete("c")).status).toBe(200);
    expect(await names()).toEqual(["b", "c"]);
    for (const model of ["b", "c"]) {
      expect((await post("/api/v1/models/load", { model })).status).toBe(200);
    }
    const refused = await complete("a");
    expect(refused.status).toBeGreaterThanOrEqual(500);
    expect(await refused.text()).toMatch(/needs about \d\d MiB of memory, \d+ MiB are free/);
    expect(await names()).toEqual(["b", "c"]);
  });

  test("presets decide how a model is loaded, and two instances are told apart by name", async () => {
    addModel("a", 1);
    await start("--preset", 'a={"parallel": 2, "contextLength": 512, "ttl": 60}');
    expect((await complete("a")).status).toBe(200);
    expect(await instances()).toMatchObject([{ parallel: 2, context_length: 512, ttl_ms: 60_000 }]);
    expect((await post("/api/v1/models/load", { model: "a", context_length: 256 })).status).toBe(
      200,
    );
    expect(await names()).toEqual(["a", "a:2"]);
    for (const name of ["a:2", "a:2"]) {
      const answer = (await (await complete(name)).json()) as { model: string };
      expect(answer.model).toBe("a:2");
    }
    const list = (await (await fetch(`${server.url}/v1/models`)).json()) as {
      data: { id: string }[];
    };
    expect(list.data.map(({ id }) => id)).toEqual(["a", "a:2"]);
  });

  test("a busy model that is to be replaced drains, and whole answers come from both", async () => {
    for (const [index, name] of ["a", "b"].entries()) addModel(name, index + 1);
    await start("--context-length", "2048");
    const streaming = await complete("a", { max_tokens: 1900, stream: true, ignore_eos: true });
    const text = streaming.text();
    const other = complete("b");
    const stateOf = async (name: string) =>
      (await instances()).find(({ identifier }) => identifier === name)?.state;
    await until(async () => (await stateOf("a")) === "draining", "the busy model drains");
    expect(await text).toContain("[DONE]");
    expect((await other).status).toBe(200);
    expect(await names()).toEqual(["b"]);
  });

  test("unload during a stream ends it with an error frame", async () => {
    addModel("a", 1);
    await start();
    const streaming = await complete("a", { max_tokens: 1900, stream: true, ignore_eos: true });
    expect(streaming.status).toBe(200);
    const text = streaming.text();
    expect((await post("/api/v1/models/unload", { instance_id: "a" })).status).toBe(200);
    const said = await text;
    expect(said).toContain('"code":"model_unloaded"');
    expect(said).not.toContain("[DONE]");
    expect(await names()).toEqual([]);
    expect((await post("/api/v1/models/unload", { instance_id: "a" })).status).toBe(404);
  });

  test("a damaged file is refused with llama.cpp's words, and works once it was replaced", async () => {
    addModel("m", 1);
    const good = readFileSync(modelPath("m"));
    const at = good.indexOf("blk.1.ffn_down.weight");
    expect(at).toBeGreaterThan(0);
    const bad = Buffer.from(good);
    bad.write("blk.9", at);
    writeFileSync(modelPath("m"), bad);
    await start();
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const refused = await complete("m");
      expect(refused.status).toBe(500);
      expect(await refused.text()).toContain("blk.1.ffn_down.weight");
    }
    writeFileSync(modelPath("m"), good);
    const ask = async () => (await complete("m")).status;
    await until(async () => (await ask()) === 200, "the good file answers");
    expect(await names()).toEqual(["m"]);
  });
});
