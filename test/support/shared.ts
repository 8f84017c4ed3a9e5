import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const SHARED = process.env["LMSERVER_SHARED"] ?? resolve(import.meta.dir, "../../../shared");

/**
 * Path of reference data that lies beside the repository, or null where it is absent. A test that
 * needs it says so aloud and is skipped: the suite passes without it.
 */
export function sharedPath(name: string): string | null {
  const path = join(SHARED, name);
  if (existsSync(path)) return path;
  console.warn(`reference data is absent, a test is skipped: ${name}`);
  return null;
}
