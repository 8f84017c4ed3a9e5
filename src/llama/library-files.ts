import { readdirSync } from "node:fs";
import { join } from "node:path";
import { LmError } from "../lib/errors.ts";

/** Absolute paths of the libraries that are opened by name; backends are found by ggml itself. */
export interface LibraryFiles {
  ggmlBase: string;
  ggml: string;
  llama: string;
}

/**
 * Finds the libraries among the names of a folder. Names carry the variant and the release:
 * `libllama.v0.5.0.so`, `libllama.vulkan.v0.5.0.so`, `libllama.v0.5.0.dylib`, `llama.v0.5.0.dll`.
 * @throws LmError engine_unavailable
 */
export function pickLibraryFiles(folder: string, names: readonly string[]): LibraryFiles {
  const pick = (stem: string): string => {
    const pattern = new RegExp(`^(lib)?${stem}(\\.[a-z0-9]+)*\\.(so|dylib|dll)$`);
    const found = names.filter((name) => pattern.test(name));
    const [only] = found;
    if (only !== undefined && found.length === 1) return join(folder, only);
    const reason =
      found.length === 0
        ? `No ${stem} library lies in ${folder}`
        : `More than one ${stem} library lies in ${folder}: ${found.join(", ")}`;
    throw new LmError("engine_unavailable", { reason }, reason);
  };
  return { ggmlBase: pick("ggml-base"), ggml: pick("ggml"), llama: pick("llama") };
}

/** @throws LmError engine_unavailable when the folder cannot be read or lacks a library. */
export function findLibraryFiles(folder: string): LibraryFiles {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (cause) {
    const reason = `The library folder ${folder} cannot be read`;
    throw new LmError("engine_unavailable", { reason }, reason, { cause });
  }
  return pickLibraryFiles(folder, names);
}
