import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { readBundledFile, readBundleManifest } from "./manifest.ts";

/** A file served to browsers. */
export interface Asset {
  bytes: Uint8Array<ArrayBuffer>;
  contentType: string;
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  png: "image/png",
};

/** Files of swagger-ui-dist that the documentation page uses; nothing else is carried. */
export const SWAGGER_FILES: readonly string[] = [
  "swagger-ui.css",
  "swagger-ui-bundle.js",
  "favicon-32x32.png",
];

const cache = new Map<string, Asset>();

/** A file of Swagger UI by its plain name, or null when it is not one of them. Kept in memory. */
export function swaggerAsset(name: string): Asset | null {
  if (!SWAGGER_FILES.includes(name)) return null;
  const known = cache.get(name);
  if (known !== undefined) return known;
  const bytes = readSwaggerFile(name);
  if (bytes === null) return null;
  const extension = name.slice(name.lastIndexOf(".") + 1);
  const asset = {
    bytes: new Uint8Array(bytes),
    contentType: CONTENT_TYPES[extension] ?? "application/octet-stream",
  };
  cache.set(name, asset);
  return asset;
}

function readSwaggerFile(name: string): Uint8Array | null {
  const manifest = readBundleManifest();
  if (manifest === null) {
    const path = join(resolve(import.meta.dir, "../.."), "node_modules/swagger-ui-dist", name);
    return existsSync(path) ? readFileSync(path) : null;
  }
  const file = manifest.assets.find((entry) => entry.path === `swagger/${name}`);
  return file === undefined ? null : readBundledFile(file);
}
