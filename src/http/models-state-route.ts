import { Type, type Static } from "typebox";
import type { DownloadSnapshot } from "../catalog/download/downloads.ts";
import type { CatalogModel } from "../catalog/model.ts";
import { instanceLifecycle, lifecycleOf, type Lifecycle } from "../pool/lifecycle.ts";
import type { InstanceStatus } from "../pool/pool.ts";
import type { Deps } from "./deps.ts";
import type { Server } from "./generation.ts";
import { jsonResponse } from "./json-response.ts";
import type { GetRoute } from "./route.ts";
import { oneOf } from "./schema.ts";

const State = oneOf(
  ["absent", "downloading", "on_disk", "loading", "loaded", "draining", "unloading", "failed"],
  "Where the model is; failed = it is not tried again for a while.",
);

const ModelState = Type.Object({
  key: Type.String({ description: "Of the model; what is fetched, while it is downloaded" }),
  state: State,
  progress: Type.Union([Type.Number(), Type.Null()], {
    description: "0 to 1 while downloading or loading",
  }),
  instances: Type.Array(Type.String(), { description: "Identifiers in memory" }),
  failure: Type.Union(
    [Type.Object({ reason: Type.String(), retry_after_ms: Type.Integer() }), Type.Null()],
    { description: "Why it is not tried, and for how long" },
  ),
});
type ModelState = Static<typeof ModelState>;

const EXAMPLE: ModelState = {
  key: "demo",
  state: "loaded",
  progress: null,
  instances: ["demo"],
  failure: null,
};

/** GET /api/lmserver/models: where each model is in its life; an extension of our own. */
export function modelsStateRoute({ deps }: Server): GetRoute {
  return {
    method: "GET",
    path: "/api/lmserver/models",
    permission: "inference",
    doc: {
      summary: "Say where each model is in its life",
      tag: "System",
      response: {
        description: "Models on disk, in memory and on their way.",
        schema: Type.Object({ models: Type.Array(ModelState) }),
        example: { models: [EXAMPLE] },
      },
    },
    async answer(context) {
      const listed = await deps.catalog.list();
      const instances = deps.pool.instances().filter(isInMemory);
      const models = [...listed, ...withoutFile(listed, instances)];
      const states = models.map((model) => stateOf(deps, model, instances));
      return jsonResponse({ models: [...states, ...onTheirWay(deps, models, context.caller.id)] });
    },
  };
}

const isInMemory = (instance: InstanceStatus): boolean => instanceLifecycle(instance) !== "failed";

/** Models in memory whose file was renamed or removed meanwhile. */
function withoutFile(
  listed: readonly CatalogModel[],
  instances: readonly InstanceStatus[],
): readonly CatalogModel[] {
  const paths = new Set(listed.map(({ path }) => path));
  const others = instances.map(({ model }) => model).filter(({ path }) => !paths.has(path));
  return [...new Map(others.map((model) => [model.path, model])).values()];
}

/** @param all in memory. */
function stateOf({ pool }: Deps, model: CatalogModel, all: readonly InstanceStatus[]): ModelState {
  const instances = all.filter((one) => one.model.path === model.path);
  const failure = pool.cooldown(model);
  const facts = { isOnDisk: true, downloads: [], instances, isCoolingDown: failure !== null };
  const state = lifecycleOf(facts);
  const fractions = instances.map(({ loadedFraction }) => loadedFraction);
  return {
    key: model.key,
    state: toWire(state),
    progress: state === "loading" ? Math.max(...fractions) : null,
    instances: instances.map(({ identifier }) => identifier),
    failure: failure && { reason: failure.reason, retry_after_ms: failure.retryAfterMs },
  };
}

/** The caller's own jobs of models that are not there yet. */
function onTheirWay(
  { downloads }: Deps,
  models: readonly CatalogModel[],
  caller: string,
): ModelState[] {
  const paths = new Set(models.map(({ path }) => path));
  const isShown = ({ modelPath, owner }: DownloadSnapshot): boolean =>
    !paths.has(modelPath) && (owner ?? "") === caller;
  return (downloads?.list() ?? []).filter(isShown).flatMap((job) => {
    const state = lifecycleOf({
      isOnDisk: false,
      downloads: [job.state],
      instances: [],
      isCoolingDown: false,
    });
    if (state === "absent") return [];
    const { source, quantization, totalBytes, downloadedBytes } = job;
    const key = quantization === null ? source : `${source}@${quantization}`;
    const progress = totalBytes === 0 ? 0 : downloadedBytes / totalBytes;
    return [{ key, state: toWire(state), progress, instances: [], failure: null }];
  });
}

const toWire = (state: Lifecycle): ModelState["state"] => (state === "on-disk" ? "on_disk" : state);
