import { expect, test } from "bun:test";
import { readFileSync, readdirSync } from "node:fs";
import { join, normalize, resolve } from "node:path";

/** The house's own rules, which no linter knows. See CONTRIBUTING.md and docs/ARCHITECTURE.md. */

const ROOT = resolve(import.meta.dir, "..");

/** Rooms that a room may import besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  protocol: ["lib"],
  llama: ["protocol", "lib"],
  engine: ["llama", "protocol", "lib"],
  config: ["lib"],
  bundle: ["lib"],
  store: ["lib"],
  catalog: ["config", "bundle", "lib"],
  pool: ["catalog", "config", "protocol", "lib"],
  chat: ["pool", "catalog", "protocol", "lib"],
  http: ["chat", "pool", "catalog", "store", "config", "protocol", "bundle", "lib"],
  cli: [
    "engine",
    "http",
    "chat",
    "pool",
    "store",
    "catalog",
    "config",
    "protocol",
    "bundle",
    "lib",
  ],
  main: ["cli"],
};

/** Packages that only one room may know. */
const ONLY_IN: Readonly<Record<string, string>> = {
  "bun:ffi": "llama",
  elysia: "http",
  "@elysiajs/cors": "http",
  "@huggingface/jinja": "chat",
};

/** Files that are started by name, not imported. */
const ENTRY_FILES = ["src/main.ts", "src/chat/render-worker.ts", "src/llama/compute-worker.ts"];

/**
 * Rooms and files that read the machine's clock themselves, since no test moves it for them, and why.
 * All others are handed a `Clock`.
 */
const OWN_TIME: Readonly<Record<string, string>> = {
  "src/lib/clock.ts": "it is the clock",
  "src/cli/": "it composes the program, and its verbs wait for others",
  "src/llama/": "it waits for the library and the system alone",
  "src/engine/engine-process.ts": "a process that ends waits for its last messages",
  "src/pool/engine-channel.ts": "a process that has ended is waited for",
  "src/bundle/bundle.ts": "ages of files, whose times the file system gives",
  "src/catalog/file-bytes.ts": "work is measured, which no test fakes",
};

const files = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((name) => name.endsWith(".ts"));

const sources = files("src");
const everything = [...sources, ...files("test"), ...files("scripts")];
const text = new Map(everything.map((name) => [name, readFileSync(join(ROOT, name), "utf8")]));
const textOf = (name: string): string => text.get(name) ?? "";

const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*|new URL\(\s*)"([^"]+)"/g;
const importsOf = (name: string): string[] =>
  [...textOf(name).matchAll(IMPORT)].map((match) => match[1] ?? "");
const resolved = (from: string, path: string): string => normalize(join(from, "..", path));
const roomOf = (name: string): string => name.split("/")[1]?.replace(/\.ts$/, "") ?? "";

test("a room imports only the rooms it may", () => {
  const broken = sources.flatMap((name) => {
    const room = roomOf(name);
    return importsOf(name).flatMap((path) => {
      if (!path.startsWith(".")) {
        const owner = ONLY_IN[path];
        return owner !== undefined && owner !== room ? [`${name} imports ${path}`] : [];
      }
      const target = roomOf(resolved(name, path));
      const isAllowed = target === room || (MAY_IMPORT[room] ?? []).includes(target);
      return isAllowed ? [] : [`${name} imports ${path}`];
    });
  });
  expect(broken).toEqual([]);
});

test("every room is one of the house's", () => {
  const rooms = new Set(sources.map(roomOf));
  expect([...rooms].filter((room) => !Object.hasOwn(MAY_IMPORT, room))).toEqual([]);
});

test("only http knows wire spellings of errors, and nobody below it throws a status", () => {
  const broken = sources.filter(
    (name) => roomOf(name) !== "http" && /\bstatus:\s*[45]\d\d\b/.test(textOf(name)),
  );
  expect(broken).toEqual([]);
});

test("no file is longer than 400 lines", () => {
  const long = everything
    .filter((name) => !name.startsWith("test/"))
    .map((name) => ({ name, lines: textOf(name).split("\n").length }))
    .filter(({ lines }) => lines > 400);
  expect(long).toEqual([]);
});

test("the sources hold no any, no non-null assertion, no silenced error and no unfinished work", () => {
  const rules: [string, RegExp][] = [
    ["any", /(:\s*any\s*[,;)=\]]|\bas any\b|<any>|\bany\[\])/],
    ["a silenced type error", /@ts-(ignore|expect-error|nocheck)/],
    ["an empty catch", /catch\s*(\([^)]*\))?\s*\{\s*\}/],
    ["unfinished work", /\b(TODO|FIXME|XXX)\b/],
    ["a silenced linter", /(oxlint|eslint)-disable/],
  ];
  const broken = everything.flatMap((name) =>
    name === "test/tidy.test.ts"
      ? []
      : rules.filter(([, rule]) => rule.test(textOf(name))).map(([what]) => `${name}: ${what}`),
  );
  expect(broken).toEqual([]);
});

test("input is never installed as a prototype by Object.assign", () => {
  expect(sources.filter((name) => /Object\.assign\(\s*\{/.test(textOf(name)))).toEqual([]);
});

test("each source file is imported by another or started by name, not by tests alone", () => {
  const used = new Set(ENTRY_FILES);
  for (const name of [...sources, ...files("scripts")]) {
    for (const path of importsOf(name)) if (path.startsWith(".")) used.add(resolved(name, path));
  }
  expect(sources.filter((name) => !used.has(name))).toEqual([]);
});

test("no module imports itself over others", () => {
  const graph = new Map(
    sources.map((name) => [
      name,
      importsOf(name)
        .filter((path) => path.startsWith("."))
        .map((path) => resolved(name, path)),
    ]),
  );
  const state = new Map<string, "open" | "done">();
  const cycles: string[] = [];
  const visit = (name: string, path: readonly string[]): void => {
    if (state.get(name) === "done") return;
    if (state.get(name) === "open") {
      cycles.push([...path.slice(path.indexOf(name)), name].join(" -> "));
      return;
    }
    state.set(name, "open");
    for (const next of graph.get(name) ?? []) visit(next, [...path, name]);
    state.set(name, "done");
  };
  for (const name of graph.keys()) visit(name, []);
  expect(cycles).toEqual([]);
});

test("time is handed in as a clock, but for the few who say why", () => {
  const readers = sources.filter((name) =>
    /\b(performance\.now|Date\.now|Bun\.sleep)/.test(textOf(name)),
  );
  const allowed = Object.keys(OWN_TIME);
  expect(readers.filter((name) => !allowed.some((start) => name.startsWith(start)))).toEqual([]);
  expect(allowed.filter((start) => !readers.some((name) => name.startsWith(start)))).toEqual([]);
});

test("names of files are kebab-case and there are no grab bags", () => {
  const odd = everything.filter(
    (name) =>
      !/^[a-z0-9-]+(\.(test|schema|encode|decode|stream))?\.ts$/.test(
        name.split("/").at(-1) ?? "",
      ) || /\/(utils?|helpers?|common|misc|index)\.ts$/.test(name),
  );
  expect(odd).toEqual([]);
});

test("packages are pinned exactly", () => {
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(
    readFileSync(join(ROOT, "package.json"), "utf8"),
  ) as Record<string, Record<string, string>>;
  const pins = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies });
  expect(pins.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
});

test("no path of one machine is in the repository", () => {
  const own = /(\/work\/|\/tmp\/(llamacpp|lab|brief)|\/root\/)/;
  expect(
    everything.filter((name) => name !== "test/tidy.test.ts" && own.test(textOf(name))),
  ).toEqual([]);
});
