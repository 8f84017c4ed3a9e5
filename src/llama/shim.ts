import { cc } from "bun:ffi";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LmError } from "../lib/errors.ts";
import { SHIM_FILE, SHIM_SOURCE } from "./shim-source.ts";

const ATTEMPTS = 3;

/** A compiler's folder younger than this is of a start that happened beside ours. */
const STARTING_MS = 60_000;

const compile = (source: string) =>
  cc({
    source,
    symbols: {
      lm_model_params: { args: ["ptr", "ptr"], returns: "void" },
      lm_context_params: { args: ["ptr", "ptr"], returns: "void" },
      lm_load_model: { args: ["ptr", "ptr", "ptr"], returns: "ptr" },
      lm_create_context: { args: ["ptr", "ptr", "ptr"], returns: "ptr" },
      lm_compute: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
      lm_create_chain: { args: ["ptr"], returns: "ptr" },
      lm_create_threadpool: { args: ["ptr", "ptr"], returns: "ptr" },
      lm_free_threadpool: { args: ["ptr", "ptr"], returns: "void" },
      lm_log_function: { args: [], returns: "ptr" },
      lm_log_ring: { args: [], returns: "ptr" },
      lm_log_written: { args: [], returns: "u32" },
    },
  }).symbols;

export type Shim = ReturnType<typeof compile>;

/**
 * Compiles the shim. The compiler leaves a folder of headers in the temporary folder (private, one
 * per user). It is removed again unless it is an old one, of somebody else: of starts at the same
 * moment the last to end has to remove it, whoever made it. The shim includes no header, so that
 * losing the folder halfway costs it nothing but, at worst, another attempt.
 * @param libraryDir where the executable put the source; without one there it is written to the
 * temporary folder for the while.
 * @throws LmError engine_unavailable
 */
export function compileShim(libraryDir: string): Shim {
  const before = compilerFolders();
  try {
    const carried = join(libraryDir, SHIM_FILE);
    return existsSync(carried) ? attempt(carried, ATTEMPTS) : compileTemporary();
  } finally {
    for (const left of compilerFolders()) {
      if (!before.has(left) || isYoung(left)) {
        rmSync(left, { recursive: true, force: true, maxRetries: ATTEMPTS });
      }
    }
  }
}

function compileTemporary(): Shim {
  const folder = mkdtempSync(join(tmpdir(), "lmserver-shim-"));
  try {
    const source = join(folder, SHIM_FILE);
    writeFileSync(source, SHIM_SOURCE, { mode: 0o600 });
    return attempt(source, ATTEMPTS);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function attempt(source: string, attemptsLeft: number): Shim {
  try {
    return compile(source);
  } catch (cause) {
    if (attemptsLeft > 1) return attempt(source, attemptsLeft - 1);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new LmError(
      "engine_unavailable",
      { reason },
      `The C shim cannot be compiled: ${reason}`,
      { cause },
    );
  }
}

/** The user's folder, and those with names of their own that are made when that one is not usable. */
function compilerFolders(): Set<string> {
  const names = readdirSync(tmpdir()).filter((name) => /^bun-cc-|\.bun-cc$/.test(name));
  return new Set(names.map((name) => join(tmpdir(), name)));
}

function isYoung(path: string): boolean {
  const born = statSync(path, { throwIfNoEntry: false })?.birthtimeMs ?? 0;
  return Date.now() - born < STARTING_MS;
}
