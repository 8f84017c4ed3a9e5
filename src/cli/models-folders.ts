import { statSync } from "node:fs";
import type { Folders } from "../config/paths.ts";
import { systemCode } from "../lib/system-code.ts";

/**
 * One sentence per models folder that is none. A folder that was named is never created, since its
 * name may be mistyped; the default one may be missing until something is put there.
 */
export function modelsDirProblems({
  modelsDirs,
  isDefaultModelsDir,
}: Pick<Folders, "modelsDirs" | "isDefaultModelsDir">): string[] {
  return modelsDirs.flatMap((path) => {
    const what = whatIsAt(path);
    if (what === "folder" || (what === "nothing" && isDefaultModelsDir)) return [];
    if (what === "nothing") return [`--models-dir: ${path} does not exist`];
    return [`--models-dir: ${path} ${what}`];
  });
}

/** "folder", "nothing", or what is wrong with it. */
function whatIsAt(path: string): string {
  try {
    const facts = statSync(path, { throwIfNoEntry: false });
    if (facts === undefined) return "nothing";
    return facts.isDirectory() ? "folder" : "is not a folder";
  } catch (error) {
    const code = systemCode(error) ?? "unknown failure";
    return code === "ENOTDIR" ? "nothing" : `cannot be looked at (${code})`;
  }
}
