import { join } from "node:path";
import type { ModelDefaults } from "../model.ts";
import { blobNames, defaultsOf, parseManifest, type OllamaManifest } from "./ollama-manifest.ts";
import { addStoreFile, entriesOf, readSmallText, realRoot, type StoreWalk } from "./store-file.ts";

const MAX_MANIFESTS = 10_000;
/** Models of Ollama's own library name nobody. */
const LIBRARY = "library";

interface Named {
  namespace: string;
  model: string;
  tag: string;
  path: string;
}

/**
 * Models in Ollama's store: `manifests/<host>/<namespace>/<model>/<tag>` name files of `blobs`. A
 * blob with several tags is listed once, under the tag that says most.
 */
export async function walkOllama(path: string): Promise<StoreWalk> {
  const defaults = new Map<string, ModelDefaults>();
  const walk: StoreWalk = { files: [], templates: [], broken: [], defaults };
  const root = await realRoot(path);
  if (root === null) return walk;
  const listed = new Set<string>();
  const found = await manifestsIn(join(root, "manifests"));
  const texts = await Promise.all(found.map(({ path: file }) => readSmallText(file)));
  const added: Promise<void>[] = [];
  for (const [index, named] of found.entries()) {
    const manifest = parseManifest(texts[index] ?? null);
    const weights = manifest === null ? null : blobNames(manifest, "model");
    const adapters = manifest === null ? null : blobNames(manifest, "adapter");
    if (manifest === null || weights === null || adapters === null) {
      walk.broken.push({ path: named.path, reason: "it is no manifest of Ollama" });
      continue;
    }
    const [blob, ...others] = weights;
    // Manifests without weights name models that run elsewhere.
    if (blob === undefined || listed.has(blob)) continue;
    if (others.length > 0 || adapters.length > 0) {
      const reason = "it has several files of weights, or an adapter, which only Ollama joins";
      walk.broken.push({ path: named.path, reason });
      continue;
    }
    listed.add(blob);
    const file = join(root, "blobs", blob);
    added.push(
      addStoreFile(walk, root, file, relativeName(named)),
      readDefaults(root, manifest).then((read) => void defaults.set(file, read)),
    );
  }
  await Promise.all(added);
  walk.files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return walk;
}

/** As if the model lay in a folder of its own, so that it is named like all others. */
function relativeName({ namespace, model, tag }: Named): string {
  const publisher = namespace === LIBRARY ? "ollama" : namespace;
  const name = tag === "latest" ? model : `${model}-${tag}`;
  return `${publisher}/${model}/${name}.gguf`;
}

/** Those called `latest` last, the others by name. */
async function manifestsIn(root: string): Promise<Named[]> {
  const found: Named[] = [];
  for (const host of await namesIn(root, true)) {
    for (const namespace of await namesIn(join(root, host), true)) {
      for (const model of await namesIn(join(root, host, namespace), true)) {
        const folder = join(root, host, namespace, model);
        for (const tag of await namesIn(folder, false)) {
          if (found.length < MAX_MANIFESTS)
            found.push({ namespace, model, tag, path: join(folder, tag) });
        }
      }
    }
  }
  return found.sort(
    (a, b) => Number(a.tag === "latest") - Number(b.tag === "latest") || (a.path < b.path ? -1 : 1),
  );
}

async function namesIn(path: string, areFolders: boolean): Promise<string[]> {
  const entries = await entriesOf(path);
  return entries
    .filter((entry) => (areFolders ? entry.isDirectory() : entry.isFile()))
    .map(({ name }) => name);
}

async function readDefaults(root: string, manifest: OllamaManifest): Promise<ModelDefaults> {
  const text = async (kind: "template" | "system" | "params"): Promise<string | null> => {
    const blob = blobNames(manifest, kind)?.[0];
    return blob === undefined ? null : readSmallText(join(root, "blobs", blob));
  };
  return defaultsOf(await text("template"), await text("system"), await text("params"));
}
