import { readdirSync } from "node:fs";
import { join } from "node:path";
import { packageFolder } from "./packages.ts";
import { TARGETS, type TargetName } from "./targets.ts";

/** The libraries one executable carries. */
export interface Libraries {
  /** Absolute paths by file name. */
  files: ReadonlyMap<string, string>;
  gpuBackends: readonly string[];
}

/** node-llama-cpp's own addon, its notes, and the part of llama.cpp that only its tools use. */
const NOT_CARRIED = /^(_nlc.*|llama-addon\.(node|lib)|(lib)?llama-common.*)$/;

/**
 * The CPU package's libraries, plus the one library of each GPU backend. The base library is the same
 * in all packages of a release, so a backend from another package loads beside it.
 */
export function collectLibraries(
  root: string,
  name: TargetName,
  extraGpus: readonly string[],
): Libraries {
  const target = TARGETS[name];
  const files = new Map(libraryFiles(root, name, target.libraryPackage));
  const gpuBackends: string[] = target.libraryPackage.endsWith("metal") ? ["metal"] : [];
  for (const backend of target.backendPackages) {
    if (backend.optional && !extraGpus.includes(backend.gpu)) continue;
    for (const [file, path] of libraryFiles(root, name, backend.package)) {
      if (file.includes(`ggml-${backend.gpu}`)) files.set(file, path);
    }
    gpuBackends.push(backend.gpu);
  }
  for (const gpu of extraGpus) {
    if (!gpuBackends.includes(gpu)) throw new Error(`${name} has no ${gpu} backend`);
  }
  return { files, gpuBackends };
}

/** Every library in a folder, for platforms whose package is not to be had. */
export function librariesIn(folder: string): Libraries {
  const files = new Map(filesIn(folder));
  const gpuBackends = ["vulkan", "cuda", "metal"].filter((gpu) =>
    [...files.keys()].some((file) => file.includes(`ggml-${gpu}`)),
  );
  return { files, gpuBackends };
}

function libraryFiles(root: string, target: TargetName, name: string): [string, string][] {
  const bins = join(packageFolder(root, target, `@node-llama-cpp/${name}`), "bins");
  const folder = readdirSync(bins)[0];
  if (folder === undefined) throw new Error(`${bins} is empty`);
  return filesIn(join(bins, folder));
}

function filesIn(folder: string): [string, string][] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !NOT_CARRIED.test(entry.name))
    .map((entry) => [entry.name, join(entry.parentPath, entry.name)]);
}
