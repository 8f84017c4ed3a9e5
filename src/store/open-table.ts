import { Database, SQLiteError } from "bun:sqlite";
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  openSync,
  renameSync,
  rmSync,
} from "node:fs";
import type { Clock } from "../lib/clock.ts";
import { LmError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { ResponseTable } from "./response-table.ts";
import { SCHEMA_STEPS } from "./schema.ts";

export interface TableOptions {
  /** Absolute path of the database; null = memory only. */
  path: string | null;
  clock: Pick<Clock, "now">;
  log: Log;
}

/**
 * The table in a file of mode 0600. A damaged file is moved aside and a new one begun.
 * @throws LmError invalid_file when a newer version wrote the file, or it cannot be opened.
 */
export function openTable(options: TableOptions): ResponseTable {
  const { path } = options;
  if (path === null) return prepare(new Database(":memory:"), "memory");
  try {
    return openFile(path);
  } catch (error) {
    if (isDamage(error)) return replaceTable(options, path);
    if (error instanceof LmError) throw error;
    throw unusable(path, "it cannot be opened", error);
  }
}

/** Moves a damaged database aside, tells it, and begins a new one. */
export function replaceTable({ log, clock }: TableOptions, path: string): ResponseTable {
  const aside = `${path}.damaged-${clock.now()}`;
  if (existsSync(path)) renameSync(path, aside);
  for (const suffix of ["-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
  log.error("the stored responses were damaged; the file was moved aside and a new one begun", {
    movedTo: aside,
  });
  return openFile(path);
}

/** At the start nobody waits for an answer, and what runs meanwhile may take a while. */
const OPENING_BUSY_MS = 5_000;
/** Every request waits for it. */
const BUSY_MS = 50;

const LOCKED: readonly string[] = ["SQLITE_BUSY", "SQLITE_PROTOCOL"];

/** Whether another program has the file and a later try may succeed. */
export function isLocked(error: unknown): boolean {
  return error instanceof SQLiteError && LOCKED.some((code) => error.code?.startsWith(code));
}

const DAMAGE: readonly string[] = ["SQLITE_CORRUPT", "SQLITE_NOTADB"];

/** Whether the file is no database of responses any more. */
export function isDamage(error: unknown): boolean {
  if (error instanceof SyntaxError) return true; // a body that is no JSON any more
  if (!(error instanceof SQLiteError)) return false;
  const code = error.code ?? "";
  return (
    DAMAGE.some((damage) => code.startsWith(damage)) || /no such (table|column)/.test(error.message)
  );
}

function openFile(path: string): ResponseTable {
  // SQLite would create it with the mode of the umask; its companions take the mode of this one.
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const file = openSync(path, flags, 0o600);
  fchmodSync(file, 0o600);
  closeSync(file);
  const database = new Database(path);
  try {
    database.run(`PRAGMA busy_timeout = ${OPENING_BUSY_MS}`);
    database.run("PRAGMA journal_mode = WAL");
    database.run("PRAGMA synchronous = NORMAL");
    const table = prepare(database, path);
    database.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
    return table;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Brings the tables up to date and reads them: a damaged one is found now. */
function prepare(database: Database, path: string): ResponseTable {
  database.run("PRAGMA secure_delete = ON");
  const row = database.query<{ user_version: number }, []>("PRAGMA user_version").get();
  const version = row?.user_version ?? 0;
  if (version > SCHEMA_STEPS.length) {
    throw unusable(path, `a newer lmserver wrote it (version ${version})`);
  }
  if (version < SCHEMA_STEPS.length) {
    database.transaction(() => {
      for (const step of SCHEMA_STEPS.slice(version)) database.run(step);
      database.run(`PRAGMA user_version = ${SCHEMA_STEPS.length}`);
    })();
  }
  return new ResponseTable(database);
}

function unusable(path: string, reason: string, cause?: unknown): LmError<"invalid_file"> {
  const message = `The stored responses in ${path} cannot be used: ${reason}.`;
  return new LmError("invalid_file", { path, reason }, message, { cause });
}
