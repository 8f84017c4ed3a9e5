import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TARGETS, type TargetName } from "./targets.ts";

/**
 * Folder of an npm package at the version this project pins: the installed one, or one fetched for
 * another platform into the build cache. The package manager checks the registry's integrity hash.
 */
export function packageFolder(root: string, target: TargetName, name: string): string {
  const version = pinnedVersion(root, name);
  const installed = join(root, "node_modules", name);
  if (installedVersion(installed, name) === version) return installed;
  const cache = join(root, "node_modules/.cache/lmserver-packages", target);
  const fetched = join(cache, "node_modules", name);
  if (installedVersion(fetched, name) === version) return fetched;
  fetchPackage(cache, target, name, version);
  return fetched;
}

/** Bun's own executable for the target, which the build appends our code to. */
export function bunExecutable(root: string, target: TargetName): string {
  const { bunPackage, bunPath } = TARGETS[target];
  return join(packageFolder(root, target, bunPackage), bunPath);
}

function pinnedVersion(root: string, name: string): string {
  const { devDependencies, dependencies } = readJson(join(root, "package.json")) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  const version = name.startsWith("@oven/bun-")
    ? devDependencies["bun"]
    : dependencies["node-llama-cpp"];
  if (version === undefined) throw new Error(`package.json does not pin what ${name} belongs to`);
  return version;
}

/** Another name in the file means that the package was replaced by an empty one on install. */
function installedVersion(folder: string, name: string): string | null {
  const path = join(folder, "package.json");
  if (!existsSync(path)) return null;
  const facts = readJson(path) as { name: string; version: string };
  return facts.name === name ? facts.version : null;
}

function fetchPackage(cache: string, target: TargetName, name: string, version: string): void {
  mkdirSync(cache, { recursive: true });
  const path = join(cache, "package.json");
  const known = existsSync(path)
    ? (readJson(path) as { dependencies: Record<string, string> })
    : { dependencies: {} };
  const dependencies = { ...known.dependencies, [name]: version };
  writeFileSync(path, JSON.stringify({ name: "build-packages", private: true, dependencies }));
  const { os, cpu } = TARGETS[target];
  const command = [process.execPath, "install", "--ignore-scripts", "--os", os, "--cpu", cpu];
  const { exitCode, stderr } = Bun.spawnSync(command, { cwd: cache, stdout: "ignore" });
  if (exitCode === 0) return;
  writeFileSync(path, JSON.stringify({ name: "build-packages", private: true, ...known }));
  throw new Error(
    `${name}@${version} cannot be fetched. If the registry does not hold it, give ` +
      `llama.cpp's libraries with --libraries FOLDER.\n${stderr.toString()}`,
  );
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}
