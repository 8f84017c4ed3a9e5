import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { LmError } from "../lib/errors.ts";
import { mayHaveGpu } from "../lib/graphics-devices.ts";
import { processorFlags } from "../lib/processor-flags.ts";
import { openCacheFolder } from "./cache-folder.ts";
import { extractFiles, sweepTemporary } from "./extract.ts";
import {
  type BundledFile,
  type BundleManifest,
  readBundledFile,
  readBundleManifest,
} from "./manifest.ts";
import { neededFiles } from "./needed-files.ts";

/** Who we are; known without touching the disk outside the executable. */
export interface BuildInfo {
  version: string;
  commit: string;
  buildId: string;
  llamaRelease: string;
  gpuBackends: readonly string[];
  isStandalone: boolean;
  /** SHA-256 by path of each carried library; empty when run from the sources. */
  libraries: ReadonlyMap<string, string>;
}

/** What must lie on disk before an engine can start. */
export interface PreparedBundle {
  /** Folder with llama.cpp's libraries. */
  libraryDir: string;
  /** The built-in model's GGUF, null when none is carried. */
  demoPath: string | null;
  buildId: string;
  /** Starts an engine process of exactly this build; append nothing. */
  engineCommand: readonly string[];
}

const HOUR_MS = 3_600_000;
const SOURCE_ROOT = resolve(import.meta.dir, "../..");

/** @see BuildInfo. Run from the sources, version and release come from the packages there. */
export function buildInfo(): BuildInfo {
  const manifest = readBundleManifest();
  if (manifest !== null) {
    return {
      version: manifest.version,
      commit: manifest.commit,
      buildId: manifest.buildId,
      llamaRelease: manifest.llamaRelease,
      gpuBackends: manifest.gpuBackends,
      isStandalone: true,
      libraries: new Map(manifest.extracted.map((file) => [file.path, file.sha256])),
    };
  }
  const { version } = JSON.parse(readFileSync(join(SOURCE_ROOT, "package.json"), "utf8")) as {
    version: string;
  };
  const libraryDir = sourceLibraryDir();
  return {
    version,
    commit: "source",
    buildId: `source-${version}`,
    llamaRelease: llamaReleaseOf(readdirSync(libraryDir)),
    gpuBackends: libraryDir.includes("vulkan") ? ["vulkan"] : [],
    isStandalone: false,
    libraries: new Map(),
  };
}

/** The release in the libraries' names, for example "v0.5.0"; "unknown" when none carries one. */
export function llamaReleaseOf(libraryNames: readonly string[]): string {
  for (const name of libraryNames) {
    const match = /llama(?:\.[a-z]+)?\.(v\d+(?:\.\d+)*)\./.exec(name);
    if (match?.[1] !== undefined) return match[1];
  }
  return "unknown";
}

/**
 * Extracts the carried files below `cacheDir` unless they are already there, and verifies them.
 * From the sources the libraries are used where the package manager put them.
 * @throws LmError engine_unavailable naming --cache-dir when the folder cannot be used.
 */
export function prepareBundle({ cacheDir }: { cacheDir: string }): PreparedBundle {
  const manifest = readBundleManifest();
  return manifest === null ? prepareFromSources() : prepareFromExecutable(manifest, cacheDir);
}

function prepareFromExecutable(manifest: BundleManifest, cacheDir: string): PreparedBundle {
  openCacheFolder(cacheDir);
  sweepTemporary(cacheDir, Date.now(), HOUR_MS);
  const machine = { hasGpu: mayHaveGpu(), flags: processorFlags() };
  const files = neededFiles(manifest.extracted, machine);
  const folder = join(cacheDir, `engine-${contentHash(files)}`);
  extractFiles(folder, files, readBundledFile);
  const libraryDir = join(folder, "lib");
  const hasDemo = files.some((file) => file.path === "demo.gguf");
  // Not process.execPath on Linux: after an upgrade in place that path holds another build.
  const program = process.platform === "linux" ? "/proc/self/exe" : process.execPath;
  return {
    libraryDir,
    demoPath: hasDemo ? join(folder, "demo.gguf") : null,
    buildId: manifest.buildId,
    engineCommand: engineCommand([program], libraryDir, manifest.buildId),
  };
}

function prepareFromSources(): PreparedBundle {
  const libraryDir = sourceLibraryDir();
  const demo = join(SOURCE_ROOT, "src/assets/demo.gguf");
  const { buildId } = buildInfo();
  const program = [process.execPath, join(SOURCE_ROOT, "src/main.ts")];
  return {
    libraryDir,
    demoPath: existsSync(demo) ? demo : null,
    buildId,
    engineCommand: engineCommand(program, libraryDir, buildId),
  };
}

function engineCommand(program: readonly string[], libraryDir: string, buildId: string): string[] {
  return [...program, "engine", "--libraries", libraryDir, "--build-id", buildId];
}

/** Name of the folder: changes when any of its files changes, and only then. */
function contentHash(files: readonly BundledFile[]): string {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const file of files) hasher.update(`${file.path}\0${file.sha256}\n`);
  return hasher.digest("hex").slice(0, 24);
}

/** Platform packages of llama.cpp's libraries, the richest first. */
const SOURCE_PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "linux-x64": ["linux-x64-vulkan", "linux-x64"],
  "linux-arm64": ["linux-arm64"],
  "darwin-arm64": ["mac-arm64-metal"],
  "darwin-x64": ["mac-x64"],
  "win32-x64": ["win-x64-vulkan", "win-x64"],
  "win32-arm64": ["win-arm64"],
};

function sourceLibraryDir(): string {
  const platform = `${process.platform}-${process.arch}`;
  for (const name of SOURCE_PACKAGES[platform] ?? []) {
    const bins = join(SOURCE_ROOT, "node_modules/@node-llama-cpp", name, "bins");
    const folder = existsSync(bins) ? readdirSync(bins)[0] : undefined;
    if (folder !== undefined) return join(bins, folder);
  }
  throw new LmError(
    "engine_unavailable",
    { reason: `no libraries for ${platform}` },
    `llama.cpp's libraries for ${platform} are not installed. Run the install step of README.md.`,
  );
}
