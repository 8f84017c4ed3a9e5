import { lstatSync, mkdirSync, readFileSync } from "node:fs";
import { LmError } from "../lib/errors.ts";
import { systemCode } from "../lib/system-code.ts";

/**
 * Makes sure that `path` is a folder only we can write to, and that programs may run from it.
 * Libraries are loaded from below it, so another user's folder would be another user's code.
 * @throws LmError engine_unavailable with a sentence that names the way out.
 */
export function openCacheFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unusable(path, `it cannot be created (${reasonOf(error)})`, error);
  }
  const facts = lstatSync(path);
  if (!facts.isDirectory()) throw unusable(path, "it is not a folder but a link or a file");
  const user = process.getuid?.();
  if (user === undefined) return;
  if (facts.uid !== user) throw unusable(path, `it belongs to another user (uid ${facts.uid})`);
  if ((facts.mode & 0o022) !== 0) throw unusable(path, "other users may write to it");
  if (isMountedNoexec(path)) {
    throw unusable(path, "it lies on a file system mounted noexec, so libraries cannot run there");
  }
}

/** The error for a cache folder that cannot be used; `why` completes "because ...". */
export function unusable(path: string, why: string, cause?: unknown): LmError {
  return new LmError(
    "engine_unavailable",
    { reason: why },
    `The cache folder ${path} cannot be used: ${why}. ` +
      "Choose another one with --cache-dir or LMSERVER_CACHE_DIR.",
    { cause },
  );
}

/** The system's short word for a failed file operation, such as EACCES or EROFS. */
export function reasonOf(error: unknown): string {
  return systemCode(error) ?? (error instanceof Error ? error.message : String(error));
}

/** Linux only: looks up the mount that holds `path`. Elsewhere the answer is false. */
function isMountedNoexec(path: string): boolean {
  let table: string;
  try {
    table = readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    return false; // not Linux, or /proc is hidden: loading the library will tell
  }
  return mountOptions(table, path).has("noexec");
}

/**
 * Options of the innermost mount that contains `path`.
 * @param table text of /proc/self/mountinfo; see proc(5): field 5 is the mount point, 6 its options.
 */
export function mountOptions(table: string, path: string): ReadonlySet<string> {
  let longest = -1;
  let options = "";
  for (const line of table.split("\n")) {
    const fields = line.split(" ");
    const point = fields[4]?.replace(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    if (point === undefined || point.length < longest) continue;
    if (path === point || path.startsWith(point === "/" ? "/" : `${point}/`)) {
      longest = point.length;
      options = fields[5] ?? "";
    }
  }
  return new Set(options.split(","));
}
