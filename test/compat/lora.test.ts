import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeAdapter } from "../../scripts/make-model/make-adapter.ts";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import { runCommand } from "../support/run-command.ts";
import { type TestServer, startServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** LoRA adapters on the product: found, loaded by the command line, chosen by requests. */

setDefaultTimeout(120_000);

let server: TestServer;
let env: Record<string, string>;
let where: string[];
let models: string;
beforeAll(async () => {
  models = mkdtempSync(join(tmpdir(), "lmserver-test-lora-"));
  makeModel({ path: join(models, "base.gguf"), seed: 3 });
  for (const [index, name] of ["one", "two"].entries())
    makeAdapter({ path: join(models, `${name}.gguf`), seed: 20 + index });
  server = await startServer({ args: ["--no-demo", "--rest-extensions", "--models-dir", models] });
  env = { HOME: server.home };
  where = ["--host", "127.0.0.1", "--port", String(server.port)];
});
afterAll(async () => {
  await server.stop();
  rmSync(models, { recursive: true });
});

async function complete(fields: object): Promise<string> {
  const response = await fetch(`${server.url}/v1/completions`, {
    method: "POST",
    body: JSON.stringify({
      model: "base",
      prompt: "The quick brown fox jumps over ",
      temperature: 0,
      max_tokens: 24,
      ignore_eos: true,
      ...fields,
    }),
  });
  const body = (await response.json()) as {
    choices?: { text: string }[];
    error?: { message: string };
  };
  return body.choices?.[0]?.text ?? body.error?.message ?? "";
}

test("adapters are loaded with a model, and each request answers with its own", async () => {
  const base = await complete({});
  expect(await complete({ lora: [{ id: 0, scale: 1 }] })).toContain("loaded without LoRA adapters");
  expect((await runCommand(["unload", "--all", ...where], env)).code).toBe(0);

  const listed = await runCommand(["ls", "--lora", ...where], env);
  expect(listed.stdout).toMatch(/^one +llama +\d+\.\d\d KB +models-dir$/m);
  const words = ["load", "base", "--lora", "one", "--lora", "two:0", ...where];
  const loaded = await runCommand(words, env);
  expect([loaded.code, loaded.stdout]).toEqual([0, "base\n"]);
  const ps = await runCommand(["ps", "--json", ...where], env);
  expect(JSON.parse(ps.stdout)).toMatchObject([
    {
      lora: [
        { id: 0, name: "one", scale: 1 },
        { id: 1, name: "two", scale: 0 },
      ],
    },
  ]);

  const choices = [
    {},
    { lora: [{ id: 0, scale: 0 }] },
    { lora: [{ id: "two", scale: 1 }] },
    { lora: [{ id: 0, scale: 0.5 }] },
  ];
  const alone: string[] = [];
  for (const fields of choices) alone.push(await complete(fields));
  expect(alone[1]).toBe(base);
  expect(new Set(alone).size).toBe(4);
  const together = choices.map((fields) => complete({ ...fields, cache_prompt: false }));
  expect(await Promise.all(together)).toEqual(alone);
});

test("LM Studio's chat takes the same choice, and refuses names that were not loaded", async () => {
  const chat = async (fields: object): Promise<{ status: number; text: string }> => {
    const response = await fetch(`${server.url}/api/v1/chat`, {
      method: "POST",
      body: JSON.stringify({
        model: "base",
        input: "The quick brown fox",
        temperature: 0,
        max_output_tokens: 24,
        store: false,
        ...fields,
      }),
    });
    const { output, error } = (await response.json()) as {
      output?: { content: string }[];
      error?: { message: string };
    };
    const text = output?.map(({ content }) => content).join("") ?? error?.message ?? "";
    return { status: response.status, text };
  };
  const [loaded, off, other] = [
    await chat({}),
    await chat({ lora: [{ id: "one", scale: 0 }] }),
    await chat({ lora: [{ id: 1 }] }),
  ];
  expect([loaded, off, other].map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(new Set([loaded.text, off.text, other.text]).size).toBe(3);
  const unknown = await chat({ lora: [{ id: "three" }] });
  expect(unknown.status).toBe(400);
  expect(unknown.text).toContain("lora[0].id");
});

test("an adapter that is not installed, or fits no layer of the model, loads nothing", async () => {
  const unknown = await runCommand(["load", "base", "--lora", "/etc/passwd", ...where], env);
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toContain("installed are one, two");
  const bad = await runCommand(["load", "base", "--lora", "one:loud", ...where], env);
  expect([bad.code, bad.stderr]).toEqual([2, expect.stringContaining("--lora")]);
  makeAdapter({ path: join(models, "wide.gguf"), shape: { embedding: 128 } });
  const listed = async () => (await runCommand(["ls", "--lora", ...where], env)).stdout;
  await until(async () => (await listed()).includes("wide"), "the new adapter is seen");
  const wide = await runCommand(["load", "base", "--lora", "wide", ...where], env);
  expect(wide.code).toBe(1);
  expect(wide.stderr).toContain("incorrect shape");
  expect(wide.stderr).not.toContain(models);
});
