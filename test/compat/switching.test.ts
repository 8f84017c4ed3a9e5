import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import { type TestServer, startServer } from "../support/server.ts";

/** The official client and curl go from model to model; requests load what they name. */

setDefaultTimeout(120_000);

let models: string;
let server: TestServer;
let client: OpenAI;
beforeAll(async () => {
  models = mkdtempSync(join(tmpdir(), "lmserver-test-switch-"));
  for (const [index, name] of ["alpha", "beta", "pinned"].entries())
    makeModel({ path: join(models, `${name}.gguf`), seed: 40 + index });
  server = await startServer({ args: ["--no-demo", "--models-dir", models, "--load", "pinned"] });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", maxRetries: 0 });
});
afterAll(async () => {
  await server.stop();
  rmSync(models, { recursive: true });
});

async function answer(model: string): Promise<string> {
  const completion = await client.completions.create({
    model,
    prompt: "One two three",
    max_tokens: 12,
    temperature: 0,
  });
  expect(completion.model).toBe(model);
  return completion.choices[0]?.text ?? "";
}

function curl(model: string): { model: string; choices: { text: string }[] } {
  const body = { model, prompt: "One two three", max_tokens: 12, temperature: 0 };
  const json = ["-H", "Content-Type: application/json", "-d", JSON.stringify(body)];
  const { stdout } = Bun.spawnSync(["curl", "-s", `${server.url}/v1/completions`, ...json]);
  return JSON.parse(stdout.toString()) as ReturnType<typeof curl>;
}

async function loaded(): Promise<string[]> {
  const response = await fetch(`${server.url}/api/lmserver/instances`);
  const { instances } = (await response.json()) as {
    instances: { model: string; state: string }[];
  };
  return instances.filter(({ state }) => state === "loaded").map(({ model }) => model);
}

test("each model answers for itself, and only the last one that a request loaded stays", async () => {
  const first = new Map<string, string>();
  for (const model of ["alpha", "beta", "pinned"]) first.set(model, await answer(model));
  expect(new Set(first.values()).size).toBe(3);
  expect(await loaded()).toEqual(["beta", "pinned"]);
  for (const model of ["alpha", "pinned", "beta", "alpha"]) {
    expect(await answer(model)).toBe(first.get(model) ?? "");
    const told = curl(model);
    expect([told.model, told.choices[0]?.text]).toEqual([model, first.get(model)]);
  }
  expect(await loaded()).toEqual(["alpha", "pinned"]);
});

test("requests for both at once are all answered, by the model each named", async () => {
  const [alpha, beta] = [await answer("alpha"), await answer("beta")];
  const asked = Array.from({ length: 12 }, (_, index) => (index % 2 === 0 ? "alpha" : "beta"));
  const answers = await Promise.all(asked.map(answer));
  expect(answers).toEqual(asked.map((model) => (model === "alpha" ? alpha : beta)));
  expect(await loaded()).toContain("pinned");
});
