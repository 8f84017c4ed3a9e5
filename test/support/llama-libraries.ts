import { existsSync } from "node:fs";
import { resolve } from "node:path";

const PACKAGES = ["linux-x64", "linux-arm64", "mac-arm64-metal", "mac-x64", "win-x64", "win-arm64"];

/** The folder of llama.cpp's libraries for this machine, or null where none is installed. */
export function llamaLibraries(): string | null {
  const platform = { linux: "linux", darwin: "mac", win32: "win" }[process.platform as string];
  const wanted = PACKAGES.find((name) => name.startsWith(`${platform}-${process.arch}`));
  if (wanted === undefined) return null;
  const root = resolve(import.meta.dir, "../../node_modules/@node-llama-cpp");
  const folder = resolve(root, wanted, "bins", wanted);
  if (existsSync(folder)) return folder;
  console.warn(`llama.cpp's libraries are absent, tests are skipped: ${folder}`);
  return null;
}

/** The demo model of the executable. */
export const DEMO_MODEL = resolve(import.meta.dir, "../../src/assets/demo.gguf");
