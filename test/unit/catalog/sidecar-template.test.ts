import { expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addModel, catalogOf } from "../../support/catalog-fixture.ts";
import { tempFolder } from "../../support/temp-folder.ts";

test("a template beside a model replaces the model's own, and is seen when it comes and goes", async () => {
  using folder = tempFolder();
  addModel(folder.path, "m.gguf");
  const { catalog, age } = catalogOf(folder.path);
  const template = async (): Promise<string | null | undefined> => {
    age();
    return (await catalog.list())[0]?.chatTemplate;
  };
  const own = await template();
  writeFileSync(join(folder.path, "m.jinja"), "{{ beside }}");
  expect(await template()).toBe("{{ beside }}");
  writeFileSync(join(folder.path, "m.jinja"), "{{ changed }}");
  expect(await template()).toBe("{{ changed }}");
  rmSync(join(folder.path, "m.jinja"));
  expect(await template()).toBe(own ?? null);
});

test("a template given for all models wins over one beside a model", async () => {
  using folder = tempFolder();
  addModel(folder.path, "m.gguf");
  writeFileSync(join(folder.path, "m.jinja"), "{{ beside }}");
  const [model] = await catalogOf(folder.path, { chatTemplate: "{{ given }}" }).catalog.list();
  expect(model?.chatTemplate).toBe("{{ given }}");
});

test("a folder or a huge file of that name is no template", async () => {
  using folder = tempFolder();
  addModel(folder.path, "a.gguf");
  addModel(folder.path, "b.gguf");
  mkdirSync(join(folder.path, "a.jinja"));
  writeFileSync(join(folder.path, "b.jinja"), "x".repeat(1024 * 1024 + 1));
  const templates = (await catalogOf(folder.path).catalog.list()).map(
    (model) => model.chatTemplate,
  );
  expect(templates.filter((text) => text?.startsWith("x"))).toEqual([]);
  expect(templates).toHaveLength(2);
});

test("a template that is given for a key is the strongest, and other models keep theirs", async () => {
  using folder = tempFolder();
  addModel(folder.path, "acme/one/one-Q8_0.gguf");
  addModel(folder.path, "acme/two/two-Q8_0.gguf");
  const { catalog } = catalogOf(folder.path, {
    chatTemplate: "{{ general }}",
    templateOf: (key) => (key.includes("one") ? "{{ own }}" : null),
  });
  const templates = (await catalog.list()).map((model) => model.chatTemplate);
  expect(templates).toEqual(["{{ own }}", "{{ general }}"]);
});
