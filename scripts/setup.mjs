/**
 * Makes a fresh clone ready with nothing but Node.js and npm (or Bun): brings Bun itself at the exact
 * version, installs the dependencies from the frozen lockfile, and with the word `build` builds the
 * executable. Each step is skipped when its result is there already, so later runs need no network.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const modules = join(root, "node_modules");
const bunVersion = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).devDependencies.bun;

const bun = findBun() ?? installBun();
installDependencies();
if (process.argv.includes("build")) build();

/** A Bun of exactly the pinned version: the one that runs this file, or an installed one. */
function findBun() {
  if (process.versions.bun === bunVersion) return process.execPath;
  for (const home of [modules, join(modules, ".cache/bun/node_modules")]) {
    const found = candidates(home).find(
      (path) => existsSync(path) && versionOf(path) === bunVersion,
    );
    if (found !== undefined) return found;
  }
  return null;
}

/** The package's install script moves the executable from the platform's package into its own. */
function candidates(home) {
  const vendor = join(home, "@oven");
  const names = existsSync(vendor) ? readdirSync(vendor) : [];
  const file = process.platform === "win32" ? "bun.exe" : "bun";
  return [join(home, "bun/bin/bun.exe"), ...names.map((name) => join(vendor, name, "bin", file))];
}

function versionOf(path) {
  const { status, stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : null;
}

/** From npm, into a folder of its own, so that npm does not install anything else. */
function installBun() {
  const prefix = join(modules, ".cache/bun");
  mkdirSync(prefix, { recursive: true });
  writeFileSync(join(prefix, "package.json"), '{ "name": "bun-home", "private": true }\n');
  const options = ["--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
  run("npm", ["install", ...options, `bun@${bunVersion}`], prefix);
  const path = findBun();
  if (path === null) fail(`npm installed bun@${bunVersion}, but it does not run on this machine`);
  return path;
}

function installDependencies() {
  const wanted = hashOf(["package.json", "bun.lock", "bunfig.toml"]);
  if (upToDate(join(modules, ".cache/lmserver-installed"), wanted)) return;
  run(bun, ["install", "--frozen-lockfile"], root);
  mkdirSync(join(modules, ".cache"), { recursive: true });
  writeFileSync(join(modules, ".cache/lmserver-installed"), wanted);
}

function build() {
  const inputs = ["src", "scripts"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1)),
  );
  const wanted = hashOf([...inputs.sort((a, b) => (a < b ? -1 : 1)), "package.json", "bun.lock"]);
  const stamp = join(root, "dist/.built");
  const executable = `dist/lmserver${process.platform === "win32" ? ".exe" : ""}`;
  if (existsSync(join(root, executable)) && upToDate(stamp, wanted)) return;
  run(bun, ["scripts/build.ts"], root);
  writeFileSync(stamp, wanted);
}

function upToDate(path, wanted) {
  return existsSync(path) && readFileSync(path, "utf8") === wanted;
}

function hashOf(paths) {
  const hash = createHash("sha256");
  for (const path of paths) hash.update(`${path}\0`).update(readFileSync(join(root, path)));
  return hash.digest("hex");
}

function run(command, words, cwd) {
  const shell = process.platform === "win32" && command === "npm";
  const { status, error } = spawnSync(command, words, { cwd, stdio: "inherit", shell });
  if (status !== 0)
    fail(`${command} ${words.join(" ")} failed${error ? `: ${error.message}` : ""}`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
