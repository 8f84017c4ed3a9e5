import { prepareBundle } from "../bundle/bundle.ts";
import type { CatalogModel } from "../catalog/model.ts";
import { cacheFolder } from "../config/paths.ts";
import * as numbers from "../config/number-settings.ts";
import { JSON_OUTPUT, SERVE_SETTINGS } from "../config/settings.ts";
import { systemClock } from "../lib/clock.ts";
import { silentLog } from "../lib/log.ts";
import { largestContext } from "../pool/fit.ts";
import { memoryState } from "../pool/free-memory.ts";
import { ModelPool } from "../pool/model-pool.ts";
import type { Lease } from "../pool/pool.ts";
import { benchRun, type BenchRun } from "./bench-run.ts";
import { EXIT, ExitError, type Command, type Terminal } from "./command.ts";
import { freeGpuBytes } from "./estimate.ts";
import { watchInterrupt } from "./interrupt.ts";
import { CATALOG_FLAGS, openLocalCatalog } from "./local-catalog.ts";
import { gibText } from "./model-json.ts";
import { matchModel } from "./server-models.ts";
import { textTable } from "./text-table.ts";
import { parseVerb } from "./verb-flags.ts";

const ANSWER_TOKENS = 64;
const CONTEXT = 4_096;
/** What is left to others of the memory available now. */
const RESERVED_SHARE = 0.1;

const flagOnly = { env: [], fileKey: null };

const FLAGS = {
  clients: numbers.integerSetting({
    flag: "clients",
    fallback: 4,
    minimum: 1,
    maximum: 64,
    flagOnly: true,
    help: "Most clients at once",
  }),
  promptTokens: numbers.integerSetting({
    flag: "prompt-tokens",
    fallback: 512,
    minimum: 1,
    maximum: 32_768,
    flagOnly: true,
    help: "Length of each client's prompt",
  }),
  gpu: { ...SERVE_SETTINGS.gpu, ...flagOnly },
  threads: { ...SERVE_SETTINGS.threads, ...flagOnly },
  json: JSON_OUTPUT,
  ...CATALOG_FLAGS,
};

interface Report {
  modelKey: string;
  answerTokens: number;
  runs: readonly BenchRun[];
  largestSafeContext: number;
  maxContextLength: number;
  availableBytes: number;
}

/** `lmserver bench <model>`: how fast a model is on this machine, and how much context is safe. */
export const bench: Command = {
  settings: FLAGS,
  operands: "<model>",
  async run(args, terminal) {
    process.umask(0o077);
    const { values, operands } = parseVerb(FLAGS, args, terminal.env, { operands: 1 });
    const [name] = operands;
    if (name === undefined) throw new ExitError(EXIT.usage, "Which model? See: lmserver ls");
    const model = await findModel(name, values, terminal);
    const cacheDir = cacheFolder(values, terminal.env);
    if (cacheDir === null)
      throw new ExitError(EXIT.usage, "--cache-dir must be given, because HOME is not set");
    const gpuBytes = values.gpu === "off" ? 0 : await freeGpuBytes(values, terminal.env);
    const availableBytes = memoryState().availableBytes + gpuBytes;
    const { clients, promptTokens, gpu, threads } = values;
    using interrupt = watchInterrupt("The measurement was stopped.");
    const { signal } = interrupt;
    const pool = openPool(cacheDir, { gpu, threads });
    try {
      if (!values.json) terminal.note(`Loading ${model.key} ...`);
      const contextLength = Math.min(model.maxContextLength, contextFor(values));
      await pool.load(model, { contextLength, parallel: clients }, signal);
      const lease = await pool.acquire(model, signal);
      const longest = Math.floor(contextLength / clients) - ANSWER_TOKENS;
      const shape = { clients, promptTokens: Math.max(1, Math.min(promptTokens, longest)) };
      const runs = await measure(lease, shape, signal);
      lease.release();
      const fit = {
        parallel: SERVE_SETTINGS.parallel.fallback,
        ...SIZES,
        purpose: "generate",
      } as const;
      const safeBytes = availableBytes * (1 - RESERVED_SHARE);
      print(
        {
          modelKey: model.key,
          answerTokens: ANSWER_TOKENS,
          runs,
          largestSafeContext: largestContext(model, fit, safeBytes),
          maxContextLength: model.maxContextLength,
          availableBytes,
        },
        values.json,
        terminal,
      );
      return EXIT.ok;
    } finally {
      await pool.close(0);
    }
  },
};

const SIZES = { batchCapacity: 512, kvTypeK: "f16", kvTypeV: "f16" } as const;

/** @throws ExitError when the name means none, several, or a model that only makes embeddings. */
async function findModel(
  name: string,
  flags: Parameters<typeof openLocalCatalog>[0],
  terminal: Terminal,
): Promise<CatalogModel> {
  const models = await openLocalCatalog(flags, terminal).list();
  const named = models.map((model) => ({ key: model.key, selected_variant: model.variant, model }));
  const { model } = matchModel(named, name);
  if (model.kind === "llm") return model;
  throw new ExitError(EXIT.failed, `${model.key} makes embeddings; bench measures generation.`);
}

const contextFor = ({ clients, promptTokens }: { clients: number; promptTokens: number }): number =>
  Math.max(CONTEXT, clients * (promptTokens + ANSWER_TOKENS));

/** One model, in an engine process like the server's. */
function openPool(
  cacheDir: string,
  options: { gpu: "auto" | "off" | "max" | number; threads: number | null },
): ModelPool {
  const bundle = prepareBundle({ cacheDir });
  return new ModelPool({
    engine: { command: bundle.engineCommand, buildId: bundle.buildId },
    load: {
      contextLength: null,
      parallel: 1,
      threads: options.threads,
      gpuLayers: options.gpu,
      flashAttention: "auto",
      mmap: true,
      // Random prompts have nothing to guess from.
      speculation: "off",
      ...SIZES,
    },
    maxQueue: 64,
    ttlMs: null,
    keepLastJit: false,
    memoryLimitBytes: null,
    clock: systemClock,
    log: silentLog,
  });
}

/** One client, twice as many, and so on up to `clients`; the first run only warms up. */
async function measure(
  lease: Lease,
  { clients, promptTokens }: { clients: number; promptTokens: number },
  signal: AbortSignal,
): Promise<BenchRun[]> {
  await benchRun(lease, { clients: 1, promptTokens, answerTokens: 2, seed: 1 }, signal);
  const counts: number[] = [];
  for (let count = 1; count < clients; count *= 2) counts.push(count);
  const runs: BenchRun[] = [];
  for (const count of [...counts, clients]) {
    const shape = { clients: count, promptTokens, answerTokens: ANSWER_TOKENS, seed: 100 * count };
    runs.push(await benchRun(lease, shape, signal));
  }
  return runs;
}

function print(report: Report, asJson: boolean, terminal: Terminal): void {
  if (asJson) return terminal.print(JSON.stringify(report));
  const rows = report.runs.map(({ clients, promptTokens, tokensPerSecond, ttftMs }) => [
    String(clients),
    String(promptTokens),
    tokensPerSecond.toFixed(1),
    `${Math.round(ttftMs)} ms`,
  ]);
  const head = ["CLIENTS", "PROMPT", "TOKENS/S", "FIRST TOKEN"];
  const { largestSafeContext: safe, maxContextLength: most, availableBytes } = report;
  const context =
    safe === 0
      ? "This model does not fit into the memory available now"
      : `Largest safe context: ${safe} of ${most} tokens`;
  const lines = [
    `Model: ${report.modelKey}, ${report.answerTokens} tokens per answer`,
    "",
    ...textTable([head, ...rows]),
    "",
    `${context}, with ${gibText(availableBytes)} of memory available.`,
  ];
  for (const line of lines) terminal.print(line);
}
