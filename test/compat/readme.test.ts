import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { makeAdapter } from "../../scripts/make-model/make-adapter.ts";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import { runCommand } from "../support/run-command.ts";
import { type TestServer, startServer } from "../support/server.ts";
import { tempFolder } from "../support/temp-folder.ts";

/** The README's own requests, as somebody who pastes them sends them. */

setDefaultTimeout(120_000);

const README = readFileSync(resolve(import.meta.dir, "../../README.md"), "utf8");
const CURLS = [...README.matchAll(/^ {4}curl (?:.*\\\n)*.*/gm)].map(([command]) => command.trim());

const models = tempFolder();
let server: TestServer;
beforeAll(async () => {
  makeModel({ path: join(models.path, "llama-3.2-1b.gguf"), seed: 3 });
  makeAdapter({ path: join(models.path, "pirate.gguf"), seed: 20 });
  makeAdapter({ path: join(models.path, "poet.gguf"), seed: 21 });
  server = await startServer({ args: ["--models-dir", models.path] });
});
afterAll(async () => {
  await server.stop();
  models[Symbol.dispose]();
});

test("the README loads a model with adapters", async () => {
  const [, words = ""] = /^ {4}lmserver (load .*--lora.*?) +#/m.exec(README) ?? [];
  const where = ["--state-dir", join(server.home, "state")];
  const loaded = await runCommand([...words.split(" "), ...where], { HOME: server.home });
  expect([loaded.code, loaded.stdout]).toEqual([0, "llama-3.2-1b\n"]);
});

test.each(CURLS)("the README's request is answered: %s", (command) => {
  if (Bun.which("curl") === null) return console.warn("no curl here: a request is not pasted");
  const [request = ""] = command
    .replace("http://127.0.0.1:1234", server.url)
    .replace(/^curl /, "curl -sS -o /dev/null -w '%{http_code}' ")
    .split(" | jq ");
  const { stdout, stderr } = Bun.spawnSync(["bash", "-c", request]);
  expect([stdout.toString(), stderr.toString()]).toEqual(["200", ""]);
});

test("every request of the README was found", () => {
  expect(CURLS.length).toBe(README.split("\n").filter((line) => line.includes("curl ")).length);
  expect(CURLS.length).toBeGreaterThan(3);
});
