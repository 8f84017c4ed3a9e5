import { Database } from "bun:sqlite";
import { lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Type, type Static } from "typebox";
import { Value } from "typebox/value";
import { systemCode } from "../lib/system-code.ts";
import { EXIT, ExitError } from "./command.ts";
import { processStart } from "./process-start.ts";

/** Where a server looks for models. */
const ServerCatalog = Type.Object({
  /** Of its own the first receives downloads. */
  folders: Type.Array(
    Type.Object({
      path: Type.String(),
      source: Type.Enum(["models-dir", "lm-studio", "hugging-face", "ollama", "llama.cpp"]),
    }),
  ),
  /** The built-in model's file; null = hidden. */
  demoPath: Type.Union([Type.String(), Type.Null()]),
});

/** What a running server tells other processes of the same user. */
export const ServerState = Type.Object({
  pid: Type.Integer({ minimum: 1 }),
  /** Start time of the process as the system counts it; null = unknown. Guards against reuse of the pid. */
  processStart: Type.Union([Type.String(), Type.Null()]),
  version: Type.String(),
  /** null until the server listens. */
  url: Type.Union([Type.String(), Type.Null()]),
  port: Type.Union([Type.Integer(), Type.Null()]),
  /** Absent until the server listens. */
  catalog: Type.Optional(ServerCatalog),
});
export type ServerState = Static<typeof ServerState>;

/** The right to be the only server of a state folder. Ends with the process, however it ends. */
export interface StateLock {
  /** Tells other processes where the server listens, and where its models lie. */
  announce(where: { url: string; port: number; catalog: Static<typeof ServerCatalog> }): void;
  /** Removes what `announce` wrote and lets the next server start. */
  release(): void;
}

const LOCK_FILE = "server.lock";
const STATE_FILE = "server.json";

/**
 * Takes the lock of `stateDir`. It is a lock of the operating system on an empty SQLite file, so
 * nothing stale can remain: whatever a dead server left behind is taken over.
 * @throws ExitError (cannotStart) naming the server that holds it, or why the folder is unusable.
 */
export function takeStateLock(stateDir: string, version: string): StateLock {
  openStateFolder(stateDir);
  const database = openLock(stateDir);
  if (database === null) {
    const other = readServerState(stateDir);
    const who = other === null ? "Another server" : `A server (PID ${other.pid})`;
    const where = other?.url ? ` on ${other.url}` : "";
    throw new ExitError(
      EXIT.cannotStart,
      `${who} already runs${where} with the state folder ${stateDir}. ` +
        `Stop it with "lmserver stop", or choose another folder with --state-dir.`,
    );
  }
  const own = { pid: process.pid, processStart: processStart(process.pid), version };
  writeState(stateDir, { ...own, url: null, port: null });
  return {
    announce: (where) => writeState(stateDir, { ...own, ...where }),
    release() {
      rmSync(join(stateDir, STATE_FILE), { force: true });
      database.close();
      rmSync(join(stateDir, `${LOCK_FILE}-journal`), { force: true });
    },
  };
}

/** The server that holds the lock of `stateDir`; null when none does. */
export function runningServer(stateDir: string): ServerState | null {
  const state = readServerState(stateDir);
  if (state === null) return null;
  if (state.processStart !== null && processStart(state.pid) !== state.processStart) return null;
  let database: Database | null;
  try {
    database = openLock(stateDir);
  } catch {
    return state; // the lock cannot be asked: the start time of the process has to do
  }
  database?.close();
  return database === null ? state : null;
}

/** @returns null when another process holds the lock. */
function openLock(stateDir: string): Database | null {
  const path = join(stateDir, LOCK_FILE);
  let database: Database;
  try {
    database = new Database(path);
  } catch (error) {
    throw unusable(stateDir, "its lock file cannot be opened", error);
  }
  try {
    database.run("PRAGMA busy_timeout = 0");
    database.run("BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database.close();
    if (systemCode(error) === "SQLITE_BUSY") return null;
    throw unusable(stateDir, "its lock file cannot be locked", error);
  }
}

function openStateFolder(stateDir: string): void {
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unusable(stateDir, "it cannot be created", error);
  }
  const facts = lstatSync(stateDir);
  if (!facts.isDirectory()) throw unusable(stateDir, "it is not a folder");
  const user = process.getuid?.();
  if (user === undefined) return;
  if (facts.uid !== user) throw unusable(stateDir, `it belongs to another user (uid ${facts.uid})`);
  if ((facts.mode & 0o022) !== 0) throw unusable(stateDir, "other users may write to it");
}

function writeState(stateDir: string, state: ServerState): void {
  const path = join(stateDir, STATE_FILE);
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, `${JSON.stringify(state)}\n`, { mode: 0o600, flag: "wx" });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw unusable(stateDir, "it is not writable", error);
  }
}

function readServerState(stateDir: string): ServerState | null {
  try {
    const state: unknown = JSON.parse(readFileSync(join(stateDir, STATE_FILE), "utf8"));
    return Value.Check(ServerState, state) ? state : null;
  } catch {
    return null; // absent, or written by something else
  }
}

function unusable(stateDir: string, why: string, cause?: unknown): ExitError {
  const code = systemCode(cause);
  const detail = code === null ? "" : ` (${code})`;
  return new ExitError(
    EXIT.cannotStart,
    `The state folder ${stateDir} cannot be used: ${why}${detail}. ` +
      "Choose another one with --state-dir or LMSERVER_STATE_DIR.",
    { cause },
  );
}
