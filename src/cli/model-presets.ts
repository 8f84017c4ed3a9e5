import { readFileSync, statSync } from "node:fs";
import { basename, resolve } from "node:path";
import type { CatalogModel } from "../catalog/model.ts";
import { matches } from "../catalog/find-model.ts";
import { modelName, stemOf } from "../catalog/model-names.ts";
import type { ModelPreset, Preset } from "../config/presets.ts";
import type { LoadDefaults } from "../pool/pool.ts";
import type { LoadedAdapter } from "../protocol/commands.ts";
import type { Sampling } from "../protocol/sampling.ts";
import { systemCode } from "../lib/system-code.ts";

type PresetAdapter = NonNullable<Preset["lora"]>[number];

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
  /** Sizes of the LoRA adapters that can be read, by path. */
  readonly #adapters: ReadonlyMap<string, number>;

  /** @param problems gets a sentence for each file that cannot be read. */
  constructor(presets: readonly ModelPreset[], problems: string[]) {
    this.#presets = presets.toSorted((a, b) => spelled(a.model) - spelled(b.model));
    this.#templates = readTemplates(presets, problems);
    this.#adapters = findAdapters(presets, problems);
  }

  #adapterOf({ path, scale = 1 }: PresetAdapter): LoadedAdapter | null {
    const sizeBytes = this.#adapters.get(path);
    if (sizeBytes === undefined) return null;
    return { name: modelName(stemOf(basename(path)), null), path: resolve(path), sizeBytes, scale };
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
    const { ttl, gpu, chatTemplate, lora, sampling: _sampling, ...load } = merged;
    const adapters = lora?.flatMap((adapter) => this.#adapterOf(adapter) ?? []);
    return {
      load: {
        ...load,
        ...(gpu !== undefined && { gpuLayers: gpu }),
        ...(adapters !== undefined && { adapters }),
      },
      ...(ttl !== undefined && { ttlMs: ttl === null ? null : ttl * 1_000 }),
      sampling,
      chatTemplate: this.#templates.get(chatTemplate ?? "") ?? null,
    };
  }
}

function spelled(pattern: string): number {
  return pattern.replaceAll("*", "").length;
}

function findAdapters(presets: readonly ModelPreset[], problems: string[]): Map<string, number> {
  const paths = new Set(
    presets.flatMap(({ preset }) => (preset.lora ?? []).map(({ path }) => path)),
  );
  const sizes = new Map<string, number>();
  for (const path of paths) {
    const facts = statSync(path, { throwIfNoEntry: false });
    if (facts?.isFile() === true) sizes.set(path, facts.size);
    else problems.push(`--preset: the LoRA adapter ${path} is not a file`);
  }
  return sizes;
}

function readTemplates(presets: readonly ModelPreset[], problems: string[]): Map<string, string> {
  const paths = new Set(presets.flatMap(({ preset }) => preset.chatTemplate ?? []));
  const texts = new Map<string, string>();
  for (const path of paths) {
    try {
      texts.set(path, readFileSync(path, "utf8"));
    } catch (error) {
      const reason = systemCode(error) ?? "unreadable";
      problems.push(`--preset: the chat template ${path} cannot be read (${reason})`);
    }
  }
  return texts;
}
