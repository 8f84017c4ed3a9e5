import { delimiter } from "node:path";
import { Type, type Static } from "typebox";
import { DEFAULT_MAX_CHOICES, MAX_BODY_BYTES, MAX_CHOICES } from "../lib/limits.ts";
import { explainPresets, Gpu, ModelPresets, presetsFromFile, readPreset } from "./presets.ts";
import * as kinds from "./setting.ts";

const Alias = Type.Object({
  name: Type.String({ minLength: 1 }),
  target: Type.String({ minLength: 1 }),
});

/** Another name of a model; `*` in `name` stands for any text. */
export type Alias = Readonly<Static<typeof Alias>>;

const ORIGIN = "^[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\\[[0-9a-f:.]+\\])(:(\\d{1,5}|\\*))?$";
const HOST = "^[A-Za-z0-9._:%-]+$";

/** `[::1]` as in a URL. */
const withoutBrackets = (address: string): string => address.replace(/^\[(.*)\]$/, "$1");

/** `true` and `*` mean any origin, `false` none. */
function readOrigins(texts: readonly string[]): unknown {
  const items = texts.flatMap((text) => text.split(",")).map((item) => item.trim().toLowerCase());
  if (items.some((item) => item === "*" || item === "true")) return "*";
  return items.every((item) => item === "false") ? null : items;
}

function readAlias(text: string): unknown {
  const at = text.indexOf("=");
  return at === -1 ? text : { name: text.slice(0, at).trim(), target: text.slice(at + 1).trim() };
}

/** Lists of "name=key", or one object of names. */
function aliasesFromFile(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map((item: unknown) => (typeof item === "string" ? readAlias(item) : item));
  }
  if (value === null || typeof value !== "object") return value;
  return Object.entries(value).map(([name, target]: [string, unknown]) => ({ name, target }));
}

/** 0 = off, 1 = max, between = a share of the layers, above = that many layers. */
function readGpu(text: string): unknown {
  if (/^(auto|off|max)$/.test(text)) return text;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value === 0) return "off";
  return value === 1 ? "max" : value;
}

/** Every setting of `lmserver serve`, in the order of its help. */
export const SERVE_SETTINGS = {
  port: kinds.integerSetting({
    flag: "port",
    short: "p",
    fallback: 1234,
    minimum: 0,
    maximum: 65_535,
    help: "Port to listen on; 0 = any free one, which is printed",
  }),
  bind: kinds.setting({
    flag: "bind",
    otherFlag: "host",
    otherEnv: ["LMS_SERVER_HOST"],
    argument: "<address>",
    schema: Type.String({ minLength: 1, pattern: HOST }),
    fallback: "127.0.0.1",
    accepts: "an address or host name",
    read: (texts) => withoutBrackets(texts.at(-1) ?? ""),
    fromFile: (value) => (typeof value === "string" ? withoutBrackets(value) : value),
    help: "Address to listen on; 0.0.0.0 = all networks, localhost = 127.0.0.1 and ::1",
  }),
  cors: kinds.setting({
    flag: "cors",
    argument: "[origins]",
    bareValue: "*",
    isList: true,
    schema: Type.Union([
      Type.Literal("*"),
      Type.Null(),
      Type.Array(Type.String({ pattern: ORIGIN })),
    ]),
    fallback: null,
    accepts: "an origin such as https://a.example or http://localhost:*, or *",
    read: readOrigins,
    fromFile: (value) =>
      readOrigins((Array.isArray(value) ? value : [value]).map((item: unknown) => String(item))),
    help: "Let web pages of these origins use the server; alone = any origin",
  }),
  allowedHosts: kinds.listSetting({
    flag: "allowed-hosts",
    argument: "<names>",
    wordSeparator: ",",
    accepts: "a host name without port",
    pattern: "^[A-Za-z0-9._-]+$",
    help: "More names clients may use in the Host header",
  }),
  modelsDirs: kinds.listSetting({
    flag: "models-dir",
    argument: "<folder>",
    envSeparator: delimiter,
    help: "Folder with models, may be repeated (default ~/.lmserver/models and LM Studio's)",
  }),
  adopt: kinds.setting({
    flag: "adopt",
    argument: null,
    schema: Type.Union([Type.Boolean(), Type.Null()]),
    fallback: null,
    accepts: "true or false",
    read: (texts) => kinds.readBoolean(texts.at(-1) ?? ""),
    help: "List models of LM Studio, Ollama, llama.cpp and the Hugging Face cache where they are (default: unless --models-dir is given)",
  }),
  cacheDir: kinds.textSetting({
    flag: "cache-dir",
    argument: "<folder>",
    help: "Where the carried libraries are extracted (default $XDG_CACHE_HOME/lmserver)",
  }),
  stateDir: kinds.textSetting({
    flag: "state-dir",
    argument: "<folder>",
    help: "Where the server keeps its lock and state (default $XDG_STATE_HOME/lmserver)",
  }),
  demo: kinds.flagSetting({ flag: "demo", fallback: true, help: "List the built-in demo model" }),
  apiKeys: kinds.secretListSetting({
    flag: "api-key",
    argument: "<key>",
    help: "Require this key; may be repeated. Visible in the process list: prefer --api-key-file",
  }),
  apiKeyFile: kinds.textSetting({
    flag: "api-key-file",
    argument: "<file>",
    help: "Require a key of this file, one per line",
  }),
  requireAuth: kinds.setting({
    flag: "require-auth",
    argument: null,
    schema: Type.Union([Type.Boolean(), Type.Null()]),
    fallback: null,
    accepts: "true or false",
    read: (texts) => kinds.readBoolean(texts.at(-1) ?? ""),
    help: "Refuse to start without a key (default: keys are required when there are any)",
  }),
  jit: kinds.flagSetting({
    flag: "jit",
    fallback: true,
    help: "Load a model when it is asked for",
  }),
  ttlSeconds: kinds.integerSetting({
    flag: "ttl",
    fallback: 3_600,
    minimum: 1,
    maximum: 2_000_000,
    help: "Idle seconds before a model loaded by a request is unloaded",
  }),
  autoUnload: kinds.flagSetting({
    flag: "auto-unload",
    fallback: true,
    help: "Unload models loaded by a request when they were idle for --ttl seconds",
  }),
  autoEvict: kinds.flagSetting({
    flag: "auto-evict",
    fallback: true,
    help: "Keep one model loaded by a request of each kind: the next one replaces it",
  }),
  memoryLimitBytes: kinds.autoSizeSetting({
    flag: "memory-limit",
    minimum: 2 ** 20,
    help: "Memory that all loaded models together may need (default auto: what is free)",
  }),
  presets: kinds.setting({
    flag: "preset",
    fileKey: "presets",
    argument: "<model={json}>",
    isList: true,
    schema: ModelPresets,
    fallback: [],
    accepts: 'a model and its preset, such as qwen*={"parallel": 2}',
    explain: explainPresets,
    read: (texts) => texts.map(readPreset),
    fromFile: presetsFromFile,
    help: "Load options and sampling of the models that match, * stands for any text",
  }),
  preload: kinds.listSetting({
    flag: "load",
    argument: "<model>",
    envSeparator: ",",
    help: "Load this model at start; may be repeated",
  }),
  loadOptional: kinds.flagSetting({
    flag: "load-optional",
    fallback: false,
    help: "Start even when a model of --load cannot be loaded",
  }),
  contextLength: kinds.autoIntegerSetting({
    flag: "context-length",
    short: "c",
    minimum: 1,
    maximum: 2 ** 31 - 1,
    help: "Tokens of context, shared by all slots of a model (default auto)",
  }),
  parallel: kinds.integerSetting({
    flag: "parallel",
    fallback: 4,
    minimum: 1,
    maximum: 256,
    help: "Requests a model works on at the same time",
  }),
  gpu: kinds.setting({
    flag: "gpu",
    argument: "<auto|off|max|n>",
    schema: Gpu,
    fallback: "auto",
    accepts: "auto, off, max, a share from 0 to 1, or a number of layers",
    read: (texts) => readGpu(texts.at(-1) ?? ""),
    fromFile: (value) => (typeof value === "number" ? readGpu(String(value)) : value),
    help: "Layers computed on the GPU: as many as fit, none, all, a share, or a number",
  }),
  threads: kinds.autoIntegerSetting({
    flag: "threads",
    minimum: 1,
    maximum: 1_024,
    help: "Compute threads (default auto: the physical cores this process may use)",
  }),
  speculation: kinds.choiceSetting({
    flag: "speculation",
    words: ["auto", "off"],
    fallback: "auto",
    help: "Guess tokens that repeat earlier text, where that is faster (default auto)",
  }),
  maxQueue: kinds.integerSetting({
    flag: "max-queue",
    fallback: 128,
    minimum: 0,
    maximum: 1_000_000,
    help: "Requests that may wait per model; beyond it clients are told to retry",
  }),
  loadTimeoutSeconds: kinds.secondsSetting({
    flag: "load-timeout",
    fallback: 600,
    minimum: 1,
    help: "Longest time a model may take to load",
  }),
  requestTimeoutSeconds: kinds.secondsSetting({
    flag: "request-timeout",
    fallback: 0,
    minimum: 0,
    help: "Longest time a request may take; 0 = no limit",
  }),
  shutdownGraceSeconds: kinds.secondsSetting({
    flag: "shutdown-grace",
    fallback: 10,
    minimum: 0,
    help: "Time running requests get to finish when the server is stopped",
  }),
  aliases: kinds.setting({
    flag: "alias",
    fileKey: "aliases",
    argument: "<name=model>",
    isList: true,
    envSeparator: ",",
    schema: Type.Array(Alias),
    fallback: [],
    accepts: "name=model",
    read: (texts) => texts.map(readAlias),
    fromFile: aliasesFromFile,
    help: "Another name for a model, * stands for any text; may be repeated",
  }),
  modelFallback: kinds.flagSetting({
    flag: "model-fallback",
    fallback: false,
    help: "Answer with the only loaded model when the name is unknown",
  }),
  maxBodyBytes: kinds.sizeSetting({
    flag: "max-body",
    fallback: MAX_BODY_BYTES,
    minimum: 2 ** 10,
    maximum: 2 ** 31,
    help: "Largest request body (default 64MiB)",
  }),
  maxChoices: kinds.integerSetting({
    flag: "max-n",
    fallback: DEFAULT_MAX_CHOICES,
    minimum: 1,
    maximum: MAX_CHOICES,
    help: "Largest `n` of a request",
  }),
  reasoningField: kinds.choiceSetting({
    flag: "reasoning-field",
    words: ["reasoning_content", "reasoning", "both"],
    fallback: "reasoning_content",
    help: "Field of chat answers that carries the reasoning",
  }),
  allowLlmEmbeddings: kinds.flagSetting({
    flag: "allow-llm-embeddings",
    fallback: false,
    help: "Let language models answer /v1/embeddings",
  }),
  responsesStore: kinds.choiceSetting({
    flag: "responses-store",
    words: ["disk", "memory", "off"],
    fallback: "disk",
    help: "Where answers that may be continued by their id are kept (default disk)",
  }),
  responsesTtlSeconds: kinds.durationSetting({
    flag: "responses-ttl",
    fallback: 30 * 86_400,
    minimum: 1,
    help: "How long they are kept, such as 12h (default 30d)",
  }),
  responsesMax: kinds.integerSetting({
    flag: "responses-max",
    fallback: 10_000,
    minimum: 1,
    maximum: 10_000_000,
    help: "How many are kept; the least recently used goes first",
  }),
  restExtensions: kinds.flagSetting({
    flag: "rest-extensions",
    fallback: false,
    help: "Accept fields on /api/v1 that LM Studio does not have, such as ttl, lora and identifier",
  }),
  prefixCacheDiskBytes: kinds.sizeSetting({
    flag: "prefix-cache-disk",
    fallback: 4 * 2 ** 30,
    minimum: 0,
    maximum: 2 ** 50,
    help: "Disk that computed prompts of all models may take, to outlive unload and restart; 0 = none (default 4GiB)",
  }),
  prefixCacheMemoryBytes: kinds.sizeSetting({
    flag: "prefix-cache-memory",
    fallback: 512 * 2 ** 20,
    minimum: 0,
    maximum: 2 ** 50,
    help: "Memory for them per model when none are kept on disk; 0 = none (default 512MiB)",
  }),
  sharedPrefixCache: kinds.flagSetting({
    flag: "shared-prefix-cache",
    fallback: false,
    help: "Share stored prefixes between API keys: faster, but times and cached_tokens tell what others sent",
  }),
  chatTemplate: kinds.textSetting({
    flag: "chat-template",
    argument: "<file>",
    help: "Use this Jinja template instead of the models' own",
  }),
  metrics: kinds.flagSetting({ flag: "metrics", fallback: true, help: "Answer GET /metrics" }),
  logLevel: kinds.choiceSetting({
    flag: "log-level",
    words: ["debug", "info", "warn", "error", "none"],
    fallback: "info",
    help: "Least important messages to log",
  }),
  logFormat: kinds.choiceSetting({
    flag: "log-format",
    words: ["text", "json"],
    fallback: null,
    help: "Form of log lines (default: text on a terminal, json elsewhere)",
  }),
  logContent: kinds.flagSetting({
    flag: "log-content",
    fallback: false,
    help: "Log prompts and answers too",
  }),
  jsonReady: kinds.flagSetting({
    flag: "json-ready",
    fallback: false,
    help: "Print one line of JSON on stdout once the server accepts connections",
  }),
} as const;

/** Where the configuration file lies; a flag or environment variable, not a key of the file. */
export const CONFIG_FILE = {
  ...kinds.textSetting({
    flag: "config",
    argument: "<file>",
    help: "Configuration file (default $XDG_CONFIG_HOME/lmserver/config.json)",
  }),
  fileKey: null,
};

/** A flag of every verb that prints: one JSON document instead of text. */
export const JSON_OUTPUT = kinds.flagSetting({
  flag: "json",
  fallback: false,
  flagOnly: true,
  help: "Print one JSON document",
});
