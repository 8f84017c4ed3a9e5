import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeAdapter } from "../../../scripts/make-model/make-adapter.ts";
import { writeGguf } from "../../../scripts/make-model/gguf-writer.ts";
import { findAdapter } from "../../../src/catalog/adapters.ts";
import { addModel, catalogOf } from "../../support/catalog-fixture.ts";
import { tempFolder } from "../../support/temp-folder.ts";

function addAdapter(folder: string, relativePath: string, seed = 1): string {
  const path = join(folder, relativePath);
  mkdirSync(dirname(path), { recursive: true });
  makeAdapter({ path, seed });
  return path;
}

test("adapters are listed as adapters, never as models, and named like models", async () => {
  using folder = tempFolder();
  addModel(folder.path, "pub/Base-7B-GGUF/Base-7B-Q4_K_M.gguf");
  const path = addAdapter(folder.path, "pub/Pirate-GGUF/Pirate-F16.gguf", 7);
  const { catalog } = catalogOf(folder.path);
  expect((await catalog.list()).map(({ key }) => key)).toEqual(["base-7b"]);
  expect(await catalog.broken()).toEqual([]);
  expect(await catalog.adapters()).toMatchObject([
    { key: "pirate", path, displayName: "random adapter 7", architecture: "llama" },
  ]);
  expect(await catalog.find("pirate")).toBeNull();
});

test("adapters of one name are told apart by their paths, in any case", async () => {
  using folder = tempFolder();
  addAdapter(folder.path, "One/r/style.gguf");
  addAdapter(folder.path, "two/r/style.gguf", 2);
  addAdapter(folder.path, "plain.gguf", 3);
  const adapters = await catalogOf(folder.path).catalog.adapters();
  expect(adapters.map(({ key }) => key)).toEqual(["one/r/style", "plain", "two/r/style"]);
  expect(findAdapter(adapters, "ONE/r/Style")?.path).toBe(join(folder.path, "One/r/style.gguf"));
  expect(findAdapter(adapters, "style")).toBeNull();
});

test("a new adapter is seen, and one of another kind is reported with the reason", async () => {
  using folder = tempFolder();
  const { catalog, age } = catalogOf(folder.path);
  expect(await catalog.adapters()).toEqual([]);
  addAdapter(folder.path, "late.gguf");
  const path = join(folder.path, "vector.gguf");
  const words = { "general.type": "adapter", "adapter.type": "control" };
  const text = (value: string) => ({ type: "string", value }) as const;
  writeGguf(path, new Map(Object.entries(words).map(([key, word]) => [key, text(word)])), []);
  age();
  expect((await catalog.adapters()).map(({ key }) => key)).toEqual(["late"]);
  const reason = 'it is an adapter of type "control", not LoRA';
  expect(await catalog.broken()).toEqual([{ path, reason }]);
});
