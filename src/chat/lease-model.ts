import type { Catalog, CatalogModel } from "../catalog/model.ts";
import type { Clock } from "../lib/clock.ts";
import type { Lease, Pool } from "../pool/pool.ts";
import type { Sampling } from "../protocol/sampling.ts";
import type { GenerateRequest } from "./events.ts";
import type { ChatKnowledge } from "./model-format.ts";
import { requestedDraft } from "./resolve-draft.ts";
import { resolveModel, type ResolveOptions } from "./resolve-model.ts";

/** All that generation needs from the rest of the program. */
export interface GenerateDeps extends ChatKnowledge {
  catalog: Pick<Catalog, "find" | "list">;
  pool: Pick<Pool, "acquire" | "instances">;
  resolve: ResolveOptions;
  clock: Clock;
  /** How a model answers where a request says nothing. */
  defaultsOf: (model: CatalogModel) => ModelDefaults;
}

/** What a request leaves open, for one model. */
export interface ModelDefaults {
  sampling: Partial<Sampling>;
  /** Texts that end every answer, besides the request's own. */
  stops: readonly string[];
  /** For conversations without a system message; null = none. */
  system: string | null;
}

export interface LeasedModel {
  lease: Lease;
  /** What of the request the loaded model does not do. */
  warnings: readonly string[];
}

/** The model that a request means. @throws LmError as `resolveModel`. */
export function modelOf(
  deps: GenerateDeps,
  { model }: Pick<GenerateRequest, "model">,
): Promise<CatalogModel> {
  return resolveModel(deps, model, "llm", deps.resolve);
}

/** The model of a request, loaded. The caller releases the lease. */
export async function leaseModel(
  deps: GenerateDeps,
  model: CatalogModel,
  { model: name, draftModel, contextLength = null, ttlSeconds }: GenerateRequest,
  signal: AbortSignal,
): Promise<LeasedModel> {
  const draft = await requestedDraft(deps.catalog, draftModel, model);
  const lease = await deps.pool.acquire(model, signal, {
    name,
    contextLength,
    ttlMs: ttlSeconds === null ? null : ttlSeconds * 1000,
    ...(draft !== null && { settings: { draft } }),
  });
  return { lease, warnings: draftWarnings(lease, draft?.model ?? null) };
}

/** A draft model is loaded together with its model, not later. */
function draftWarnings({ identifier, info }: Lease, draft: CatalogModel | null): string[] {
  const loaded = info.draftModel ?? null;
  if (draft === null || draft.key === loaded) return [];
  const beside = loaded === null ? "without a draft model" : `with the draft model "${loaded}"`;
  return [`draftModel: it is ignored, since "${identifier}" is loaded ${beside}.`];
}
