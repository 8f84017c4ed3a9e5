import { lstatSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BundledFile } from "./manifest.ts";

/** Its name in the folder of the extracted files. */
const STAMP = "verified.json";

/**
 * Whether every file still looks as it did when its bytes were last verified: size, times, inode.
 * Whatever writes to a file, renames or replaces it changes its ctime, which no program can set.
 */
export function isStamped(folder: string, files: readonly BundledFile[]): boolean {
  try {
    return readFileSync(join(folder, STAMP), "utf8") === stampOf(folder, files);
  } catch {
    return false; // no stamp, or no files: verifying tells
  }
}

/** Remembers that these files were verified just now. Without it the next start verifies again. */
export function stamp(folder: string, files: readonly BundledFile[]): void {
  try {
    writeFileSync(join(folder, STAMP), stampOf(folder, files), { mode: 0o600 });
  } catch {
    return; // a folder that cannot be written to: nothing is lost but time
  }
}

function stampOf(folder: string, files: readonly BundledFile[]): string {
  const facts = files.map(({ path, sha256 }) => {
    const { size, mtimeNs, ctimeNs, ino, dev } = lstatSync(join(folder, path), { bigint: true });
    return [path, sha256, ...[size, mtimeNs, ctimeNs, ino, dev].map(String)];
  });
  return JSON.stringify(facts);
}
