import type { FolderWalker } from "../folder-walk.ts";
import type { ModelOrigin } from "../model.ts";
import { walkHuggingFace } from "./hugging-face.ts";
import { walkLlamaCpp } from "./llama-cpp.ts";
import { walkOllama } from "./ollama.ts";
import type { StoreWalk } from "./store-file.ts";

/** Lists the model files of a folder by the rules of the program it belongs to. Only reads. */
export async function walkStore(
  path: string,
  source: Exclude<ModelOrigin, "demo">,
  walker: FolderWalker,
): Promise<StoreWalk> {
  if (source === "hugging-face") return walkHuggingFace(path);
  if (source === "ollama") return walkOllama(path);
  if (source === "llama.cpp") return walkLlamaCpp(path);
  return { ...(await walker.walk(path)), defaults: new Map() };
}
