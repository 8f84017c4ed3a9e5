import type { CatalogModel } from "../../catalog/model.ts";
import { findNamed } from "../../chat/resolve-model.ts";
import { modelNotFound } from "../../catalog/model-not-found.ts";
import type { InstanceStatus } from "../../pool/pool.ts";
import type { Deps } from "../deps.ts";
import type { Server } from "../generation.ts";
import { jsonResponse, wholeResponse } from "../json-response.ts";
import type { GetRoute } from "../route.ts";
import { MODEL_EXAMPLE, MODEL_LIST_EXAMPLE } from "./examples.ts";
import { ModelList, ModelObject } from "./response.schema.ts";

/** GET /v1/models. */
export function modelList({ deps }: Server): GetRoute {
  // A thousand models are 230 kB of text, which stays the same until a file or an instance changes.
  let last: {
    installed: Shown["installed"];
    loaded: string;
    body: Uint8Array<ArrayBuffer>;
  } | null = null;
  return {
    method: "GET",
    path: "/v1/models",
    permission: "inference",
    doc: {
      summary: "List the models",
      tag: "OpenAI",
      response: {
        description: "Loaded models first, then the others by id, the built-in demo last.",
        schema: ModelList,
        example: MODEL_LIST_EXAMPLE,
      },
    },
    async answer() {
      const shown = await shownModels(deps);
      const loaded = JSON.stringify(shown.loaded);
      if (last === null || last.installed !== shown.installed || last.loaded !== loaded) {
        const body = new TextEncoder().encode(JSON.stringify(toList(objectsOf(shown))));
        last = { installed: shown.installed, loaded, body };
      }
      return wholeResponse(last.body, "application/json");
    },
  };
}

const toList = (data: ModelObject[]): ModelList => ({
  object: "list",
  data,
  has_more: false,
  first_id: data[0]?.id ?? null,
  last_id: data.at(-1)?.id ?? null,
});

/** GET /v1/models/{id}; ids may contain slashes. */
export function modelRetrieve({ deps }: Server): GetRoute {
  return {
    method: "GET",
    path: "/v1/models/{id}",
    permission: "inference",
    doc: {
      summary: "Describe one model",
      tag: "OpenAI",
      response: { description: "The model.", schema: ModelObject, example: MODEL_EXAMPLE },
    },
    async answer(_context, id) {
      const shown = await shownModels(deps);
      const models = objectsOf(shown);
      const exact = models.find((model) => model.id === id);
      const found = exact ?? (await namedObject(deps, shown, id));
      if (found) return jsonResponse(found);
      throw modelNotFound(
        id,
        models.map((model) => model.id),
      );
    },
  };
}

/** The model that a chat would have with this name, if the list shows it. */
async function namedObject(deps: Deps, shown: Shown, name: string): Promise<ModelObject | null> {
  const named = await findNamed(deps, deps.pool.instances(), name);
  if (named === null) return null;
  const running = shown.loaded.filter(({ path }) => path === named.path);
  const folded = name.toLowerCase();
  const own = running.find(({ object }) => object.id.toLowerCase() === folded) ?? running[0];
  if (own !== undefined) return own.object;
  return shown.installed.includes(named) ? toModelObject(named, null) : null;
}

/** What the list shows. */
interface Shown {
  loaded: readonly { path: string; object: ModelObject }[];
  /** The catalogue's own array: another one when anything in it is another. */
  installed: readonly CatalogModel[];
}

const NOTHING: readonly CatalogModel[] = [];

async function shownModels({ catalog, pool, settings }: Deps): Promise<Shown> {
  const loaded = pool
    .instances()
    .filter(({ state }) => state !== "failed" && state !== "crashed")
    .filter(({ state }) => settings.jit || state === "ready")
    .map((instance) => ({
      path: instance.model.path,
      object: toModelObject(instance.model, instance),
    }));
  return { loaded, installed: settings.jit ? await catalog.list() : NOTHING };
}

/** Loaded instances under their identifiers, then models that are not loaded under their keys, the demo last. */
function objectsOf({ loaded, installed }: Shown): ModelObject[] {
  const taken = new Set(loaded.map(({ path }) => path));
  const others = installed
    .filter((model) => !taken.has(model.path))
    .map((model) => ({ isDemo: model.source === "demo", object: toModelObject(model, null) }))
    .sort((a, b) => Number(a.isDemo) - Number(b.isDemo) || byId(a.object, b.object));
  return [...loaded.map(({ object }) => object).sort(byId), ...others.map(({ object }) => object)];
}

const byId = (a: ModelObject, b: ModelObject): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

function toModelObject(model: CatalogModel, instance: InstanceStatus | null): ModelObject {
  const loadedContext = instance?.info?.contextLength;
  return {
    id: instance?.identifier ?? model.key,
    object: "model",
    created: Math.floor(model.modifiedMs / 1000),
    owned_by: "organization_owner",
    type: "model",
    display_name: model.displayName,
    created_at: new Date(model.modifiedMs).toISOString(),
    max_context_length: model.maxContextLength,
    ...(loadedContext !== undefined && { loaded_context_length: loadedContext }),
    context_length: loadedContext ?? model.maxContextLength,
    state: instance === null ? "not-loaded" : instance.state === "ready" ? "loaded" : "loading",
  };
}
