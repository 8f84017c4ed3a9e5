import type { CatalogModel } from "../catalog/model.ts";
import type { ModelDefaults } from "../chat/lease-model.ts";
import { validSampling } from "../config/presets.ts";
import type { LoadPreset } from "../pool/pool.ts";
import type { ModelPresets } from "./model-presets.ts";

/**
 * How a model is loaded where nobody says otherwise: by its presets, then by what its store
 * recommends. A context length of the server's own settings is stronger than the store's.
 */
export function loadPresetOf(
  model: CatalogModel,
  presets: ModelPresets,
  serverContext: number | null,
): LoadPreset {
  const { load, ttlMs } = presets.of(model.key);
  const stored = model.defaults?.contextLength ?? null;
  const contextLength =
    stored === null || serverContext !== null ? null : Math.min(stored, model.maxContextLength);
  return {
    load: { ...(contextLength !== null && { contextLength }), ...load },
    ...(ttlMs !== undefined && { ttlMs }),
  };
}

/** How a model answers where a request says nothing. */
export function modelDefaultsOf(model: CatalogModel, presets: ModelPresets): ModelDefaults {
  const { sampling = {}, stop = [], system = null } = model.defaults ?? {};
  return {
    sampling: { ...validSampling(sampling), ...presets.of(model.key).sampling },
    stops: stop.filter((text) => text !== ""),
    system,
  };
}
