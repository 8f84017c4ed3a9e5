import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import { runCommand } from "../support/run-command.ts";
import { type TestServer, startServer } from "../support/server.ts";

/** A draft model on the product: by a request, by the command line, told in the stats. */

setDefaultTimeout(120_000);

let server: TestServer;
let env: Record<string, string>;
let where: string[];
let models: string;
beforeAll(async () => {
  models = mkdtempSync(join(tmpdir(), "lmserver-test-draft-"));
  makeModel({ path: join(models, "large.gguf"), seed: 3 });
  // The same weights: every guess is right but for rounding.
  makeModel({ path: join(models, "twin.gguf"), seed: 3 });
  makeModel({ path: join(models, "stranger.gguf"), seed: 9 });
  makeModel({ path: join(models, "states.gguf"), architecture: "mamba", seed: 4 });
  makeModel({ path: join(models, "window.gguf"), architecture: "gemma3", seed: 4 });
  server = await startServer({ args: ["--no-demo", "--rest-extensions", "--models-dir", models] });
  env = { HOME: server.home };
  where = ["--host", "127.0.0.1", "--port", String(server.port)];
});
afterAll(async () => {
  await server.stop();
  rmSync(models, { recursive: true });
});

interface Answer {
  choices: { message: { content: string } }[];
  stats: Record<string, number | string>;
  error?: { code: string; param: string };
}

async function ask(fields: object): Promise<{ response: Response; body: Answer }> {
  const response = await fetch(`${server.url}/api/v0/chat/completions`, {
    method: "POST",
    body: JSON.stringify({
      model: "large",
      messages: [{ role: "user", content: "Say something" }],
      temperature: 0,
      max_tokens: 48,
      ignore_eos: true,
      ...fields,
    }),
  });
  return { response, body: (await response.json()) as Answer };
}

const textOf = ({ body }: { body: Answer }) => body.choices[0]?.message.content;
const unload = async () => (await runCommand(["unload", "--all", ...where], env)).code;

test("a request loads its draft model with its model; the answer is the same and the stats tell", async () => {
  const plain = await ask({});
  expect(plain.body.stats).not.toHaveProperty("draft_model");
  const late = await ask({ draft_model: "twin" });
  expect(late.response.status).toBe(200);
  expect(late.body.stats).not.toHaveProperty("draft_model");
  expect(await unload()).toBe(0);

  const drafted = await ask({ draft_model: "twin" });
  expect(textOf(drafted)).toBe(textOf(plain) ?? "");
  const { stats } = drafted.body;
  expect(stats["draft_model"]).toBe("twin");
  const counts = ["accepted", "rejected", "ignored"].map((kind) =>
    Number(stats[`${kind}_draft_tokens_count`]),
  );
  expect(counts[0]).toBeGreaterThan(10);
  expect(stats["total_draft_tokens_count"]).toBe(counts.reduce((sum, count) => sum + count, 0));
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toMatch(/^lmserver_speculation_accepted_tokens_total\{model="large"\} \d{2,}$/m);
  expect(await unload()).toBe(0);
});

test("a chat of LM Studio's API loads it too, and a refusal at the load keeps its status", async () => {
  const chat = (draft_model: string) =>
    fetch(`${server.url}/api/v1/chat`, {
      method: "POST",
      body: JSON.stringify({
        model: "large",
        input: "Hi",
        max_output_tokens: 4,
        stream: true,
        draft_model,
      }),
    });
  const refused = await chat("window");
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({ error: { param: "draft_model" } });
  const answer = await chat("twin");
  expect(await answer.text()).toContain("event: model_load.end");
  expect(answer.headers.get("x-lmserver-warning")).toBeNull();
  const listed = await runCommand(["ps", "--json", ...where], env);
  expect(JSON.parse(listed.stdout)).toMatchObject([{ identifier: "large", draftModel: "twin" }]);
  expect(await unload()).toBe(0);
});

test("the command line loads a draft model, and a stranger's guesses change nothing", async () => {
  const plain = await ask({});
  expect(await unload()).toBe(0);
  const flags = ["--speculative-draft-simple", "--speculative-draft-model", "stranger"];
  const limits = ["--speculative-draft-max-tokens", "4"];
  const loaded = await runCommand(["load", "large", ...flags, ...limits, ...where], env);
  expect([loaded.code, loaded.stdout]).toEqual([0, "large\n"]);
  const drafted = await ask({});
  expect(textOf(drafted)).toBe(textOf(plain) ?? "");
  expect(drafted.body.stats["draft_model"]).toBe("stranger");
  const listed = await runCommand(["ps", "--json", ...where], env);
  expect(JSON.parse(listed.stdout)).toMatchObject([
    { identifier: "large", draftModel: "stranger" },
  ]);
  expect((await runCommand(["ps", ...where], env)).stdout).toMatch(
    /^large +large \+ stranger +IDLE/m,
  );
  for (const half of [flags.slice(0, 1), flags.slice(1), limits]) {
    const refused = await runCommand(["load", "large", ...half, ...where], env);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("--speculative")]);
  }
  expect(await unload()).toBe(0);
  await ask({});
  const alone = await runCommand(["ps", "--json", ...where], env);
  expect((JSON.parse(alone.stdout) as object[])[0]).not.toHaveProperty("draftModel");
  const instances = (await (await fetch(`${server.url}/api/lmserver/instances`)).json()) as object;
  expect(instances).toMatchObject({ instances: [{ identifier: "large", draft_model: null }] });
  expect(await unload()).toBe(0);
});

interface Estimate {
  estimatedTotalBytes: number;
  draft?: Record<"weightBytes" | "kvBytes" | "computeBytes" | "totalBytes", number>;
}

test("an estimate counts the draft model, part by part, and the type of the cache", async () => {
  const folders = ["--models-dir", models, "--no-demo", "-c", "2048"];
  const estimate = async (words: string[]): Promise<Estimate> => {
    const all = ["load", "large", "--estimate-only", "--json", ...words, ...folders];
    const { code, stdout, stderr } = await runCommand(all, env);
    expect([code, stderr]).toEqual([0, ""]);
    return JSON.parse(stdout) as Estimate;
  };
  const flags = ["--speculative-draft-simple", "--speculative-draft-model", "twin"];
  const alone = await estimate([]);
  expect(alone).not.toHaveProperty("draft");
  const { draft, ...both } = await estimate(flags);
  expect(draft).toMatchObject({ modelKey: "twin" });
  expect(both.estimatedTotalBytes).toBe(alone.estimatedTotalBytes + (draft?.totalBytes ?? NaN));
  const parts = (draft?.weightBytes ?? 0) + (draft?.kvBytes ?? 0) + (draft?.computeBytes ?? 0);
  expect(draft?.weightBytes).toBeGreaterThan(400_000);
  // What is left are the tables of its vocabulary.
  expect(parts / (draft?.totalBytes ?? NaN)).toBeWithin(0.5, 1);
  const small = await estimate([...flags, "--cache-type-k", "q4_0", "--cache-type-v", "q4_0"]);
  expect((small.draft?.kvBytes ?? NaN) / (draft?.kvBytes ?? NaN)).toBeCloseTo(18 / 64, 3);

  const text = await runCommand(["load", "large", "--estimate-only", ...flags, ...folders], env);
  expect(text.stdout).toMatch(
    /^Draft Model: twin\nEstimated Draft Memory: .+ \(weights .+, KV cache .+, compute .+\)$/m,
  );
  const lone = ["load", "large", "--estimate-only", ...flags.slice(0, 1), ...folders];
  expect((await runCommand(lone, env)).code).toBe(2);
  const nobody = [...flags.slice(0, 2), "nobody", ...folders];
  expect((await runCommand(["load", "large", "--estimate-only", ...nobody], env)).code).toBe(1);
});

test.each(["states", "window"])(
  "a draft model that keeps %s is refused, and nothing leaves for it",
  async (draft) => {
    await ask({ model: "twin" });
    const refused = await ask({ draft_model: draft });
    expect(refused.response.status).toBe(400);
    expect(refused.body.error).toMatchObject({ code: "invalid_value", param: "draft_model" });
    const listed = await runCommand(["ps", "--json", ...where], env);
    expect(JSON.parse(listed.stdout)).toMatchObject([{ identifier: "twin" }]);
    expect(await unload()).toBe(0);
  },
);

test("a draft model whose window is as long as the context drafts", async () => {
  const flags = ["--speculative-draft-simple", "--speculative-draft-model", "window"];
  const loaded = await runCommand(
    ["load", "large", ...flags, "--context-length", "64", ...where],
    env,
  );
  expect([loaded.code, loaded.stdout]).toEqual([0, "large\n"]);
  const drafted = await ask({ max_tokens: 16 });
  expect(drafted.body.stats["draft_model"]).toBe("window");
  expect(await unload()).toBe(0);
});

test("an unknown draft model is not found, and names its field", async () => {
  const unknown = await ask({ draft_model: "nobody" });
  expect(unknown.response.status).toBe(404);
  expect(unknown.body.error).toMatchObject({ code: "model_not_found", param: "draft_model" });
});
