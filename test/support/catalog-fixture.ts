import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { tinyModel, type ModelParts } from "../../scripts/make-hostile-gguf.ts";
import { ModelCatalog, type CatalogOptions } from "../../src/catalog/model-catalog.ts";
import { silentLog } from "../../src/lib/log.ts";

/** A catalogue of one folder. Its clock is moved by hand; the time of day is real, as that of the files is. */
export interface CatalogFixture {
  catalog: ModelCatalog;
  /** Lets the next question look at the folders again. */
  age: () => void;
}

export function catalogOf(folder: string, options: Partial<CatalogOptions> = {}): CatalogFixture {
  let nowMs = 0;
  const catalog = new ModelCatalog({
    folders: [{ path: folder, source: "models-dir" }],
    demoPath: null,
    chatTemplate: null,
    aliases: () => [],
    clock: { now: () => Date.now(), monotonicMs: () => nowMs, after: () => () => undefined },
    log: silentLog,
    ...options,
  });
  return { catalog, age: () => (nowMs += 10_000) };
}

/** Writes a tiny model below the folder. @returns its path. */
export function addModel(folder: string, relativePath: string, parts: ModelParts = {}): string {
  const path = join(folder, relativePath);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, tinyModel(parts));
  return path;
}
