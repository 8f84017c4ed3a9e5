import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { chatEvents, orderProblem, problemsOf } from "../http/lmstudio-cases.ts";
import { type TestServer, startServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** LM Studio's own API against the product, with the built-in model. */

type Json = Record<string, unknown>;
interface Answer {
  output: { type: string; content: string }[];
  stats: Record<string, number>;
  response_id?: string;
}

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

async function send(path: string, body?: object): Promise<Response> {
  const init = body && { method: "POST", body: JSON.stringify(body) };
  return await fetch(`${server.url}${path}`, init);
}
async function ask(path: string, name: string, body?: object): Promise<Json> {
  const response = await send(path, body);
  const json = (await response.json()) as Json;
  expect(problemsOf(response.ok ? name : "ErrorBody", json)).toEqual([]);
  return json;
}
const say = async (body: object): Promise<Answer> =>
  (await ask("/api/v1/chat", "ChatResponse", { model: "demo", temperature: 0, ...body })) as Json &
    Answer;

const instancesOf = async (): Promise<string[]> => {
  const { models } = (await ask("/api/v1/models", "ModelsResponse")) as {
    models: { key: string; loaded_instances: { id: string }[] }[];
  };
  return models.find(({ key }) => key === "demo")?.loaded_instances.map(({ id }) => id) ?? [];
};

describe("models", () => {
  test("load, load again, unload each, and no more", async () => {
    const load = { model: "demo", echo_load_config: true, context_length: 1024 };
    const first = await ask("/api/v1/models/load", "LoadResponse", load);
    expect(first).toMatchObject({ instance_id: "demo", load_config: { context_length: 1024 } });
    const second = await ask("/api/v1/models/load", "LoadResponse", load);
    expect(second["instance_id"]).toBe("demo:2");
    expect(await instancesOf()).toEqual(["demo", "demo:2"]);
    const { data } = await ask("/api/v0/models", "V0ModelsResponse");
    expect(data).toMatchObject([{ id: "demo", state: "loaded", loaded_context_length: 1024 }]);
    for (const instance_id of ["demo", "demo:2"]) {
      await ask("/api/v1/models/unload", "UnloadResponse", { instance_id });
    }
    expect(await instancesOf()).toEqual([]);
    const again = await send("/api/v1/models/unload", { instance_id: "demo" });
    expect(again.status).toBe(404);
  });
});

describe("chat", () => {
  test("three turns by previous_response_id, and a branch", async () => {
    const first = await say({ input: "Hello" });
    expect(first.output.at(-1)?.content).toBe("Hello! How can I help you?");
    expect(first.stats["model_load_time_seconds"]).toBeGreaterThan(0);
    const second = await say({ input: "Hello", previous_response_id: first.response_id });
    const third = await say({ input: "Hello", previous_response_id: second.response_id });
    const branch = await say({ input: "Hello", previous_response_id: first.response_id });
    const read = [first, second, third].map(({ stats }) => Number(stats["input_tokens"]));
    expect(read).toEqual(read.toSorted((a, b) => a - b));
    expect(new Set(read).size).toBe(3);
    expect(branch.stats["input_tokens"]).toBe(second.stats["input_tokens"] as number);
    expect(branch.output).toEqual(second.output);
    expect(second.stats).not.toHaveProperty("model_load_time_seconds");
    const forgotten = await say({ input: "Hello", store: false });
    expect(forgotten.response_id).toBeUndefined();
  });

  test("the stream tells the load and the answer in order", async () => {
    for (const instance_id of await instancesOf()) {
      await ask("/api/v1/models/unload", "UnloadResponse", { instance_id });
    }
    const body = { model: "demo", input: "Hello", temperature: 0, stream: true };
    const events = chatEvents(await (await send("/api/v1/chat", body)).text());
    expect(events.flatMap((event) => problemsOf("StreamEvent", event))).toEqual([]);
    expect(orderProblem(events)).toBeNull();
    expect(events.map(({ type }) => type)).toContain("model_load.end");
    const said = events.filter(({ type }) => type === "message.delta");
    expect(said.map(({ content }) => content).join("")).toBe("Hello! How can I help you?");
  });

  test("streams that an unload meets keep their order to the end", async () => {
    const body = { model: "demo", input: "Tell me a story.", stream: true };
    const responses = await Promise.all(
      Array.from({ length: 4 }, () => send("/api/v1/chat", body)),
    );
    const texts = Promise.all(responses.map((response) => response.text()));
    await send("/api/v1/models/unload", { instance_id: "demo" });
    for (const text of await texts) {
      const events = chatEvents(text);
      expect(orderProblem(events)).toBeNull();
      expect(events.flatMap((event) => problemsOf("StreamEvent", event))).toEqual([]);
      const end = events.at(-1)?.["result"] as Answer | undefined;
      const isSilent = end?.output.every(({ content }) => content === "");
      expect(isSilent === true || Number(end?.stats["total_output_tokens"]) > 0).toBe(true);
    }
  });

  test("a wanted context is that of the instance which answers, however it came to be", async () => {
    const unloadAll = async () => {
      for (const instance_id of await instancesOf()) {
        await ask("/api/v1/models/unload", "UnloadResponse", { instance_id });
      }
    };
    // Longer than the small contexts: they would refuse it.
    const long = { input: "Hello ".repeat(400), context_length: 2048, max_output_tokens: 1 };
    await unloadAll();
    await ask("/api/v1/models/load", "LoadResponse", { model: "demo", context_length: 256 });
    await ask("/api/v1/models/load", "LoadResponse", { model: "demo", context_length: 2048 });
    expect(await say(long)).toMatchObject({ model_instance_id: "demo:2" });
    await unloadAll();
    await say({ input: "Hello", context_length: 512, max_output_tokens: 1 });
    expect(await say(long)).toMatchObject({ model_instance_id: "demo" });
    await unloadAll();
  });

  test("a model that a request loaded with a ttl leaves, one loaded on purpose stays", async () => {
    await send("/api/v1/models/unload", { instance_id: "demo" });
    await send("/api/v0/chat/completions", {
      model: "demo",
      ttl: 1,
      max_tokens: 1,
      messages: [{ role: "user", content: "Hi" }],
    });
    expect(await instancesOf()).toEqual(["demo"]);
    await until(async () => (await instancesOf()).length === 0, "the model leaves");
    await say({ input: "Hi", context_length: 512, max_output_tokens: 1 });
    const same = { model: "demo", context_length: 512, flash_attention: true };
    await ask("/api/v1/models/load", "LoadResponse", same);
    expect(await instancesOf()).toEqual(["demo"]);
    const { instances } = (await (await send("/api/lmserver/instances")).json()) as Json;
    expect(instances).toMatchObject([{ identifier: "demo", ttl_ms: null }]);
  });
});

test("/api/v0 says how the answer came to be", async () => {
  const body = { model: "demo", temperature: 0, messages: [{ role: "user", content: "Hello" }] };
  const json = (await (await send("/api/v0/chat/completions", body)).json()) as Json;
  const { stats, model_info, runtime } = json;
  expect(problemsOf("V0Extras", { stats, model_info, runtime })).toEqual([]);
  expect(stats).toMatchObject({ stop_reason: "eosFound" });
  expect(Number((stats as Json)["generation_time"])).toBeGreaterThan(0);
});

test("T-L4: what the server keeps is its owner's alone", () => {
  const state = join(server.home, "state");
  const names = readdirSync(state);
  expect(names.some((name) => name.startsWith("responses"))).toBe(true);
  for (const name of names) expect(statSync(join(state, name)).mode & 0o077).toBe(0);
});
