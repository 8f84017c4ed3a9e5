import { statSync } from "node:fs";
import { isAbsolute, join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/** Models of another program on this machine, read where they are. */
export interface ForeignStore {
  source: "hugging-face" | "ollama" | "llama.cpp";
  path: string;
}

/** What the other programs are told about places. */
export const STORE_VARIABLES = [
  "HF_HOME",
  "HF_HUB_CACHE",
  "HUGGINGFACE_HUB_CACHE",
  "LLAMA_CACHE",
  "OLLAMA_MODELS",
] as const;

/**
 * The stores that exist, by each program's own rules about its environment. Of several places that a
 * program looks at, the first that is set counts.
 */
export function foreignStores(env: Environment, home: string | null): readonly ForeignStore[] {
  const xdgCache = absolute(env["XDG_CACHE_HOME"]) ?? below(home, ".cache");
  const llamaCache = absolute(env["LLAMA_CACHE"]);
  const macCache = process.platform === "darwin" ? below(home, "Library/Caches") : null;
  const ollama = absolute(env["OLLAMA_MODELS"]) ?? below(home, ".ollama/models");
  // Newer llama.cpp keeps the layout of Hugging Face in its own folder, older releases plain files.
  const candidates: readonly (readonly [ForeignStore["source"], string | null])[] = [
    ["hugging-face", hubCache(env, xdgCache)],
    ["hugging-face", llamaCache],
    ["llama.cpp", llamaCache ?? below(macCache ?? xdgCache, "llama.cpp")],
    ["ollama", isFolder(ollama) ? ollama : "/usr/share/ollama/.ollama/models"],
  ];
  const stores = candidates.flatMap(([source, path]) =>
    path !== null && isFolder(path) ? [{ source, path }] : [],
  );
  const known = new Set<string>();
  return stores.filter(({ source, path }) => {
    const isNew = !known.has(`${source} ${path}`);
    known.add(`${source} ${path}`);
    return isNew;
  });
}

/** Source: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables */
function hubCache(env: Environment, xdgCache: string | null): string | null {
  return (
    absolute(env["HF_HUB_CACHE"]) ??
    absolute(env["HUGGINGFACE_HUB_CACHE"]) ??
    below(absolute(env["HF_HOME"]), "hub") ??
    below(xdgCache, "huggingface/hub")
  );
}

const below = (folder: string | null, path: string): string | null =>
  folder === null ? null : join(folder, path);

const absolute = (path: string | undefined): string | null =>
  path !== undefined && isAbsolute(path) ? path : null;

function isFolder(path: string | null): boolean {
  if (path === null) return false;
  try {
    return statSync(path).isDirectory();
  } catch {
    // Absent, or not ours to look at: either way there is nothing to adopt.
    return false;
  }
}
