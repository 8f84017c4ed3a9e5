import { join } from "node:path";
import { isModelName } from "../file-stamp.ts";
import { addStoreFile, entriesOf, realRoot, type StoreWalk } from "./store-file.ts";

/**
 * Models that llama.cpp fetched: plain files named `<owner>_<repo>_<file>.gguf` in one folder. Names
 * may hold more of these marks, so the repository is known only by the `-GGUF` most of them end in.
 */
export async function walkLlamaCpp(path: string): Promise<StoreWalk> {
  const walk: StoreWalk = { files: [], templates: [], broken: [], defaults: new Map() };
  const root = await realRoot(path);
  if (root === null) return walk;
  const entries = await entriesOf(root);
  for (const entry of entries) {
    if (entry.isFile() && entry.name.endsWith(".jinja"))
      walk.templates.push(join(root, entry.name));
    if (entry.isDirectory() || !isModelName(entry.name)) continue;
    await addStoreFile(walk, root, join(root, entry.name), placeOf(entry.name));
  }
  walk.files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return walk;
}

function placeOf(name: string): string {
  const match = /^([^_]+)_(.+?-gguf)_(.+\.gguf)$/i.exec(name);
  return match === null ? name : `${match[1]}/${match[2]}/${match[3]}`;
}
