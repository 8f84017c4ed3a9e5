import { hostname } from "node:os";
import { join } from "node:path";
import { swaggerAsset } from "../bundle/assets.ts";
import type { BuildInfo, PreparedBundle } from "../bundle/bundle.ts";
import { createDownloads } from "../catalog/download/create-downloads.ts";
import type { Downloads } from "../catalog/download/downloads.ts";
import type { CatalogModel } from "../catalog/model.ts";
import { ModelCatalog } from "../catalog/model-catalog.ts";
import { createChatTemplates, type ChatTemplates } from "../chat/chat-templates.ts";
import { createCheckPrompts } from "../chat/check-prompts.ts";
import { FormatDetector } from "../chat/detection/format-detector.ts";
import { createGenerate, createRenderChat } from "../chat/generate.ts";
import type { Alias } from "../config/request-settings.ts";
import { createApp } from "../http/app.ts";
import { TokenFile } from "../config/tokens.ts";
import type { Asset, HttpApp, HttpSettings } from "../http/deps.ts";
import type { LogFeed } from "../http/log-feed.ts";
import { systemClock } from "../lib/clock.ts";
import { randomId } from "../lib/id.ts";
import type { Log } from "../lib/log.ts";
import type { ResponseStore } from "../store/response-store.ts";
import { ModelPool } from "../pool/model-pool.ts";
import { withContentLog } from "./content-log.ts";
import { gpuFreeBytes } from "./gpu-memory.ts";
import { loadPresetOf, modelDefaultsOf } from "./model-defaults.ts";
import { openResponses } from "./open-responses.ts";
import { withPredictionFeed } from "./prediction-feed.ts";
import { prefixFolder } from "./prefix-folder.ts";
import { catalogFolders, type ServePlan } from "./serve-config.ts";

/** The program's parts, wired. Whoever asked for them closes pool, templates, downloads, responses. */
export interface Server {
  app: HttpApp;
  catalog: ModelCatalog;
  pool: ModelPool;
  templates: ChatTemplates;
  responses: ResponseStore | null;
  downloads: Downloads;
  /** Set once requests are welcome. */
  isReady: boolean;
}

export interface ServerInputs {
  plan: ServePlan;
  build: BuildInfo;
  bundle: PreparedBundle;
  log: Log;
  /** What people may watch. */
  logFeed: LogFeed;
  env: Readonly<Record<string, string | undefined>>;
  /** Asked at each look-up: a reload may change them. */
  aliases: () => readonly Alias[];
  isStopping: () => boolean;
}

/** Builds every room's part and hands each what it needs. Starts nothing. */
export function wireServer({
  plan,
  build,
  bundle,
  log,
  logFeed,
  env,
  aliases,
  isStopping,
}: ServerInputs): Server {
  const { config, folders, presets } = plan;
  const catalog = createCatalog(plan, bundle, log, aliases);
  const pool = createPool(plan, bundle, log);
  const resolve = {
    jit: config.jit,
    modelFallback: config.modelFallback,
    allowLlmEmbeddings: config.allowLlmEmbeddings,
  };
  const templates = createChatTemplates(systemClock);
  const responses = openResponses(config, folders.stateDir, log);
  const downloads = createDownloads({
    modelsDir: folders.modelsDirs[0] ?? folders.stateDir,
    env,
    recordsPath: join(folders.stateDir, "downloads.json"),
    onComplete: () => catalog.rescan(),
    clock: systemClock,
    log,
  });
  const generation = {
    catalog,
    pool,
    resolve,
    templates,
    detector: new FormatDetector(),
    clock: systemClock,
    defaultsOf: (model: CatalogModel) => modelDefaultsOf(model, presets),
  };
  const generate = createGenerate(generation);
  const logged = config.logContent ? withContentLog(generate, log) : generate;
  const server: Server = {
    catalog,
    pool,
    templates,
    responses,
    downloads,
    isReady: false,
    app: createApp({
      settings: httpSettings(plan),
      generate: withPredictionFeed(logged, logFeed, config.logContent),
      renderChat: createRenderChat(generation),
      checkPrompts: createCheckPrompts(generation),
      catalog,
      pool,
      tokens: new TokenFile(folders.stateDir),
      responses,
      downloads,
      version: { version: build.version, commit: build.commit, engine: build.llamaRelease },
      clock: systemClock,
      log,
      logFeed,
      newId: randomId,
      isReady: () => server.isReady,
      isStopping,
      swaggerAsset: swaggerFile,
    }),
  };
  return server;
}

function swaggerFile(name: string): Asset | null {
  const asset = swaggerAsset(name);
  return asset === null ? null : { bytes: asset.bytes, type: asset.contentType };
}

function createCatalog(
  { config, folders, chatTemplate, presets }: ServePlan,
  bundle: PreparedBundle,
  log: Log,
  aliases: ServerInputs["aliases"],
): ModelCatalog {
  return new ModelCatalog({
    folders: catalogFolders(folders),
    demoPath: config.demo ? bundle.demoPath : null,
    chatTemplate,
    templateOf: (key) => presets.of(key).chatTemplate,
    aliases,
    clock: systemClock,
    log,
  });
}

function createPool(
  { config, folders, presets }: ServePlan,
  bundle: PreparedBundle,
  log: Log,
): ModelPool {
  const { contextLength, parallel, threads, maxQueue, ttlSeconds, autoUnload, gpu } = config;
  return new ModelPool({
    engine: { command: bundle.engineCommand, buildId: bundle.buildId },
    load: {
      contextLength,
      parallel,
      threads,
      gpuLayers: gpu,
      batchCapacity: 512,
      kvTypeK: "f16",
      kvTypeV: "f16",
      flashAttention: "auto",
      mmap: true,
      speculation: config.speculation,
      prefixCache: {
        folder: prefixFolder(folders.cacheDir),
        diskBytes: config.prefixCacheDiskBytes,
        memoryBytes: config.prefixCacheMemoryBytes,
      },
    },
    maxQueue,
    ttlMs: autoUnload ? ttlSeconds * 1_000 : null,
    keepLastJit: config.autoEvict,
    memoryLimitBytes: config.memoryLimitBytes,
    presetOf: (model) => loadPresetOf(model, presets, contextLength),
    gpuFreeBytes: async () => await gpuFreeBytes(bundle.engineCommand, log),
    clock: systemClock,
    log,
    limits: { loadTimeoutMs: config.loadTimeoutSeconds * 1_000 },
  });
}

function httpSettings({ config, apiKeys }: ServePlan): HttpSettings {
  return {
    apiKeys,
    cors: config.cors,
    allowedHosts: config.allowedHosts,
    bindAddress: config.bind,
    hostname: hostname(),
    maxBodyBytes: config.maxBodyBytes,
    maxChoices: config.maxChoices,
    jit: config.jit,
    modelFallback: config.modelFallback,
    allowLlmEmbeddings: config.allowLlmEmbeddings,
    reasoningField: config.reasoningField,
    requestTimeoutMs: config.requestTimeoutSeconds * 1_000,
    metrics: config.metrics,
    requireAuth: config.requireAuth === true,
    restExtensions: config.restExtensions,
    sharedPrefixCache: config.sharedPrefixCache,
  };
}
