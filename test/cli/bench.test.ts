import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addModel } from "../support/catalog-fixture.ts";
import { runCommand } from "../support/run-command.ts";

setDefaultTimeout(60_000);

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "lmserver-bench-cli-"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Report {
  modelKey: string;
  answerTokens: number;
  runs: { clients: number; promptTokens: number; tokensPerSecond: number; ttftMs: number }[];
  largestSafeContext: number;
  maxContextLength: number;
}

test("bench measures one client and more, and prints one document", async () => {
  const words = ["bench", "demo", "--clients", "3", "--prompt-tokens", "32", "--json"];
  const { code, stdout, stderr } = await runCommand(words, { HOME: home });
  expect([code, stderr]).toEqual([0, ""]);
  const report = JSON.parse(stdout) as Report;
  expect(report).toMatchObject({ modelKey: "demo", answerTokens: 64 });
  expect(report.runs.map(({ clients }) => clients)).toEqual([1, 2, 3]);
  for (const { promptTokens, tokensPerSecond, ttftMs } of report.runs) {
    expect(promptTokens).toBe(32);
    expect(tokensPerSecond).toBeGreaterThan(0);
    expect(ttftMs).toBeGreaterThan(0);
  }
  expect(report.largestSafeContext).toBeGreaterThan(0);
  expect(report.largestSafeContext).toBeLessThanOrEqual(report.maxContextLength);
});

test("bench prints a table, and prompts shrink to what the context holds", async () => {
  const words = ["bench", "demo", "--clients", "1", "--prompt-tokens", "32768"];
  const { code, stdout, stderr } = await runCommand(words, { HOME: home });
  expect([code, stderr]).toEqual([0, "Loading demo ...\n"]);
  expect(stdout).toMatch(/^CLIENTS +PROMPT +TOKENS\/S +FIRST TOKEN$/m);
  expect(stdout).toMatch(/^1 +1984 +[\d.]+ +\d+ ms$/m);
  expect(stdout).toMatch(/^Largest safe context: \d+ of \d+ tokens, with .+ available\.$/m);
});

test("bench refuses a model that is missing or only makes embeddings", async () => {
  const missing = await runCommand(["bench", "no-such-model"], { HOME: home });
  expect([missing.code, missing.stdout]).toEqual([1, ""]);
  expect(missing.stderr).toContain("Model not found");
  const models = join(home, "models");
  addModel(models, "acme/embed/embed.gguf", { architecture: "bert" });
  const embedder = await runCommand(["bench", "embed", "--models-dir", models], { HOME: home });
  expect([embedder.code, embedder.stdout]).toEqual([1, ""]);
  expect(embedder.stderr).toContain("makes embeddings");
  expect((await runCommand(["bench"], { HOME: home })).code).toBe(2);
});
