import { prepareBundle } from "../bundle/bundle.ts";
import { findAdapter } from "../catalog/adapters.ts";
import type { CatalogAdapter, CatalogModel } from "../catalog/model.ts";
import type { ModelCatalog } from "../catalog/model-catalog.ts";
import { resolveDraft } from "../chat/resolve-draft.ts";
import { cacheFolder } from "../config/paths.ts";
import { computeThreads } from "../lib/compute-threads.ts";
import { LmError } from "../lib/errors.ts";
import { mayHaveGpu } from "../lib/graphics-devices.ts";
import { automaticContext, estimateMemory, type FitOptions } from "../pool/fit.ts";
import { memoryState } from "../pool/free-memory.ts";
import type { KvType } from "../protocol/commands.ts";
import { EXIT, ExitError, type Terminal } from "./command.ts";
import { probeEngine } from "./engine-probe.ts";
import { freeGpuBytesOf } from "./gpu-memory.ts";
import { gibText } from "./model-json.ts";
import { matchModel } from "./server-models.ts";

export interface EstimateRequest {
  name: string;
  /** null = chosen as a load would. */
  contextLength: number | null;
  parallel: number;
  /** Keys of LoRA adapters. */
  lora: readonly { id: string }[];
  /** A model that drafts for it, by a name as `name` is one; null = none. */
  draftModel: string | null;
  /** Types of the KV cache; null = the default. */
  cacheTypeK: KvType | null;
  cacheTypeV: KvType | null;
  flashAttention: "on" | "off" | null;
  /** null = as many as a load computes with where nobody says. */
  threads: number | null;
  gpu: "auto" | "off" | "max" | number;
  stateDir: string | null;
  cacheDir: string | null;
  json: boolean;
}

/**
 * Says what a load on this machine would take; loads nothing and needs no server.
 * @param catalog Where the models are found.
 */
export async function printEstimate(
  request: EstimateRequest,
  catalog: ModelCatalog,
  terminal: Terminal,
): Promise<number> {
  const models = await catalog.list();
  const named = models.map((model) => ({ key: model.key, selected_variant: model.variant, model }));
  const { model } = matchModel(named, request.name);
  const adapters = await catalog.adapters();
  const { draftModel } = request;
  const draft =
    draftModel === null
      ? null
      : await resolveDraft(catalog, matchModel(named, draftModel).key, model);
  const fit = {
    adapters: request.lora.map(({ id }) => adapterCalled(adapters, id)),
    parallel: request.parallel,
    batchCapacity: 512,
    kvTypeK: request.cacheTypeK ?? "f16",
    kvTypeV: request.cacheTypeV ?? "f16",
    flashAttention: request.flashAttention ?? "auto",
    threads: computeThreads(request.threads),
    purpose: model.kind === "llm" ? "generate" : "embed",
  } as const;
  const gpuBytes = request.gpu === "off" ? 0 : await freeGpuBytes(request, terminal.env);
  const estimate = estimateLoad(model, draft, fit, { ...request, gpuBytes });
  if (request.json) terminal.print(JSON.stringify(estimate));
  else for (const line of lines(estimate)) terminal.print(line);
  return EXIT.ok;
}

interface Asked {
  contextLength: number | null;
  gpu: EstimateRequest["gpu"];
  /** Free memory of GPUs. */
  gpuBytes: number;
}

/** @throws ExitError for more context than the model has. */
function estimateLoad(
  model: CatalogModel,
  draft: CatalogModel | null,
  fit: Omit<FitOptions, "contextLength" | "draft">,
  { contextLength: wanted, gpu, gpuBytes }: Asked,
) {
  const { availableBytes: ramBytes } = memoryState();
  const together = draft === null ? fit : { ...fit, draft: { model: draft } };
  const contextLength = wanted ?? automaticContext(model, together, ramBytes);
  if (contextLength > model.maxContextLength)
    throw new ExitError(
      EXIT.usage,
      `--context-length: ${model.key} has at most ${model.maxContextLength} tokens of context`,
    );
  const all = estimateMemory(model, { ...together, contextLength });
  const own = estimateMemory(model, { ...fit, contextLength });
  const layerBytes = all.weightBytes + all.kvBytes;
  const share = gpuBytes === 0 ? 0 : shareOf(gpu, gpuBytes / layerBytes);
  const availableBytes = ramBytes + gpuBytes;
  return {
    modelKey: model.key,
    contextLength,
    gpuOffload: share,
    estimatedGpuBytes: Math.ceil(layerBytes * share),
    estimatedTotalBytes: all.totalBytes,
    availableBytes,
    canLoad: all.totalBytes <= availableBytes,
    ...(draft !== null && {
      draft: {
        modelKey: draft.key,
        weightBytes: all.weightBytes - own.weightBytes,
        kvBytes: all.kvBytes - own.kvBytes,
        computeBytes: all.computeBytes - own.computeBytes,
        totalBytes: all.totalBytes - own.totalBytes,
      },
    }),
  };
}

function lines(estimate: ReturnType<typeof estimateLoad>): string[] {
  const { availableBytes, canLoad, draft } = estimate;
  const verdict = canLoad ? "This model may be loaded" : "This model does not fit";
  return [
    `Model: ${estimate.modelKey}`,
    ...(draft === undefined ? [] : draftLines(draft)),
    `Context Length: ${estimate.contextLength}`,
    `GPU Offload: ${Math.round(estimate.gpuOffload * 100)}%`,
    `Estimated GPU Memory: ${gibText(estimate.estimatedGpuBytes)}`,
    `Estimated Total Memory: ${gibText(estimate.estimatedTotalBytes)}`,
    "",
    `${verdict}: ${gibText(availableBytes)} of memory are available now.`,
  ];
}

/** What the draft model has in the total. */
function draftLines(draft: NonNullable<ReturnType<typeof estimateLoad>["draft"]>): string[] {
  const [weights, cache, compute] = [draft.weightBytes, draft.kvBytes, draft.computeBytes].map(
    (bytes) => gibText(bytes),
  );
  return [
    `Draft Model: ${draft.modelKey}`,
    `Estimated Draft Memory: ${gibText(draft.totalBytes)} ` +
      `(weights ${weights}, KV cache ${cache}, compute ${compute})`,
  ];
}

function adapterCalled(adapters: readonly CatalogAdapter[], id: string): CatalogAdapter {
  const adapter = findAdapter(adapters, id);
  if (adapter !== null) return adapter;
  const message = `No LoRA adapter is called ${JSON.stringify(id)}. See: lmserver ls --lora`;
  throw new ExitError(EXIT.failed, message);
}

/** Part of the layers on the GPU. A number above 1 counts layers, of which the header need not tell. */
function shareOf(gpu: EstimateRequest["gpu"], most: number): number {
  if (gpu === "off") return 0;
  return typeof gpu === "number" && gpu < 1 ? gpu : gpu === "max" ? 1 : Math.min(1, most);
}

/** 0 without a GPU, or when nobody can be asked. */
export async function freeGpuBytes(
  named: { stateDir: string | null; cacheDir: string | null },
  env: Terminal["env"],
): Promise<number> {
  const cacheDir = mayHaveGpu() ? cacheFolder(named, env) : null;
  if (cacheDir === null) return 0;
  try {
    const { engineCommand } = prepareBundle({ cacheDir });
    const { devices } = await probeEngine(engineCommand, env);
    return freeGpuBytesOf(devices);
  } catch (error) {
    if (error instanceof LmError || error instanceof ExitError) return 0;
    throw error;
  }
}
