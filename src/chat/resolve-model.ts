import type { Catalog, CatalogModel, ModelKind } from "../catalog/model.ts";
import { modelNotFound } from "../catalog/model-not-found.ts";
import { invalidRequest, LmError } from "../lib/errors.ts";
import type { InstanceStatus, Pool } from "../pool/pool.ts";

export interface ResolveOptions {
  /** An installed model may be loaded by a request. */
  jit: boolean;
  /** An unknown name means the only loaded model of the right kind. */
  modelFallback: boolean;
  /** A model that chats may also embed. */
  allowLlmEmbeddings: boolean;
}

type Sources = { catalog: Pick<Catalog, "find" | "list">; pool: Pick<Pool, "instances"> };

/** An instance loaded on purpose that crashed keeps its name: a request starts it again. */
const isLoaded = ({ state, jit }: InstanceStatus): boolean =>
  state === "ready" || state === "loading" || state === "starting" || (state === "crashed" && !jit);

/**
 * The model a request means: a loaded instance's identifier, a key or variant, the same three
 * without case, then the catalog's own order (file name, path, alias).
 *
 * @param name As the client sent it; null, "" and "default" mean the only one there is, unless an
 *   instance is called "default".
 * @throws LmError model_not_found, model_not_loaded, unsupported_model, or invalid_request
 *   (missing_required_parameter) when no name was given and several models could be meant.
 */
export async function resolveModel(
  sources: Sources,
  name: string | null,
  kind: ModelKind,
  options: ResolveOptions,
): Promise<CatalogModel> {
  const loaded = sources.pool.instances().filter(isLoaded);
  const fits = (model: CatalogModel): boolean => isUsable(model, kind, options);
  const isOnly = name === "default" && !loaded.some(({ identifier }) => identifier === name);
  if (name === null || name === "" || isOnly) return onlyModel(sources, loaded, kind, options);
  const model = await findNamed(sources, loaded, name);
  if (model === null) {
    const running = loaded.filter((instance) => fits(instance.model));
    if (options.modelFallback && running[0] && running.length === 1) return running[0].model;
    throw await notFound(sources, loaded, name, options);
  }
  if (!fits(model)) throw wrongKind(model, kind);
  if (!options.jit && !loaded.some((instance) => instance.model.path === model.path)) {
    throw new LmError(
      "model_not_loaded",
      { model: model.key },
      `Model "${model.key}" is not loaded, and loading on request is off. Load it first.`,
    );
  }
  return model;
}

function isUsable(model: CatalogModel, kind: ModelKind, options: ResolveOptions): boolean {
  return model.kind === kind || (kind === "embedding" && options.allowLlmEmbeddings);
}

/** The model of a name that was given, whatever it is able to do; null = there is none. */
export async function findNamed(
  { catalog }: Pick<Sources, "catalog">,
  loaded: readonly InstanceStatus[],
  name: string,
): Promise<CatalogModel | null> {
  const exact = loaded.find((instance) => instance.identifier === name);
  if (exact) return exact.model;
  const folded = name.toLowerCase();
  const alike = loaded.find(({ identifier }) => identifier.toLowerCase() === folded);
  if (alike === undefined) return await catalog.find(name);
  return (await catalog.find(name, "exactly")) ?? alike.model;
}

async function onlyModel(
  { catalog }: Sources,
  loaded: readonly InstanceStatus[],
  kind: ModelKind,
  options: ResolveOptions,
): Promise<CatalogModel> {
  const installed = options.jit ? await catalog.list() : [];
  const running = loaded.map((instance) => instance.model);
  // Models of another kind that could stand in are meant where there is none of this kind.
  const isOwn = (model: CatalogModel): boolean => model.kind === kind;
  const hasOwn = [...running, ...installed].some(isOwn);
  const fits = hasOwn ? isOwn : (model: CatalogModel) => isUsable(model, kind, options);
  for (const models of [running.filter(fits), installed.filter(fits)]) {
    if (models[0] && models.length === 1) return models[0];
    if (models.length > 1) break;
  }
  throw invalidRequest(
    "model",
    "missing_required_parameter",
    "Missing required parameter: 'model'.",
  );
}

async function notFound(
  { catalog }: Sources,
  loaded: readonly InstanceStatus[],
  name: string,
  options: ResolveOptions,
): Promise<LmError<"model_not_found">> {
  const inMemory = new Set(loaded.map((instance) => instance.model.path));
  const others = options.jit ? await catalog.list() : [];
  const available = [
    ...loaded.map((instance) => instance.identifier).sort(),
    ...others.filter((model) => !inMemory.has(model.path)).map((model) => model.key),
  ];
  return modelNotFound(name, available);
}

function wrongKind(model: CatalogModel, kind: ModelKind): LmError<"unsupported_model"> {
  const message =
    kind === "llm"
      ? `Model "${model.key}" is an embedding model; it cannot generate text.`
      : `Model "${model.key}" is not an embedding model.`;
  return new LmError("unsupported_model", { model: model.key }, message);
}
