import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import { type TestServer, startServer } from "../support/server.ts";

/** Contexts that are smaller than the library takes them, or that its sequences cannot share evenly. */

setDefaultTimeout(60_000);

let models: string;
let server: TestServer;
beforeAll(async () => {
  models = mkdtempSync(join(tmpdir(), "lmserver-test-sizes-"));
  makeModel({ path: join(models, "generates.gguf"), type: "F32", seed: 5 });
  makeModel({ path: join(models, "short.gguf"), seed: 6, shape: { context: 32 } });
  for (const context of [77, 514]) {
    const path = join(models, `encodes-${context}.gguf`);
    makeModel({ path, architecture: "bert", type: "F32", seed: 7, shape: { context } });
  }
  const args = ["--no-demo", "--models-dir", models, "--allow-llm-embeddings"];
  server = await startServer({ args });
});
afterAll(async () => {
  await server.stop();
  rmSync(models, { recursive: true });
});

/** What the tests read of an answer. */
interface Reply {
  instance_id: string;
  model_instance_id: string;
  data: { embedding: number[] }[];
}

async function post(path: string, body: object) {
  const response = await fetch(server.url + path, { method: "POST", body: JSON.stringify(body) });
  return { status: response.status, body: (await response.json()) as Reply };
}

const say = (model: string, prompt: number[], more = {}) =>
  post("/v1/completions", { model, prompt, max_tokens: 8, temperature: 0, ...more });

/** @returns the instance. */
async function load(model: string, contextLength: number): Promise<string> {
  const asked = { model, context_length: contextLength, echo_load_config: true };
  const { body } = await post("/api/v1/models/load", asked);
  expect(body).toMatchObject({ load_config: { context_length: contextLength } });
  return body.instance_id;
}

test.each([2, 16, 32])(
  "a context of %d tokens loads, and holds no more than that",
  async (size) => {
    const model = await load("generates", size);
    const tokens = Array.from({ length: size }, (_, at) => 20 + at);
    const said = await say(model, tokens.slice(1));
    expect(said.body).toMatchObject({ usage: { total_tokens: size } });
    const refused = await say(model, tokens);
    expect(refused.body).toMatchObject({ error: { code: "context_length_exceeded" } });
    await post("/api/v1/models/unload", { instance_id: model });
  },
);

test("a request for a small context is answered", async () => {
  const ask = { model: "generates", input: "hi", context_length: 28, max_output_tokens: 3 };
  const { body } = await post("/api/v1/chat", ask);
  expect(body).toMatchObject({ stats: { total_output_tokens: 3 } });
  await post("/api/v1/models/unload", { instance_id: body.model_instance_id });
});

test("a model that was trained on few tokens loads", async () => {
  expect(await say("short", [20, 21])).toMatchObject({ status: 200 });
});

test.each([77, 514])("an encoder of %d tokens embeds texts up to that", async (size) => {
  const model = `encodes-${size}`;
  const words = (count: number) => Array.from({ length: count }, (_, at) => 20 + (at % 100));
  const embed = (input: number[][]) => post("/v1/embeddings", { model, input });
  const alone = await embed([words(size)]);
  const many = await embed(Array.from({ length: 70 }, (_, at) => words(size - (at % 3))));
  expect([alone.status, many.status]).toEqual([200, 200]);
  const [one, first] = [alone, many].map(({ body }) => body.data[0]?.embedding ?? []);
  const product = one?.reduce((sum, value, at) => sum + value * (first?.[at] ?? 0), 0);
  expect(product).toBeGreaterThan(0.9999);
  const refused = await embed([words(size + 1)]);
  expect(refused.body).toMatchObject({ error: { code: "context_length_exceeded" } });
});

test("a model that generates embeds in an odd context, beside what it generates", async () => {
  const model = await load("generates", 1000);
  const more = { max_tokens: 300, ignore_eos: true };
  const [said, embedded] = await Promise.all([
    say(model, [20, 21], more),
    post("/v1/embeddings", { model, input: "hello" }),
  ]);
  expect([said.status, embedded.status]).toEqual([200, 200]);
});
