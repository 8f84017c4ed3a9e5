import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { resolveConfig, type ServeConfig } from "../../../src/config/config.ts";
import { SERVE_SETTINGS } from "../../../src/config/settings.ts";
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

/** One setting in each of its places, each time with another value. */
interface Places<Name extends keyof ServeConfig> {
  args: string[];
  env: string;
  file: unknown;
  values: { args: ServeConfig[Name]; env: ServeConfig[Name]; file: ServeConfig[Name] };
}

const places: { [Name in keyof ServeConfig]: Places<Name> } = {
  port: { args: ["-p", "1"], env: "2", file: 3, values: { args: 1, env: 2, file: 3 } },
  bind: {
    args: ["--host", "[::1]"],
    env: "0.0.0.0",
    file: "localhost",
    values: { args: "::1", env: "0.0.0.0", file: "localhost" },
  },
  cors: {
    args: ["--cors"],
    env: "https://a.example,http://LOCALHOST:*",
    file: ["app://x"],
    values: { args: "*", env: ["https://a.example", "http://localhost:*"], file: ["app://x"] },
  },
  allowedHosts: {
    args: ["--allowed-hosts", "a,b", "--allowed-hosts=c"],
    env: "d, e",
    file: ["f"],
    values: { args: ["a", "b", "c"], env: ["d", "e"], file: ["f"] },
  },
  modelsDirs: {
    args: ["--models-dir", "/a", "--models-dir", "/b,c"],
    env: "/d:/e",
    file: "/f",
    values: { args: ["/a", "/b,c"], env: ["/d", "/e"], file: ["/f"] },
  },
  cacheDir: {
    args: ["--cache-dir", "/a"],
    env: "/b",
    file: "/c",
    values: { args: "/a", env: "/b", file: "/c" },
  },
  stateDir: {
    args: ["--state-dir=/a"],
    env: "/b",
    file: "/c",
    values: { args: "/a", env: "/b", file: "/c" },
  },
  demo: {
    args: ["--no-demo"],
    env: "on",
    file: false,
    values: { args: false, env: true, file: false },
  },
  apiKeys: {
    args: ["--api-key", "a", "--api-key", "b"],
    env: "c,d",
    file: ["e"],
    values: { args: ["a", "b"], env: ["c,d"], file: ["e"] },
  },
  apiKeyFile: {
    args: ["--api-key-file", "a"],
    env: "b",
    file: "c",
    values: { args: "a", env: "b", file: "c" },
  },
  requireAuth: {
    args: ["--require-auth"],
    env: "0",
    file: true,
    values: { args: true, env: false, file: true },
  },
  adopt: {
    args: ["--no-adopt"],
    env: "yes",
    file: false,
    values: { args: false, env: true, file: false },
  },
  jit: {
    args: ["--jit=false"],
    env: "yes",
    file: false,
    values: { args: false, env: true, file: false },
  },
  ttlSeconds: { args: ["--ttl", "1"], env: "2", file: 3, values: { args: 1, env: 2, file: 3 } },
  preload: {
    args: ["--load", "a", "--load", "b"],
    env: "c,d",
    file: ["e"],
    values: { args: ["a", "b"], env: ["c", "d"], file: ["e"] },
  },
  loadOptional: {
    args: ["--load-optional"],
    env: "false",
    file: true,
    values: { args: true, env: false, file: true },
  },
  contextLength: {
    args: ["-c", "auto"],
    env: "4096",
    file: 8192,
    values: { args: null, env: 4096, file: 8192 },
  },
  parallel: { args: ["--parallel", "1"], env: "2", file: 3, values: { args: 1, env: 2, file: 3 } },
  gpu: {
    args: ["--gpu", "0.5"],
    env: "20",
    file: 1,
    values: { args: 0.5, env: 20, file: "max" },
  },
  threads: {
    args: ["--threads", "1"],
    env: "auto",
    file: 3,
    values: { args: 1, env: null, file: 3 },
  },
  speculation: {
    args: ["--speculation", "off"],
    env: "auto",
    file: "off",
    values: { args: "off", env: "auto", file: "off" },
  },
  maxQueue: { args: ["--max-queue", "0"], env: "2", file: 3, values: { args: 0, env: 2, file: 3 } },
  loadTimeoutSeconds: {
    args: ["--load-timeout", "1.5"],
    env: "2",
    file: 3,
    values: { args: 1.5, env: 2, file: 3 },
  },
  requestTimeoutSeconds: {
    args: ["--request-timeout", "1"],
    env: "2",
    file: 3,
    values: { args: 1, env: 2, file: 3 },
  },
  shutdownGraceSeconds: {
    args: ["--shutdown-grace", "0"],
    env: "2",
    file: 3,
    values: { args: 0, env: 2, file: 3 },
  },
  aliases: {
    args: ["--alias", "gpt-*=a", "--alias", "b=c=d"],
    env: "e=f,g=h",
    file: { "gpt-3.5-turbo": "qwen", __proto__x: "y" },
    values: {
      args: [
        { name: "gpt-*", target: "a" },
        { name: "b", target: "c=d" },
      ],
      env: [
        { name: "e", target: "f" },
        { name: "g", target: "h" },
      ],
      file: [
        { name: "gpt-3.5-turbo", target: "qwen" },
        { name: "__proto__x", target: "y" },
      ],
    },
  },
  modelFallback: {
    args: ["--model-fallback"],
    env: "false",
    file: true,
    values: { args: true, env: false, file: true },
  },
  maxBodyBytes: {
    args: ["--max-body", "10MiB"],
    env: "2048",
    file: "1GiB",
    values: { args: 10 * 2 ** 20, env: 2048, file: 2 ** 30 },
  },
  maxChoices: { args: ["--max-n", "1"], env: "2", file: 3, values: { args: 1, env: 2, file: 3 } },
  reasoningField: {
    args: ["--reasoning-field", "both"],
    env: "reasoning",
    file: "reasoning_content",
    values: { args: "both", env: "reasoning", file: "reasoning_content" },
  },
  allowLlmEmbeddings: {
    args: ["--allow-llm-embeddings"],
    env: "false",
    file: true,
    values: { args: true, env: false, file: true },
  },
  responsesStore: {
    args: ["--responses-store", "memory"],
    env: "off",
    file: "disk",
    values: { args: "memory", env: "off", file: "disk" },
  },
  responsesTtlSeconds: {
    args: ["--responses-ttl", "30d"],
    env: "12h",
    file: 90,
    values: { args: 2_592_000, env: 43_200, file: 90 },
  },
  responsesMax: {
    args: ["--responses-max", "5"],
    env: "6",
    file: 7,
    values: { args: 5, env: 6, file: 7 },
  },
  restExtensions: {
    args: ["--rest-extensions"],
    env: "true",
    file: true,
    values: { args: true, env: true, file: true },
  },
  prefixCacheDiskBytes: {
    args: ["--prefix-cache-disk", "4GiB"],
    env: "0",
    file: "100MiB",
    values: { args: 4 * 2 ** 30, env: 0, file: 100 * 2 ** 20 },
  },
  prefixCacheMemoryBytes: {
    args: ["--prefix-cache-memory", "1GiB"],
    env: "0",
    file: "100MiB",
    values: { args: 2 ** 30, env: 0, file: 100 * 2 ** 20 },
  },
  sharedPrefixCache: {
    args: ["--shared-prefix-cache"],
    env: "true",
    file: true,
    values: { args: true, env: true, file: true },
  },
  chatTemplate: {
    args: ["--chat-template", "a"],
    env: "b",
    file: "c",
    values: { args: "a", env: "b", file: "c" },
  },
  metrics: {
    args: ["--no-metrics"],
    env: "true",
    file: false,
    values: { args: false, env: true, file: false },
  },
  logLevel: {
    args: ["--log-level", "debug"],
    env: "warn",
    file: "none",
    values: { args: "debug", env: "warn", file: "none" },
  },
  logFormat: {
    args: ["--log-format=json"],
    env: "text",
    file: "json",
    values: { args: "json", env: "text", file: "json" },
  },
  autoUnload: {
    args: ["--no-auto-unload"],
    env: "true",
    file: false,
    values: { args: false, env: true, file: false },
  },
  autoEvict: {
    args: ["--no-auto-evict"],
    env: "true",
    file: false,
    values: { args: false, env: true, file: false },
  },
  memoryLimitBytes: {
    args: ["--memory-limit", "24GiB"],
    env: "auto",
    file: "512MiB",
    values: { args: 24 * 2 ** 30, env: null, file: 512 * 2 ** 20 },
  },
  presets: {
    args: ["--preset", 'a*={"parallel": 2}', "--preset", 'b={"ttl": null}'],
    env: '*={"sampling": {"temperature": 0}}',
    file: { "c*": { gpu: "off", kvTypeK: "q8_0" } },
    values: {
      args: [
        { model: "a*", preset: { parallel: 2 } },
        { model: "b", preset: { ttl: null } },
      ],
      env: [{ model: "*", preset: { sampling: { temperature: 0 } } }],
      file: [{ model: "c*", preset: { gpu: "off", kvTypeK: "q8_0" } }],
    },
  },
  logContent: {
    args: ["--log-content"],
    env: "false",
    file: true,
    values: { args: true, env: false, file: true },
  },
  jsonReady: {
    args: ["--json-ready"],
    env: "false",
    file: true,
    values: { args: true, env: false, file: true },
  },
};

const names = Object.keys(places) as (keyof ServeConfig)[];

test.each(names)("%s: flag over environment over file over default", (name) => {
  const { args, env: text, file: content, values } = places[name];
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

test("a missing file is a problem only when it was named", () => {
  const at = (isExplicit: boolean) =>
    resolveConfig(SERVE_SETTINGS, { args: [], env: {}, file: { path: "/no/file", isExplicit } });
  expect(at(false).problems).toEqual([]);
  expect(at(true).problems).toEqual(["--config: /no/file cannot be read"]);
});

test("a file that is no JSON is named", () => {
  using folder = tempFolder();
  const path = join(folder.path, "config.json");
  writeFileSync(path, "{ port: 1 }");
  const { problems } = resolveConfig(SERVE_SETTINGS, {
    args: [],
    env: {},
    file: { path, isExplicit: false },
  });
  expect(problems).toEqual([`${path}: is not valid JSON`]);
});
