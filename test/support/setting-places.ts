import type { ServeConfig } from "../../src/config/config.ts";

/** One setting in each of its places, each time with another value. */
export interface Places<Name extends keyof ServeConfig> {
  args: string[];
  env: string;
  file: unknown;
  values: { args: ServeConfig[Name]; env: ServeConfig[Name]; file: ServeConfig[Name] };
}

export const SETTING_PLACES: { [Name in keyof ServeConfig]: Places<Name> } = {
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
    env: "0.25",
    file: 1,
    values: { args: 0.5, env: 0.25, file: "max" },
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
  responsesSizeBytes: {
    args: ["--responses-size", "0"],
    env: "100MiB",
    file: "2GiB",
    values: { args: 0, env: 100 * 2 ** 20, file: 2 * 2 ** 30 },
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
