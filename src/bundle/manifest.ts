import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** One file carried inside the executable, stored compressed with zstd. */
export interface BundledFile {
  /** Path inside the cache folder, with forward slashes, for example `lib/libllama.so`. */
  path: string;
  /** SHA-256 of the uncompressed bytes, 64 lower-case hexadecimal digits. */
  sha256: string;
  sizeBytes: number;
}

/** What scripts/build.ts wrote into the executable beside the code. */
export interface BundleManifest {
  version: string;
  commit: string;
  /** Hash over the sources and the libraries: equal for equal builds, handed to engines. */
  buildId: string;
  /** For example "v0.5.0". */
  llamaRelease: string;
  /** GPU backends carried along, for example ["vulkan"]. */
  gpuBackends: readonly string[];
  /** Files that must exist on disk before an engine starts: libraries and the demo model. */
  extracted: readonly BundledFile[];
  /** Files served from memory: Swagger UI. */
  assets: readonly BundledFile[];
}

/** Folder of the carried files inside the executable; readable only there. */
const BUNDLE_FOLDER = join(import.meta.dir, "bundle");

/** The manifest of this executable, or null when the program runs from its sources. */
export function readBundleManifest(): BundleManifest | null {
  if (!Bun.isStandaloneExecutable) return null;
  const path = join(BUNDLE_FOLDER, "manifest.json");
  if (!existsSync(path)) return null;
  return JSON.parse(readFileSync(path, "utf8")) as BundleManifest;
}

/** The uncompressed bytes of a carried file. */
export function readBundledFile(file: BundledFile): Uint8Array {
  return Bun.zstdDecompressSync(readFileSync(join(BUNDLE_FOLDER, `${file.path}.zst`)));
}
