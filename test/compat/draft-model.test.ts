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
  server = await startServer({ args: ["--no-demo", "--models-dir", models] });
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
  for (const half of [flags.slice(0, 1), flags.slice(1), limits]) {
    const refused = await runCommand(["load", "large", ...half, ...where], env);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("--speculative")]);
  }
  expect(await unload()).toBe(0);
});

test("an unknown draft model is not found, and names its field", async () => {
  const unknown = await ask({ draft_model: "nobody" });
  expect(unknown.response.status).toBe(404);
  expect(unknown.body.error).toMatchObject({ code: "model_not_found", param: "draft_model" });
});
