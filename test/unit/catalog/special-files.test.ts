import { expect, test } from "bun:test";
import { chmodSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { addModel, catalogOf } from "../../support/catalog-fixture.ts";
import { tempFolder } from "../../support/temp-folder.ts";

async function reasonFor(folder: string, name: string): Promise<string | null> {
  const broken = await catalogOf(folder).catalog.broken();
  return broken.find(({ path }) => path === join(folder, name))?.reason ?? null;
}

test("T-D5: a FIFO does not hang the scan and is refused", async () => {
  using folder = tempFolder();
  Bun.spawnSync(["mkfifo", join(folder.path, "pipe.gguf")]);
  expect(await reasonFor(folder.path, "pipe.gguf")).toContain("not a regular file");
});

test("T-D5: a socket is refused", async () => {
  using folder = tempFolder();
  const server = createServer();
  const listening = Promise.withResolvers<void>();
  server.listen(join(folder.path, "socket.gguf"), listening.resolve);
  await listening.promise;
  expect(await reasonFor(folder.path, "socket.gguf")).toContain("not a regular file");
  server.close();
});

test.each(["/dev/zero", "/dev/null", "/proc/self/mem"])(
  "T-D5: a link to %s is refused",
  async (target) => {
    using folder = tempFolder();
    symlinkSync(target, join(folder.path, "link.gguf"));
    expect(await reasonFor(folder.path, "link.gguf")).toMatch(/not a regular file|empty/);
  },
);

test("T-D5: a link that leads nowhere is refused", async () => {
  using folder = tempFolder();
  symlinkSync(join(folder.path, "gone"), join(folder.path, "link.gguf"));
  expect(await reasonFor(folder.path, "link.gguf")).toContain("leads nowhere");
});

test("T-D5: a folder that is called like a model is searched, not read", async () => {
  using folder = tempFolder();
  addModel(folder.path, "odd.gguf/inside.gguf");
  const { catalog } = catalogOf(folder.path);
  expect((await catalog.list()).map((model) => model.key)).toEqual(["inside"]);
  expect(await catalog.broken()).toEqual([]);
});

test("T-D5: links between folders that form a loop end", async () => {
  using folder = tempFolder();
  addModel(folder.path, "publisher/repo/model-a.gguf");
  symlinkSync(folder.path, join(folder.path, "publisher/loop"));
  symlinkSync(join(folder.path, "publisher"), join(folder.path, "publisher/repo/up"));
  const { catalog } = catalogOf(folder.path);
  expect((await catalog.list()).map((model) => model.key)).toEqual(["model-a"]);
});

test.skipIf(process.getuid?.() === 0)("T-D5: an unreadable file is refused", async () => {
  using folder = tempFolder();
  chmodSync(addModel(folder.path, "secret.gguf"), 0);
  expect(await reasonFor(folder.path, "secret.gguf")).toContain("EACCES");
});

test("T-D5: a name with a line end and one that is not UTF-8 are listed or refused", async () => {
  using folder = tempFolder();
  addModel(folder.path, "two\nlines.gguf");
  const invalid = Buffer.concat([
    Buffer.from(`${folder.path}/`),
    Buffer.from([0xff, 0xfe]),
    Buffer.from(".gguf"),
  ]);
  writeFileSync(invalid, "x");
  const { catalog } = catalogOf(folder.path);
  expect((await catalog.list()).map((model) => model.key)).toEqual(["two-lines"]);
  expect(await catalog.broken()).toHaveLength(1);
});

test("T-D7: names are cut at 256 characters and lose control and direction characters", async () => {
  using folder = tempFolder();
  const { piece } = await import("../../../scripts/make-hostile-gguf.ts");
  const title = `Nice\u202E\u0007model${"x".repeat(1_000_000)}`;
  addModel(folder.path, "long.gguf", { pairs: [piece.string("general.name", title)] });
  const [model] = await catalogOf(folder.path).catalog.list();
  expect(model?.displayName).toStartWith("Nice  model");
  expect(model?.displayName.length).toBeLessThanOrEqual(256);
});

test("a folder that does not exist is an empty one", async () => {
  using folder = tempFolder();
  rmSync(folder.path, { recursive: true });
  const { catalog } = catalogOf(folder.path);
  expect(await catalog.list()).toEqual([]);
});
