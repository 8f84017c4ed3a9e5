import { expect, spyOn, test } from "bun:test";
import { readdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { piece, tinyModel } from "../../../scripts/make-hostile-gguf.ts";
import { FileCache } from "../../../src/catalog/file-cache.ts";
import { FolderListings } from "../../../src/catalog/folder-listings.ts";
import { FolderWalker } from "../../../src/catalog/folder-walk.ts";
import { UnreadableFile } from "../../../src/catalog/file-bytes.ts";
import { scanGguf } from "../../../src/catalog/gguf-scan.ts";
import * as storeFile from "../../../src/catalog/stores/store-file.ts";
import { StoreReader } from "../../../src/catalog/stores/store-reader.ts";
import { defined } from "../../../src/lib/assert.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { addModel, catalogOf } from "../../support/catalog-fixture.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const DEMO = resolve(import.meta.dir, "../../../src/assets/demo.gguf");

interface KeyCase {
  name: string;
  files: string[];
  keys: string[];
}

const keyCases: KeyCase[] = [
  {
    name: "publisher and repository give way to the file's own name",
    files: ["lmstudio-community/Qwen2.5-7B-Instruct-GGUF/Qwen2.5-7B-Instruct-Q4_K_M.gguf"],
    keys: ["qwen2.5-7b-instruct"],
  },
  {
    name: "of several quantisations one has the plain name",
    files: ["a/r/m-7b-Q8_0.gguf", "a/r/m-7b-Q4_K_M.gguf", "a/r/m-7b.Q2_K.gguf"],
    keys: ["m-7b", "m-7b@q2_k", "m-7b@q8_0"],
  },
  {
    name: "two publishers of one name are told apart",
    files: ["Alpha/m-GGUF/m-Q8_0.gguf", "beta/m-GGUF/m-Q8_0.gguf"],
    keys: ["alpha/m", "beta/m"],
  },
  {
    name: "the same quantisation twice is named by its path",
    files: ["a/one/m-Q8_0.gguf", "a/two/m-Q8_0.gguf"],
    keys: ["a/two/m-q8_0", "m"],
  },
  {
    name: "a file without a telling name takes its folder's",
    files: ["pub/Nice-Model-GGUF/model.gguf", "pub/Other-GGUF/ggml-model-f16.gguf"],
    keys: ["nice-model", "other"],
  },
  {
    name: "loose files and any case of the ending",
    files: ["Loose Model.GGUF", "tiny.gguf"],
    keys: ["loose-model", "tiny"],
  },
  {
    name: "projectors, partial downloads and hidden folders are passed over",
    files: ["a/r/m.gguf", "a/r/mmproj-m-f16.gguf", "a/r/n.gguf.part", ".cache/r/h.gguf"],
    keys: ["m"],
  },
];

test.each(keyCases)("keys: $name", async ({ files, keys }) => {
  using folder = tempFolder();
  for (const file of files) addModel(folder.path, file);
  const models = await catalogOf(folder.path).catalog.list();
  expect(models.map((model) => model.key)).toEqual(keys);
});

const FIND_FILES = [
  "Alpha/Qwen-GGUF/Qwen-7B-Q4_K_M.gguf",
  "Alpha/Qwen-GGUF/Qwen-7B-Q8_0.gguf",
  "beta/gpt-oss/gpt-oss-20b-MXFP4.gguf",
];

test.each([
  ["exact key", "qwen-7b", "qwen-7b"],
  ["publisher and name", "alpha/qwen-7b", "qwen-7b"],
  ["variant", "qwen-7b@q8_0", "qwen-7b@q8_0"],
  ["variant of the plain one", "qwen-7b@q4_k_m", "qwen-7b"],
  ["variant in capitals", "qwen-7b@Q8_0", "qwen-7b@q8_0"],
  ["any case", "Qwen-7B", "qwen-7b"],
  ["file name", "Qwen-7B-Q8_0.gguf", "qwen-7b@q8_0"],
  ["file name without ending", "gpt-oss-20b-MXFP4", "gpt-oss-20b"],
  ["path", "Alpha/Qwen-GGUF/Qwen-7B-Q8_0.gguf", "qwen-7b@q8_0"],
  ["alias", "gpt-4o-mini", "gpt-oss-20b"],
  ["alias with a star", "gpt-3.5-turbo", "qwen-7b"],
  ["an alias never hides a model", "gpt-oss-20b", "gpt-oss-20b"],
  ["an alias of an alias", "again", null],
  ["nothing", "nope", null],
  ["a part of a name", "qwen", null],
  ["no prototype", "__proto__", null],
  ["a path out of the folder", "../Qwen-7B-Q8_0.gguf", null],
])("find: %s", async (_name, wanted, key) => {
  using folder = tempFolder();
  for (const file of FIND_FILES) addModel(folder.path, file);
  const aliases = [
    { name: "gpt-*", target: "qwen-7b" },
    { name: "gpt-4o-mini", target: "GPT-OSS-20B" },
    { name: "again", target: "gpt-4o-mini" },
  ];
  const { catalog } = catalogOf(folder.path, { aliases: () => aliases });
  expect((await catalog.find(wanted))?.key ?? null).toBe(key);
});

test("a name that two files share means neither", async () => {
  using folder = tempFolder();
  addModel(folder.path, "a/one/m-Q8_0.gguf");
  addModel(folder.path, "b/two/m-Q8_0.gguf");
  const { catalog } = catalogOf(folder.path);
  expect(await catalog.find("m-Q8_0.gguf")).toBeNull();
  expect((await catalog.find("a/m"))?.path).toBe(join(folder.path, "a/one/m-Q8_0.gguf"));
});

test("a split model is one model with the sizes of all its shards", async () => {
  using folder = tempFolder();
  const shards = [1, 2, 3].map((index) => `p/r/big-Q4_0-0000${index}-of-00003.gguf`);
  const paths = shards.map((shard) => addModel(folder.path, shard));
  const [model, ...others] = await catalogOf(folder.path).catalog.list();
  expect(others).toEqual([]);
  expect(model).toMatchObject({ key: "big", quantization: "Q4_0", files: paths, path: paths[0] });
  expect(model?.sizeBytes).toBe(3 * tinyModel().length);
  expect(model?.header?.parameterCount).toBe(3 * 64);
});

test("a split model with a missing shard is listed with the reason", async () => {
  using folder = tempFolder();
  addModel(folder.path, "p/r/big-00001-of-00003.gguf");
  addModel(folder.path, "p/r/big-00003-of-00003.gguf");
  const { catalog } = catalogOf(folder.path);
  expect(await catalog.list()).toEqual([]);
  const [broken] = await catalog.broken();
  expect(broken?.reason).toBe("of its 3 shards, 1 are missing (2)");
});

test("a split model with a truncated shard names that shard", async () => {
  using folder = tempFolder();
  addModel(folder.path, "big-00001-of-00002.gguf");
  const second = addModel(folder.path, "big-00002-of-00002.gguf");
  writeFileSync(second, readFileSync(second).subarray(0, 100));
  const [broken] = await catalogOf(folder.path).catalog.broken();
  expect(broken?.reason).toStartWith("shard 2: ");
});

test("a file without its shard number in the name still needs its shards", async () => {
  using folder = tempFolder();
  addModel(folder.path, "renamed.gguf", { pairs: [piece.number("split.count", 4)] });
  const [broken] = await catalogOf(folder.path).catalog.broken();
  expect(broken?.reason).toContain("of its 4 shards, 3 are missing");
});

test("embedding models are known by architecture or pooling, and their keys say so", async () => {
  using folder = tempFolder();
  addModel(folder.path, "nomic-embed-text-v1.5.Q8_0.gguf", { architecture: "nomic-bert" });
  addModel(folder.path, "Qwen3-Embedding-0.6B.gguf", {
    architecture: "qwen3",
    pairs: [piece.number("qwen3.pooling_type", 3)],
  });
  const models = await catalogOf(folder.path).catalog.list();
  expect(models.map(({ key, kind, pooling }) => [key, kind, pooling])).toEqual([
    ["text-embedding-nomic-embed-text-v1.5", "embedding", null],
    ["text-embedding-qwen3-embedding-0.6b", "embedding", "last"],
  ]);
});

test("facts of the built-in model come out of its header", async () => {
  using folder = tempFolder();
  const [model] = await catalogOf(folder.path, { demoPath: DEMO }).catalog.list();
  expect(model).toMatchObject({
    key: "demo",
    kind: "llm",
    source: "demo",
    quantization: "Q8_0",
    bosText: "<|endoftext|>",
    eosText: "<|im_end|>",
  });
  expect(model?.chatTemplate).toContain("messages");
  expect(model?.header?.blockCount).toBeGreaterThan(0);
});

test("the built-in model comes last and leaves its name to the user's own file", async () => {
  using folder = tempFolder();
  addModel(folder.path, "zebra.gguf");
  const fixture = catalogOf(folder.path, { demoPath: DEMO });
  const keys = async () => (await fixture.catalog.list()).map((model) => model.key);
  expect(await keys()).toEqual(["zebra", "demo"]);
  addModel(folder.path, "demo.gguf");
  fixture.age();
  expect(await keys()).toEqual(["demo", "zebra", "lmserver/demo"]);
});

test("a template given for all models replaces their own", async () => {
  using folder = tempFolder();
  addModel(folder.path, "m.gguf");
  const [model] = await catalogOf(folder.path, { chatTemplate: "{{ x }}" }).catalog.list();
  expect(model?.chatTemplate).toBe("{{ x }}");
});

test("new, changed and removed files are seen without a restart", async () => {
  using folder = tempFolder();
  const { catalog, age } = catalogOf(folder.path);
  expect(await catalog.list()).toEqual([]);
  const path = addModel(folder.path, "deep/er/m.gguf");
  age();
  expect((await catalog.find("m"))?.path).toBe(path);
  writeFileSync(path, "no model any more");
  age();
  expect(await catalog.broken()).toHaveLength(1);
  expect(await catalog.list()).toEqual([]);
  writeFileSync(path, tinyModel());
  age();
  expect(await catalog.broken()).toEqual([]);
  rmSync(path);
  age();
  expect(await catalog.find("m")).toBeNull();
});

test("a file that is written over in its place shows in a list soon, and in its name at once", async () => {
  using folder = tempFolder();
  const path = addModel(folder.path, "m.gguf");
  const { catalog, age } = catalogOf(folder.path);
  const [old] = await catalog.list();
  writeFileSync(path, tinyModel({ architecture: "qwen2" }));
  utimesSync(path, new Date(5_000), new Date(5_000));
  while ((await catalog.list())[0] === old) {
    age();
    await Bun.sleep(0);
  }
  expect((await catalog.list())[0]?.architecture).toBe("qwen2");
  writeFileSync(path, tinyModel({ architecture: "bert" }));
  utimesSync(path, new Date(9_000), new Date(9_000));
  age();
  expect((await catalog.find("m.gguf"))?.architecture).toBe("bert");
});

test("a file whose name no key can tell from another's is not listed, and told with the other", async () => {
  using folder = tempFolder();
  const paths = ["my model", "My Model", "my-model"].map((name) =>
    addModel(folder.path, `me/m/${name}.gguf`),
  );
  const { catalog } = catalogOf(folder.path);
  const listed = new Map((await catalog.list()).map(({ key, path }) => [key, path]));
  expect([...listed.keys()]).toEqual(["me/m/my-model", "my-model"]);
  const path = paths.find((candidate) => ![...listed.values()].includes(candidate)) ?? "";
  const reason = `${listed.get("me/m/my-model")} has the same name: rename one`;
  expect(await catalog.broken()).toEqual([{ path, reason }]);
});

test("a broken file that is mended in its place is found by its name at once", async () => {
  using folder = tempFolder();
  const path = join(folder.path, "m.gguf");
  writeFileSync(path, "broken");
  const { catalog, age } = catalogOf(folder.path);
  expect(await catalog.find("m")).toBeNull();
  writeFileSync(path, tinyModel());
  age();
  expect((await catalog.find("m"))?.path).toBe(path);
});

test("folders that come, go and are renamed show in the next list", async () => {
  using folder = tempFolder();
  const root = join(folder.path, "later");
  const { catalog, age } = catalogOf(root);
  const keys = async () => {
    age();
    return (await catalog.list()).map(({ key }) => key);
  };
  expect(await keys()).toEqual([]);
  addModel(root, "pub/repo/one.gguf");
  // So old that their folders count as settled: only then are files not looked at.
  const settle = () => {
    for (const path of [root, join(root, "pub"), ...readdirSync(join(root, "pub"))])
      utimesSync(resolve(root, "pub", path), new Date(1_000), new Date(1_000));
  };
  settle();
  expect(await keys()).toEqual(["one"]);
  expect(await keys()).toEqual(["one"]);
  addModel(root, "pub/repo/two.gguf");
  expect(await keys()).toEqual(["one", "two"]);
  settle();
  expect(await keys()).toEqual(["one", "two"]);
  addModel(root, "pub/new/three.gguf");
  expect(await keys()).toEqual(["one", "three", "two"]);
  settle();
  await keys();
  rmSync(join(root, "pub", "repo"), { recursive: true });
  expect(await keys()).toEqual(["three"]);
  settle();
  await keys();
  rmSync(root, { recursive: true });
  expect(await keys()).toEqual([]);
});

test("a model that was replaced is not given out from memory", async () => {
  using folder = tempFolder();
  const path = addModel(folder.path, "m.gguf");
  const { catalog, age } = catalogOf(folder.path);
  expect(await catalog.find("m")).not.toBeNull();
  renameSync(path, join(folder.path, "n.gguf"));
  age();
  expect(await catalog.find("m")).toBeNull();
  expect(await catalog.find("n")).not.toBeNull();
});

test("a file is read again only when its size, time or inode changed", async () => {
  using folder = tempFolder();
  const path = addModel(folder.path, "m.gguf");
  const cache = new FileCache();
  const walker = new FolderWalker(systemClock);
  const scan = async () => (await cache.scanAll((await walker.walk(folder.path)).files))[0];
  const first = defined(await scan(), "the file is there");
  expect(await scan()).toBe(first);
  utimesSync(path, new Date(1), new Date(1));
  const second = await scan();
  expect(second).not.toBe(first);
  rmSync(path);
  expect(await scan()).toBeUndefined();
});

test("many questions at once share one look at the folders", async () => {
  using folder = tempFolder();
  for (let index = 0; index < 40; index += 1) addModel(folder.path, `m${index}.gguf`);
  const { catalog } = catalogOf(folder.path);
  const lists = await Promise.all(Array.from({ length: 20 }, () => catalog.list()));
  expect(new Set(lists).size).toBe(1);
});

test("an alias that means no installed model is reported once, with its target", async () => {
  using folder = tempFolder();
  addModel(folder.path, "tiny.gguf");
  const said: unknown[] = [];
  const log = {
    ...silentLog,
    warn: (message: string, facts: unknown) => said.push([message, facts]),
  };
  const aliases = () => [
    { name: "one", target: "two" },
    { name: "small", target: "tiny" },
  ];
  const { catalog, age } = catalogOf(folder.path, { aliases, log });
  await catalog.list();
  age();
  await catalog.rescan();
  expect(said).toEqual([
    ["an alias means a model that is not installed", { alias: "one", target: "two" }],
  ]);
});

test("a file that cannot be used is reported once, and again when it was mended meanwhile", async () => {
  using folder = tempFolder();
  const said: unknown[] = [];
  const log = { ...silentLog, warn: (_message: string, facts: unknown) => said.push(facts) };
  const { catalog } = catalogOf(folder.path, { log });
  const path = join(folder.path, "m.gguf");
  const spoil = async (): Promise<void> => {
    writeFileSync(path, "no model");
    await catalog.rescan();
    await catalog.rescan();
  };
  await spoil();
  expect(said).toHaveLength(1);
  addModel(folder.path, "m.gguf");
  await catalog.rescan();
  expect(said).toHaveLength(1);
  await spoil();
  expect(said).toEqual([said[0], said[0]]);
});

test("a folder that was away is listed anew, also when it came back with its old time", async () => {
  using folder = tempFolder();
  const [root, aside] = [join(folder.path, "models"), join(folder.path, "aside")];
  const publisher = join(root, "pub");
  const inside = async (): Promise<number> => (await walker.walk(root)).files.length;
  const walker = new FolderWalker(systemClock);
  const age = (): void => utimesSync(publisher, new Date(1_000), new Date(1_000));
  addModel(root, "pub/m.gguf");
  age();
  expect([await inside(), await inside()]).toEqual([1, 1]);
  renameSync(publisher, aside);
  expect(await inside()).toBe(0);
  renameSync(aside, publisher);
  addModel(root, "pub/n.gguf");
  age();
  expect(await inside()).toBe(2);
});

test("exactly means the key or variant as it is written, with any case of the quantisation", async () => {
  using folder = tempFolder();
  addModel(folder.path, "pub/rep/Name-Q4_0.gguf");
  const aliases = () => [{ name: "other", target: "name" }];
  const { catalog } = catalogOf(folder.path, { aliases });
  const [model] = await catalog.list();
  const { key = "", variant = "" } = model ?? {};
  for (const name of [key, variant, variant.replace("q4_0", "Q4_0")]) {
    expect(await catalog.find(name, "exactly")).toBe(model ?? null);
  }
  for (const name of ["NAME", "Name-Q4_0.gguf", "other"]) {
    expect(await catalog.find(name, "exactly")).toBeNull();
    expect(await catalog.find(name)).toBe(model ?? null);
  }
});

test("a walk that finds no file descriptor free takes nothing off the list", async () => {
  using folder = tempFolder();
  addModel(folder.path, "a/b/tiny.gguf");
  const walker = new FolderWalker(systemClock);
  const before = await walker.walk(folder.path);
  addModel(folder.path, "c/d/other.gguf");
  const list = spyOn(FolderListings.prototype, "list").mockImplementation(() =>
    Promise.reject(Object.assign(new Error("too many open files"), { code: "EMFILE" })),
  );
  expect(await walker.walk(folder.path)).toBe(before);
  list.mockRestore();
  expect((await walker.walk(folder.path)).files).toHaveLength(2);
});

test("a file that could not be read for want of a descriptor is read again, and is what it was until then", async () => {
  using folder = tempFolder();
  const path = addModel(folder.path, "tiny.gguf");
  const [stamp] = (await new FolderWalker(systemClock).walk(folder.path)).files;
  const [first, changed] = [defined(stamp, "one"), { ...defined(stamp, "one"), modifiedMs: 1 }];
  let failure: unknown = Object.assign(new Error("too many open files"), { code: "EMFILE" });
  const cache = new FileCache(async (file) => {
    if (failure !== null) throw failure;
    return await scanGguf(file);
  });
  expect(await cache.scanAll([first])).toMatchObject([
    { header: null, reason: "the file cannot be read (EMFILE)" },
  ]);
  expect(cache.isSettled).toBe(false);
  failure = null;
  const [read] = await cache.scanAll([first]);
  expect([read?.reason, cache.isSettled]).toEqual([null, true]);
  failure = Object.assign(new Error("too many open files"), { code: "EMFILE" });
  for (const look of ["the first", "another"]) {
    expect([look, await cache.scanAll([changed])]).toEqual([look, [defined(read, path)]]);
    expect(cache.isSettled).toBe(false);
  }
  failure = new UnreadableFile("it is no GGUF file");
  expect(await cache.scanAll([changed])).toMatchObject([{ reason: "it is no GGUF file" }]);
  expect(cache.isSettled).toBe(true);
});

test("a store that cannot be listed for want of a descriptor keeps its models", async () => {
  using folder = tempFolder();
  addModel(folder.path, "tiny.gguf");
  const clock = { now: () => 0, monotonicMs: () => 0, after: () => () => undefined };
  const reader = new StoreReader(clock);
  const place = { path: folder.path, source: "llama.cpp" } as const;
  const before = await reader.walk(place);
  expect(before.files).toHaveLength(1);
  const starved = Object.assign(new Error("too many open files"), { code: "EMFILE" });
  const entries = spyOn(storeFile, "entriesOf").mockRejectedValue(starved);
  reader.forget();
  expect(await reader.walk(place)).toBe(before);
  entries.mockRestore();
});
