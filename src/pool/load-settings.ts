import type { CatalogModel } from "../catalog/model.ts";
import type { AcquireOptions, LoadDefaults, LoadPreset } from "./pool.ts";

export interface LoadSettingsOptions {
  load: LoadDefaults;
  /** Idle ms before a model loaded by a request is unloaded; null = never. */
  ttlMs: number | null;
  /** Stronger than `load` and `ttlMs`, weaker than what a load asks for. */
  presetOf?: (model: CatalogModel) => LoadPreset;
}

/** With what a model is loaded: the server's defaults, the model's preset over them, a request over both. */
export class LoadSettings {
  readonly #options: LoadSettingsOptions;

  constructor(options: LoadSettingsOptions) {
    this.#options = options;
  }

  /** Where a load says nothing. */
  of(model: CatalogModel): LoadDefaults {
    return { ...this.#options.load, ...this.#presetOf(model).load };
  }

  /** Of the load that a request begins. */
  forRequest(model: CatalogModel, options: AcquireOptions): LoadDefaults {
    const { contextLength = null, settings } = options;
    const context = contextLength === null ? {} : { contextLength };
    return { ...this.of(model), ...settings, ...context };
  }

  /** Idle ms before what a request loads is unloaded; null = never. */
  ttlMs(model: CatalogModel): number | null {
    const { ttlMs = this.#options.ttlMs } = this.#presetOf(model);
    return ttlMs;
  }

  #presetOf(model: CatalogModel): LoadPreset {
    return this.#options.presetOf?.(model) ?? { load: {} };
  }
}
