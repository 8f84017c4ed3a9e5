import { readFile, stat } from "node:fs/promises";
import { MAX_TEMPLATE_LENGTH } from "../lib/limits.ts";

/** The chat template of a model may lie beside it: `name.jinja` for `name.gguf` and its shards. */
export const sidecarOf = (modelPath: string): string =>
  modelPath.replace(/(?:-\d{5}-of-\d{5})?\.gguf$/i, ".jinja");

/**
 * Templates beside models, by the model's path. What cannot be read is not there.
 * @param templatePaths the files called `*.jinja` in the models' folders.
 */
export async function readSidecars(
  modelPaths: readonly string[],
  templatePaths: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (templatePaths.length === 0) return new Map();
  const present = new Set(templatePaths);
  const found = await Promise.all(
    modelPaths
      .filter((path) => present.has(sidecarOf(path)))
      .map(async (path) => [path, await readTemplate(sidecarOf(path))] as const),
  );
  return new Map(found.flatMap(([path, text]) => (text === null ? [] : [[path, text]])));
}

async function readTemplate(path: string): Promise<string | null> {
  const facts = await stat(path).catch(() => null);
  // A pipe would never end, and a template has a bounded length.
  if (facts === null || !facts.isFile() || facts.size > MAX_TEMPLATE_LENGTH) return null;
  return readFile(path, "utf8").catch(() => null);
}
