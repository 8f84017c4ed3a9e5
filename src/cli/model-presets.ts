import { readFileSync } from "node:fs";
import type { CatalogModel } from "../catalog/model.ts";
import { matches } from "../catalog/find-model.ts";
import type { ModelPreset, Preset } from "../config/presets.ts";
import type { LoadDefaults } from "../pool/pool.ts";
import type { Sampling } from "../protocol/sampling.ts";

/** What the presets say about one model; what they leave open is absent. */
export interface ModelSettings {
  load: Partial<LoadDefaults>;
  /** Idle ms before unload, null = never. */
  ttlMs?: number | null;
  sampling: Partial<Sampling>;
  chatTemplate: string | null;
}

/** The presets of the configuration, with the files they name. */
export class ModelPresets {
  readonly #presets: readonly ModelPreset[];
  readonly #templates: ReadonlyMap<string, string>;

  /** @param problems gets a sentence for each file that cannot be read. */
  constructor(presets: readonly ModelPreset[], problems: string[]) {
    this.#presets = presets.toSorted((a, b) => spelled(a.model) - spelled(b.model));
    this.#templates = readTemplates(presets, problems);
  }

  /**
   * Every preset that matches the key counts, field by field: the more characters of the key a
   * pattern spells out, the stronger, so that `*` holds what nothing else says.
   */
  of(key: CatalogModel["key"]): ModelSettings {
    const found = this.#presets.filter(({ model }) => matches(model, key));
    const merged: Preset = Object.fromEntries(
      found.flatMap(({ preset }) => Object.entries(preset)),
    ) as Preset;
    const sampling = Object.fromEntries(
      found.flatMap(({ preset }) => Object.entries(preset.sampling ?? {})),
    ) as Partial<Sampling>;
    const { ttl, gpu, chatTemplate, sampling: _sampling, ...load } = merged;
    return {
      load: { ...load, ...(gpu !== undefined && { gpuLayers: gpu }) },
      ...(ttl !== undefined && { ttlMs: ttl === null ? null : ttl * 1_000 }),
      sampling,
      chatTemplate: this.#templates.get(chatTemplate ?? "") ?? null,
    };
  }
}

function spelled(pattern: string): number {
  return pattern.replaceAll("*", "").length;
}

function readTemplates(presets: readonly ModelPreset[], problems: string[]): Map<string, string> {
  const paths = new Set(presets.flatMap(({ preset }) => preset.chatTemplate ?? []));
  const texts = new Map<string, string>();
  for (const path of paths) {
    try {
      texts.set(path, readFileSync(path, "utf8"));
    } catch (error) {
      const reason = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
      problems.push(`--preset: the chat template ${path} cannot be read (${reason})`);
    }
  }
  return texts;
}
