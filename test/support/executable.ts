import { existsSync } from "node:fs";
import { resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");

/**
 * The command under test: the file that `LMSERVER_EXECUTABLE` names, else `dist/lmserver` when it
 * was built, else the sources run by this Bun. Set `LMSERVER_EXECUTABLE=source` to test the sources
 * although an executable exists.
 */
export function executableCommand(): string[] {
  const named = process.env["LMSERVER_EXECUTABLE"] ?? "";
  const built = resolve(ROOT, "dist/lmserver");
  if (named !== "" && named !== "source") return [resolve(named)];
  if (named === "" && existsSync(built)) return [built];
  return sourceCommand();
}

/** Always the sources: for tests that look at code newer than the last build. */
export function sourceCommand(): string[] {
  return [process.execPath, resolve(ROOT, "src/main.ts")];
}
