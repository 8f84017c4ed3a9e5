import { expect, test } from "bun:test";
import { copyFileSync, linkSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { piece, tinyModel } from "../../../scripts/make-hostile-gguf.ts";
import type { CatalogFolder } from "../../../src/catalog/model-catalog.ts";
import { walkHuggingFace } from "../../../src/catalog/stores/hugging-face.ts";
import { foreignStores } from "../../../src/config/foreign-stores.ts";
import { addModel, catalogOf } from "../../support/catalog-fixture.ts";
import { sha256 } from "../../support/fake-hub.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const COMMIT = "a".repeat(40);
const OLLAMA = "application/vnd.ollama.image.";

function write(path: string, content: string | Uint8Array): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

/** Adds a file as Hugging Face's libraries keep it. @returns the link's path. */
function addToHub(
  root: string,
  owner: string,
  repo: string,
  file: string,
  commit = COMMIT,
): string {
  const repository = join(root, `models--${owner}--${repo}`);
  const bytes = tinyModel({});
  const blob = write(join(repository, "blobs", sha256(bytes)), bytes);
  const link = join(repository, "snapshots", commit, file);
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(blob, link);
  return link;
}

interface Layers {
  model?: Uint8Array;
  [kind: string]: string | Uint8Array | undefined;
}

function addToOllama(root: string, name: string, layers: Layers, digestOf = digest): void {
  const entries = Object.entries(layers).map(([kind, content = ""]) => {
    const bytes = Buffer.from(content);
    write(join(root, "blobs", `sha256-${sha256(bytes)}`), bytes);
    return { mediaType: OLLAMA + kind, digest: digestOf(bytes), size: bytes.length };
  });
  const manifest = { schemaVersion: 2, layers: entries };
  write(join(root, "manifests", "registry.ollama.ai", name), JSON.stringify(manifest));
}

const digest = (bytes: Uint8Array): string => `sha256:${sha256(bytes)}`;

const catalogWith = (...folders: CatalogFolder[]) =>
  catalogOf("", { folders, demoPath: null }).catalog;

test("models of the Hugging Face cache carry its names", async () => {
  using folder = tempFolder();
  const path = addToHub(folder.path, "org", "Nice-7B-GGUF", "sub/Nice-7B-Q4_0.gguf");
  write(join(folder.path, "models--org--Nice-7B-GGUF/refs/main"), `${COMMIT}\n`);
  const catalog = catalogWith({ path: folder.path, source: "hugging-face" });
  expect(await catalog.list()).toMatchObject([
    { key: "nice-7b", publisher: "org", quantization: "Q4_0", source: "hugging-face", path },
  ]);
  expect(await catalog.broken()).toEqual([]);
});

test("what an older commit of a Hugging Face repository holds is listed, each name once", async () => {
  using folder = tempFolder();
  const [old, older] = ["b".repeat(40), "c".repeat(40)];
  const snapshots = join(folder.path, "models--org--x/snapshots");
  const add = (commit: string, file: string) =>
    addToHub(folder.path, "org", "x", file, commit).slice(snapshots.length + 1);
  write(join(folder.path, "models--org--x/refs/main"), COMMIT);
  add(older, "a.gguf");
  add(older, "b.gguf");
  const shards = [add(older, "s-00001-of-00002.gguf"), add(older, "s-00002-of-00002.gguf")];
  const listed = [add(COMMIT, "a.gguf"), add(old, "b.gguf"), ...shards];
  add(old, "a.gguf");
  add(COMMIT, "s-00001-of-00002.gguf");
  symlinkSync(join(snapshots, "nowhere"), join(snapshots, old, "s-00001-of-00002.gguf"));
  for (const [n, commit] of [COMMIT, older, old].entries())
    utimesSync(join(snapshots, commit), n, n);
  const { files, broken } = await walkHuggingFace(folder.path);
  const paths = files.map(({ path }) => path.slice(snapshots.length + 1));
  expect(paths.toSorted()).toEqual(listed.toSorted());
  expect(broken).toEqual([]);
  expect(files.map(({ relativePath }) => relativePath).toSorted()).toEqual([
    "org/x/a.gguf",
    "org/x/b.gguf",
    "org/x/s-00001-of-00002.gguf",
    "org/x/s-00002-of-00002.gguf",
  ]);
});

test("T-E2: links out of a Hugging Face cache are refused, whatever they lead to", async () => {
  using folder = tempFolder();
  const secret = addModel(folder.path, "secret/m.gguf");
  const store = join(folder.path, "hub");
  const snapshot = join(store, "models--a--b/snapshots", COMMIT);
  mkdirSync(snapshot, { recursive: true });
  symlinkSync(secret, join(snapshot, "x.gguf"));
  symlinkSync("/dev/zero", join(snapshot, "zero.gguf"));
  symlinkSync(dirname(secret), join(snapshot, "folder"));
  const outside = addToHub(join(folder.path, "other"), "c", "d", "d.gguf");
  symlinkSync(join(outside, "../../.."), join(store, "models--c--d"));
  mkdirSync(join(store, "models--e--f"));
  symlinkSync(join(outside, "../.."), join(store, "models--e--f/snapshots"));
  symlinkSync(join(snapshot, "nowhere"), join(snapshot, "lost.gguf"));
  write(join(store, "models--a--b/refs/main"), "../../../../secret");
  const catalog = catalogWith({ path: store, source: "hugging-face" });
  expect(await catalog.list()).toEqual([]);
  const reasons = (await catalog.broken()).map(({ reason }) => reason);
  expect(reasons.filter((reason) => reason.includes("out of its store"))).toHaveLength(3);
  expect(reasons).toHaveLength(4);
});

test("models of Ollama carry the names of their manifests, and their defaults", async () => {
  using folder = tempFolder();
  addToOllama(folder.path, "library/nice/7b-instruct-q4_0", {
    model: tinyModel({}),
    template: "{{ .Prompt }}",
    system: "Be kind.",
    params: JSON.stringify({ temperature: 0.5, top_p: "x", num_ctx: 2048, stop: ["</s>", 5] }),
  });
  addToOllama(folder.path, "library/nice/latest", { model: tinyModel({}) });
  const catalog = catalogWith({ path: folder.path, source: "ollama" });
  expect(await catalog.list()).toMatchObject([
    {
      key: "nice-7b-instruct",
      publisher: "ollama",
      quantization: "Q4_0",
      source: "ollama",
      defaults: {
        goTemplate: "{{ .Prompt }}",
        system: "Be kind.",
        sampling: { temperature: 0.5 },
        stop: ["</s>"],
        contextLength: 2048,
      },
    },
  ]);
});

test("a template of Ollama serves a model whose file has none, and never replaces its own", async () => {
  using folder = tempFolder();
  const pairs = [piece.string("tokenizer.chat_template", "{{ messages }}")];
  const template = "<u>{{ .Prompt }}</u>";
  addToOllama(folder.path, "library/bare/latest", { model: tinyModel({}), template });
  const own = tinyModel({ architecture: "qwen2", pairs });
  addToOllama(folder.path, "library/own/latest", { model: own, template });
  const broken = tinyModel({ architecture: "gemma" });
  addToOllama(folder.path, "library/strange/latest", { model: broken, template: "{{ if }}" });
  const models = await catalogWith({ path: folder.path, source: "ollama" }).list();
  const templates = new Map(models.map(({ key, chatTemplate }) => [key, chatTemplate]));
  expect(templates.get("bare")).toContain('{{ "<u>" }}');
  expect(templates.get("own")).toBe("{{ messages }}");
  expect(templates.get("strange")).toBeNull();
});

const badDigests: [string, (bytes: Uint8Array) => string][] = [
  ["a path", () => "sha256:../../../../etc/passwd"],
  ["upper case", (bytes) => digest(bytes).toUpperCase().replace("SHA256", "sha256")],
  ["too short", (bytes) => digest(bytes).slice(0, -1)],
  ["another algorithm", (bytes) => digest(bytes).replace("sha256", "sha512")],
  ["a line more", (bytes) => `${digest(bytes)}\n`],
];

test.each(badDigests)("T-E2: a digest that is %s opens nothing", async (_, digestOf) => {
  using folder = tempFolder();
  addToOllama(folder.path, "library/m/latest", { model: tinyModel({}) }, digestOf);
  const catalog = catalogWith({ path: folder.path, source: "ollama" });
  expect(await catalog.list()).toEqual([]);
  expect(await catalog.broken()).toMatchObject([{ reason: "it is no manifest of Ollama" }]);
});

test("T-E2: a blob of Ollama that leads elsewhere, and junk manifests, cost a reason each", async () => {
  using folder = tempFolder();
  const secret = addModel(folder.path, "secret/m.gguf");
  const store = join(folder.path, "store");
  const name = "c".repeat(64);
  mkdirSync(join(store, "blobs"), { recursive: true });
  symlinkSync(secret, join(store, "blobs", `sha256-${name}`));
  const manifests = join(store, "manifests/host/library");
  addToOllama(store, "library/fine/latest", { model: tinyModel({}) });
  const good = `sha256:${sha256(tinyModel({}))}`;
  const text = "d".repeat(64);
  symlinkSync(
    write(join(folder.path, "secret.txt"), "secret"),
    join(store, "blobs", `sha256-${text}`),
  );
  write(
    join(store, "manifests/registry.ollama.ai/library/fine/latest"),
    JSON.stringify({
      layers: [
        { mediaType: `${OLLAMA}model`, digest: good },
        { mediaType: `${OLLAMA}system`, digest: `sha256:${text}` },
      ],
    }),
  );
  const layers = [{ mediaType: `${OLLAMA}model`, digest: `sha256:${name}` }];
  write(join(manifests, "link/latest"), JSON.stringify({ layers }));
  write(join(manifests, "junk/latest"), "[".repeat(10_000));
  write(join(manifests, "proto/latest"), '{"__proto__":{"layers":[]}}');
  symlinkSync(secret, join(manifests, "junk/other"));
  const catalog = catalogWith({ path: store, source: "ollama" });
  expect(await catalog.list()).toMatchObject([{ key: "fine", defaults: { system: null } }]);
  expect((await catalog.broken()).map(({ reason }) => reason).sort()).toEqual([
    "it is no manifest of Ollama",
    "it is no manifest of Ollama",
    "the link leads out of its store",
  ]);
});

test("models of llama.cpp's cache are told apart from their repositories", async () => {
  using folder = tempFolder();
  addModel(folder.path, "ggml-org_nice-1b-GGUF_nice-1b-Q4_0.gguf");
  addModel(folder.path, "ggml-org_nice-1b-GGUF_mmproj-F16.gguf");
  const catalog = catalogWith({ path: folder.path, source: "llama.cpp" });
  expect(await catalog.list()).toMatchObject([
    { key: "nice-1b", publisher: "ggml-org", quantization: "Q4_0", source: "llama.cpp" },
  ]);
});

test("a model that several stores hold is listed once, the user's own first", async () => {
  using folder = tempFolder();
  const own = addModel(folder.path, "models/org/nice-GGUF/nice-Q4_0.gguf");
  const cache = join(folder.path, "llama.cpp");
  mkdirSync(cache);
  copyFileSync(own, join(cache, "org_nice-GGUF_nice-Q4_0.gguf"));
  const hub = join(folder.path, "hub");
  const snapshot = join(hub, "models--org--nice-GGUF/snapshots", COMMIT);
  mkdirSync(snapshot, { recursive: true });
  linkSync(own, join(snapshot, "nice-Q4_0.gguf"));
  const catalog = catalogWith(
    { path: cache, source: "llama.cpp" },
    { path: hub, source: "hugging-face" },
    { path: join(folder.path, "models"), source: "models-dir" },
  );
  const [model, ...others] = await catalog.list();
  expect(others).toEqual([]);
  expect(model).toMatchObject({ key: "nice", source: "models-dir", path: own });
  expect(model?.copies).toHaveLength(2);
});

test("models of equal size and other content are both listed", async () => {
  using folder = tempFolder();
  const bytes = tinyModel({});
  write(join(folder.path, "models/a/one/one-Q4_0.gguf"), bytes);
  const other = Uint8Array.from(bytes);
  other[other.length - 1] = other[other.length - 1]! ^ 1;
  write(join(folder.path, "cache/b_two-GGUF_two-Q4_0.gguf"), other);
  const catalog = catalogWith(
    { path: join(folder.path, "models"), source: "models-dir" },
    { path: join(folder.path, "cache"), source: "llama.cpp" },
  );
  expect((await catalog.list()).map(({ key }) => key)).toEqual(["one", "two"]);
});

test("stores are found by the environment of the programs they belong to", () => {
  using folder = tempFolder();
  const at = (path: string): string => {
    mkdirSync(join(folder.path, path), { recursive: true });
    return join(folder.path, path);
  };
  const home = folder.path;
  const paths = (env: Record<string, string>) =>
    foreignStores(env, home)
      .filter(({ path }) => path.startsWith(home))
      .map(({ source, path }) => `${source} ${path.slice(home.length + 1)}`);
  expect(paths({})).toEqual([]);
  at(".ollama/models");
  at(".cache/huggingface/hub");
  expect(paths({ HF_HOME: join(home, "nowhere") })).toEqual(["ollama .ollama/models"]);
  expect(paths({})).toEqual(["hugging-face .cache/huggingface/hub", "ollama .ollama/models"]);
  expect(paths({ HF_HOME: dirname(at("a/hub")), HUGGINGFACE_HUB_CACHE: at("b") })[0]).toBe(
    "hugging-face b",
  );
  expect(paths({ HF_HUB_CACHE: at("c"), HUGGINGFACE_HUB_CACHE: at("b") })[0]).toBe(
    "hugging-face c",
  );
  expect(paths({ LLAMA_CACHE: at("d"), OLLAMA_MODELS: at("e") })).toEqual([
    "hugging-face .cache/huggingface/hub",
    "hugging-face d",
    "llama.cpp d",
    "ollama e",
  ]);
});
