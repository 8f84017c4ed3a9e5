import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { resolveConfig, type ServeConfig } from "../../../src/config/config.ts";
import * as access from "../../../src/config/access-settings.ts";
import { FOLDER_SETTINGS } from "../../../src/config/folder-settings.ts";
import * as load from "../../../src/config/load-settings.ts";
import { PROMPT_SETTINGS } from "../../../src/config/prompt-settings.ts";
import { REPORT_SETTINGS } from "../../../src/config/report-settings.ts";
import { REQUEST_SETTINGS } from "../../../src/config/request-settings.ts";
import { SERVE_SETTINGS } from "../../../src/config/settings.ts";
import { SETTING_PLACES } from "../../support/setting-places.ts";
import { tempFolder } from "../../support/temp-folder.ts";

interface Given {
  args?: string[];
  env?: Record<string, string>;
  file?: unknown;
}

function resolve({ args = [], env = {}, file }: Given) {
  using folder = tempFolder();
  const path = join(folder.path, "config.json");
  if (file !== undefined) writeFileSync(path, JSON.stringify(file));
  const source = file === undefined ? null : { path, isExplicit: true };
  return resolveConfig(SERVE_SETTINGS, { args, env, file: source });
}

test("no two tables have the same setting, and no two settings share a place", () => {
  const tables = [
    [access.NETWORK_SETTINGS, access.KEY_SETTINGS, FOLDER_SETTINGS],
    [load.RESIDENCY_SETTINGS, load.LOAD_SETTINGS, REQUEST_SETTINGS],
    [PROMPT_SETTINGS, REPORT_SETTINGS],
  ].flat();
  const keys = tables.flatMap((table) => Object.keys(table));
  expect(keys).toEqual([...new Set(keys)]);
  expect(Object.keys(SERVE_SETTINGS)).toHaveLength(keys.length);
  const settings = Object.values(SERVE_SETTINGS);
  const places = settings.flatMap(({ flag, otherFlag, short, env, fileKey }) =>
    [flag, otherFlag, short, ...env, fileKey === null ? null : `${fileKey} in the file`].filter(
      (place) => place !== null,
    ),
  );
  expect(places).toEqual([...new Set(places)]);
});

const names = Object.keys(SETTING_PLACES) as (keyof ServeConfig)[];

test.each(names)("%s: flag over environment over file over default", (name) => {
  const { args, env: text, file: content, values } = SETTING_PLACES[name];
  const { env: variables, fileKey, fallback } = SERVE_SETTINGS[name];
  const env = { [variables[0] ?? ""]: text };
  const file = { [fileKey ?? ""]: content };
  const read = (given: Given): unknown => {
    const { values: found, problems } = resolve(given);
    expect(problems).toEqual([]);
    return found[name];
  };
  expect(read({})).toEqual(fallback);
  expect(read({ file })).toEqual(values.file);
  expect(read({ env, file })).toEqual(values.env);
  expect(read({ args, env, file })).toEqual(values.args);
});

test.each([
  ["not a number", { args: ["--port", "abc"] }, '--port: "abc" is not an integer from 0 to 65535'],
  ["too large", { args: ["--port=65536"] }, "--port"],
  ["negative", { args: ["--max-queue=-1"] }, "--max-queue"],
  ["hexadecimal", { args: ["--port", "0x50"] }, "--port"],
  ["a fraction", { args: ["--parallel", "1.5"] }, "--parallel"],
  ["a share of the GPU beyond one", { args: ["--gpu", "1.5"] }, "--gpu"],
  ["a number of layers for all models", { args: ["--gpu", "20"] }, "--gpu"],
  ["a size without a unit we know", { args: ["--max-body", "64MB"] }, "--max-body"],
  ["a memory limit of nothing", { args: ["--memory-limit", "0"] }, "--memory-limit"],
  ["a memory limit that is no size", { args: ["--memory-limit", "much"] }, "such as 24GiB"],
  ["a size below the least", { args: ["--max-body", "1023"] }, "--max-body"],
  ["an origin with a path", { args: ["--cors", "https://a.example/x"] }, "--cors"],
  ["an origin without scheme", { args: ["--cors", "a.example"] }, "--cors"],
  ["a host with a port", { args: ["--allowed-hosts", "a:1"] }, "--allowed-hosts"],
  ["an alias without target", { args: ["--alias", "a="] }, "--alias"],
  ["an alias without =", { args: ["--alias", "a"] }, "--alias"],
  ["a word that is none of the choices", { args: ["--log-level", "loud"] }, "debug, info, warn"],
  ["a switch with another word", { args: ["--demo=maybe"] }, "true or false"],
  ["a missing value", { args: ["--port"] }, "--port needs a value"],
  ["a flag as value", { args: ["--cache-dir", "--port", "1"] }, "--cache-dir needs a value"],
  ["a negated flag that is no switch", { args: ["--no-port"] }, "--no-port is not a switch"],
  ["an unknown flag", { args: ["--prot", "1"] }, "did you mean --port?"],
  ["an unknown short flag", { args: ["-z"] }, "-z is not a flag"],
  ["an empty key", { args: ["--api-key", ""] }, "--api-key"],
  ["the environment", { env: { LMSERVER_PORT: "x" } }, 'LMSERVER_PORT: "x" is not'],
  ["a type in the file", { file: { port: "80" } }, "port: "],
  ["an unknown key in the file", { file: { prot: 1 } }, 'did you mean "port"?'],
  ["a file that is a list", { file: [] }, "is not a JSON object"],
  ["a hidden key in the file", { file: JSON.parse('{"__proto__": {"port": 1}}') }, "__proto__"],
] as [string, Given, string][])("refused: %s", (_name, given, words) => {
  const { problems } = resolve(given);
  expect(problems.join("\n")).toContain(words);
  expect(({} as Record<string, unknown>)["port"]).toBeUndefined();
});

test("every problem of every source is reported together", () => {
  const { problems } = resolve({
    args: ["--port", "x", "--nope"],
    env: { LMSERVER_PARALLEL: "0" },
    file: { threads: 0, other: 1 },
  });
  expect(problems).toHaveLength(5);
});

test("every field of every preset that makes no sense is named", () => {
  const { problems } = resolve({
    file: {
      presets: {
        "a*": { contextLength: 0, paralel: 1, gpu: 1.5, sampling: { temperature: "hot", mood: 1 } },
        b: 7,
        "": {},
      },
    },
  });
  const said = problems.map((problem) => problem.replace(/^.*presets: /, ""));
  expect(said).toEqual([
    '"a*": contextLength: 0 is not an integer from 1 to 2147483647',
    '"a*": "paralel" is not a field; did you mean "parallel"?',
    '"a*": gpu: 1.5 is not auto, off, max, a share from 0 to 1, or a number of layers',
    '"a*": sampling: temperature: "hot" is not a number from 0 to 2',
    '"a*": sampling: "mood" is not a field',
    '"b": 7 is not an object such as {"contextLength": 8192}',
    '"": a preset names a model, or *',
  ]);
  expect(resolve({ args: ["--preset", "a={"] }).problems.join()).toContain(
    "is not a model and its",
  );
  expect(resolve({ file: { presets: [] } }).problems).toEqual([]);
});

test("a secret never appears in a problem", () => {
  const { problems } = resolve({ file: { apiKey: ["hunter2", ""] } });
  expect(problems).toHaveLength(1);
  expect(problems[0]).not.toContain("hunter2");
});

test("a flag given twice: the last one wins, lists grow", () => {
  const { values } = resolve({ args: ["--port", "1", "--port", "2", "--demo", "--no-demo"] });
  expect([values.port, values.demo]).toEqual([2, false]);
});

test("--cors alone does not swallow the next flag", () => {
  const { values, problems } = resolve({ args: ["--cors", "--port", "1"] });
  expect([problems, values.cors, values.port]).toEqual([[], "*", 1]);
});

test("LM Studio's variable for the address is the weaker one, and empty means unset", () => {
  expect(resolve({ env: { LMS_SERVER_HOST: "0.0.0.0" } }).values.bind).toBe("0.0.0.0");
  const both = { LMS_SERVER_HOST: "0.0.0.0", LMSERVER_BIND: "::1" };
  expect(resolve({ env: both }).values.bind).toBe("::1");
  expect(resolve({ env: { LMS_SERVER_HOST: "" } }).values.bind).toBe("127.0.0.1");
});

test("the other name of a flag is a variable too, weaker than the first", () => {
  expect(resolve({ env: { LMSERVER_HOST: "::1" } }).values.bind).toBe("::1");
  const both = { LMSERVER_HOST: "::1", LMSERVER_BIND: "0.0.0.0", LMS_SERVER_HOST: "::2" };
  expect(resolve({ env: both }).values.bind).toBe("0.0.0.0");
});

test("a switch is turned off by its negated variable, which says nothing of other settings", () => {
  expect(resolve({ env: { LMSERVER_NO_DEMO: "1" } }).values.demo).toBe(false);
  expect(resolve({ env: { LMSERVER_NO_DEMO: "0" } }).values.demo).toBe(true);
  const both = { LMSERVER_NO_DEMO: "1", LMSERVER_DEMO: "true" };
  expect(resolve({ env: both }).values.demo).toBe(true);
  expect(resolve({ env: { LMSERVER_NO_DEMO: "maybe" } }).problems).toEqual([
    'LMSERVER_NO_DEMO: "maybe" is not true or false',
  ]);
  expect(resolve({ env: { LMSERVER_NO_PORT: "1" } }).problems).toEqual([]);
});

test("a missing file is a problem only when it was named", () => {
  const at = (isExplicit: boolean) =>
    resolveConfig(SERVE_SETTINGS, { args: [], env: {}, file: { path: "/no/file", isExplicit } });
  expect(at(false).problems).toEqual([]);
  expect(at(true).problems).toEqual(["--config: /no/file cannot be read"]);
});

test("a file that is no JSON is named with what is wrong in it", () => {
  using folder = tempFolder();
  const path = join(folder.path, "config.json");
  writeFileSync(path, '{ "port": 1, }');
  const { problems } = resolveConfig(SERVE_SETTINGS, {
    args: [],
    env: {},
    file: { path, isExplicit: false },
  });
  expect(problems).toEqual([`${path}: is not valid JSON (Property name must be a string literal)`]);
});

test("a file may begin with a byte order mark", () => {
  using folder = tempFolder();
  const path = join(folder.path, "config.json");
  writeFileSync(path, '\uFEFF{ "port": 1 }');
  const file = { path, isExplicit: false };
  const { values, problems } = resolveConfig(SERVE_SETTINGS, { args: [], env: {}, file });
  expect([values.port, problems]).toEqual([1, []]);
});
