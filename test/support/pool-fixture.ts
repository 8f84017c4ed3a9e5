import { join } from "node:path";
import type { CatalogModel } from "../../src/catalog/model.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { LmError } from "../../src/lib/errors.ts";
import { silentLog } from "../../src/lib/log.ts";
import { ModelPool, type PoolOptions } from "../../src/pool/model-pool.ts";
import type { Lease, LoadDefaults } from "../../src/pool/pool.ts";
import type { GenerateJob } from "../../src/protocol/commands.ts";
import type { JobEvent } from "../../src/protocol/events.ts";
import { DEFAULT_SAMPLING } from "../../src/protocol/sampling.ts";
import type { JobScript, LoadScript } from "./scripted-engine.ts";
import { modelHeader } from "./model-header.ts";

export const BUILD_ID = "build-of-the-test";

export const LOAD_DEFAULTS: Omit<LoadDefaults, "draft"> = {
  contextLength: 1_024,
  parallel: 4,
  batchCapacity: 512,
  gpuLayers: "off",
  threads: null,
  kvTypeK: "f16",
  kvTypeV: "f16",
  flashAttention: "auto",
  mmap: true,
  speculation: "off",
};

/** A pool that holds nothing back: room for every model, no TTL. */
export const POOL_DEFAULTS = {
  engine: { command: [], buildId: BUILD_ID },
  load: LOAD_DEFAULTS,
  maxQueue: 8,
  ttlMs: null,
  keepLastJit: false,
  memoryLimitBytes: null,
  log: silentLog,
  availableBytes: () => null,
} satisfies Partial<PoolOptions>;

/** Command line of the scripted engine, as this build or as another. */
export function scriptedCommand(buildId = BUILD_ID): string[] {
  return [process.execPath, join(import.meta.dir, "scripted-engine.ts"), "--build-id", buildId];
}

/** A pool over scripted engines, without eviction and memory limits. */
export function scriptedPool(options: Partial<PoolOptions> = {}): ModelPool {
  return new ModelPool({
    engine: { command: scriptedCommand(), buildId: BUILD_ID },
    load: LOAD_DEFAULTS,
    maxQueue: 128,
    ttlMs: null,
    keepLastJit: false,
    memoryLimitBytes: null,
    clock: systemClock,
    log: silentLog,
    availableBytes: () => null,
    ...options,
  });
}

/** A model whose path tells the scripted engine how to load. */
export function scriptedModel(script: LoadScript, facts: Partial<CatalogModel> = {}): CatalogModel {
  return {
    key: script.name,
    variant: script.name,
    kind: "llm",
    displayName: script.name,
    publisher: "test",
    path: JSON.stringify(script),
    files: [],
    sizeBytes: 1_000,
    modifiedMs: 1,
    architecture: "llama",
    parameters: null,
    quantization: null,
    maxContextLength: 1_024,
    embeddingSize: null,
    chatTemplate: null,
    bosText: null,
    eosText: null,
    pooling: null,
    header: modelHeader({ tensorBytes: facts.sizeBytes ?? 1_000 }),
    source: "models-dir",
    ...facts,
  };
}

export function scriptedJob(script: JobScript): GenerateJob {
  return {
    prompt: { kind: "text", text: JSON.stringify(script), addSpecial: true, parseSpecial: true },
    sampling: DEFAULT_SAMPLING,
    grammar: null,
    stops: [],
    maxTokens: null,
    choices: 1,
    logprobs: null,
    promptLogprobs: false,
    keepSpecial: [],
    cachePrompt: true,
    cacheScope: "",
  };
}

/** The whole text of a job, until its end. */
export async function textOf(events: AsyncGenerator<JobEvent>): Promise<string> {
  let text = "";
  for await (const event of events) if (event.type === "text") text += event.text;
  return text;
}

/** Acquires, runs one job to its end, releases. */
export async function answer(
  pool: ModelPool,
  model: CatalogModel,
  script: JobScript,
): Promise<string> {
  const lease = await pool.acquire(model, never());
  try {
    return await textOf(lease.generate(scriptedJob(script), never()));
  } finally {
    lease.release();
  }
}

/** A stream that never ends by itself, read up to its first text. */
export async function startedStream(
  lease: Lease,
  signal = never(),
  script: JobScript = { op: "forever" },
): Promise<AsyncGenerator<JobEvent>> {
  const events = lease.generate(scriptedJob(script), signal);
  for (;;) {
    const next = await events.next();
    if (next.done === true) throw new Error("the stream ended before its first text");
    if (next.value.type === "text") return events;
  }
}

export function never(): AbortSignal {
  return new AbortController().signal;
}

/** Whether the process exists and is not a zombie. */
export function isAlive(pid: number): boolean {
  const stat = Bun.spawnSync(["cat", `/proc/${pid}/stat`], { stderr: "ignore" }).stdout.toString();
  return stat !== "" && !/\) [ZX] /.test(stat);
}

/** The LmError a promise ends with. */
export async function failure(promise: Promise<unknown>): Promise<LmError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof LmError) return error;
  throw new Error(`expected an LmError, got ${String(error)}`);
}
