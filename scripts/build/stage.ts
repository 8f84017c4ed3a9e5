import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SWAGGER_FILES } from "../../src/bundle/assets.ts";
import { llamaReleaseOf } from "../../src/bundle/bundle.ts";
import { sha256 } from "../../src/bundle/verify.ts";
import type { BundledFile, BundleManifest } from "../../src/bundle/manifest.ts";
import { SHIM_FILE, SHIM_SOURCE } from "../../src/llama/shim-source.ts";
import { commitOf } from "./commit.ts";
import type { Libraries } from "./libraries.ts";

/** 66.7 MB of libraries become 15.4 MB in 1 s; level 19 would give 12.7 MB in 25 s. */
const ZSTD_LEVEL = 9;

/** Writes every carried file, compressed, and the manifest into `folder`. */
export function stageBundle(root: string, folder: string, libraries: Libraries): BundleManifest {
  const extracted = [...libraries.files].map(([name, path]) =>
    stageFile(folder, `lib/${name}`, readFileSync(path)),
  );
  extracted.push(stageFile(folder, `lib/${SHIM_FILE}`, Buffer.from(SHIM_SOURCE)));
  const demo = join(root, "src/assets/demo.gguf");
  if (existsSync(demo)) extracted.push(stageFile(folder, "demo.gguf", readFileSync(demo)));
  const swagger = join(root, "node_modules/swagger-ui-dist");
  const assets = SWAGGER_FILES.map((name) =>
    stageFile(folder, `swagger/${name}`, readFileSync(join(swagger, name))),
  );
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    version: string;
  };
  const manifest: BundleManifest = {
    version,
    commit: commitOf(root),
    buildId: buildId(root, extracted),
    llamaRelease: llamaReleaseOf([...libraries.files.keys()]),
    gpuBackends: libraries.gpuBackends,
    extracted: extracted.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    assets,
  };
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
  return manifest;
}

function stageFile(folder: string, path: string, bytes: Buffer): BundledFile {
  const target = join(folder, `${path}.zst`);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, Bun.zstdCompressSync(bytes, { level: ZSTD_LEVEL }));
  return { path, sha256: sha256(bytes), sizeBytes: bytes.length };
}

/** Equal sources and equal carried files give an equal id, wherever and whenever they are built. */
function buildId(root: string, extracted: readonly BundledFile[]): string {
  const hasher = new Bun.CryptoHasher("sha256");
  const sources = readdirSync(join(root, "src"), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(".ts"))
    .toSorted();
  for (const name of [...sources.map((source) => join("src", source)), "bun.lock"]) {
    hasher.update(`${name}\0`).update(readFileSync(join(root, name)));
  }
  for (const file of extracted) hasher.update(`${file.path}\0${file.sha256}\n`);
  return hasher.digest("hex");
}
