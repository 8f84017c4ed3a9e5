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

/** One answer that may be continued by its id. */
export interface StoredResponse {
  /** `resp_` and 48 hexadecimal digits. */
  id: string;
  /** Who may see it: a token's id; "" without authentication. */
  owner: string;
  /** The answer it continues. */
  previousId: string | null;
  /** JSON that the store keeps without reading it. */
  body: unknown;
}

export interface StoreLimits {
  /** An answer is forgotten this long after it was given. */
  ttlMs: number;
  maxCount: number;
  /** Sum of the bodies' sizes. */
  maxBytes: number;
}

export interface StoreOptions {
  /** Absolute path of the database; null = memory only. */
  path: string | null;
  limits: StoreLimits;
  clock: Pick<Clock, "now">;
  log: Log;
}

interface Row {
  id: string;
  previous: string | null;
  body: string;
}

/** Version of the tables below, kept in the file's `user_version`. */
const SCHEMA_VERSION = 1;
const SCHEMA = `
  CREATE TABLE responses (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    previous TEXT,
    created_ms INTEGER NOT NULL,
    used INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX responses_by_use ON responses (used);
  CREATE INDEX responses_by_age ON responses (created_ms);
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** Longest chain that is followed; a longer one does not fit any context. */
const MAX_CHAIN = 10_000;

/**
 * Answers that later requests may continue, in one SQLite file of mode 0600. Bounded in age, number
 * and bytes: what was used longest ago goes first, and using an answer uses the chain before it.
 * Deleted text is overwritten. A damaged file is moved aside and a new one begun.
 */
export class ResponseStore {
  readonly #options: StoreOptions;
  #database: Database;
  /** Order of use: grows by one with each. */
  #tick: number;
  #bytes: number;
  #count: number;

  /** @throws LmError invalid_file when a newer version wrote the file, or it cannot be opened. */
  constructor(options: StoreOptions) {
    this.#options = options;
    this.#database = openOrReplace(options);
    ({ tick: this.#tick, bytes: this.#bytes, count: this.#count } = totals(this.#database));
    this.#evict();
  }

  save(response: StoredResponse): void {
    const body = JSON.stringify(response.body);
    const bytes = Buffer.byteLength(body);
    const { id, owner, previousId } = response;
    this.#guard(() => {
      this.#tick += 1;
      this.#database
        .query("INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?)")
        .run(id, owner, previousId, this.#options.clock.now(), this.#tick, bytes, body);
      this.#bytes += bytes;
      this.#count += 1;
      this.#evict();
    }, undefined);
  }

  /**
   * The answer and all that it continues, oldest first.
   * @returns null when one of them is unknown, too old, or somebody else's.
   */
  chain(id: string, owner: string): StoredResponse[] | null {
    const oldestMs = this.#options.clock.now() - this.#options.limits.ttlMs;
    return this.#guard(() => {
      const find = this.#database.query<Row, [string, string, number]>(
        "SELECT id, previous, body FROM responses WHERE id = ? AND owner = ? AND created_ms > ?",
      );
      const found: StoredResponse[] = [];
      let next: string | null = id;
      while (next !== null) {
        const row: Row | null = find.get(next, owner, oldestMs);
        if (row === null || found.length === MAX_CHAIN) return null;
        const body: unknown = JSON.parse(row.body);
        found.push({ id: row.id, owner, previousId: row.previous, body });
        next = row.previous;
      }
      this.#use(found);
      return found.toReversed();
    }, null);
  }

  /** @returns false when there is no such answer of this owner. */
  delete(id: string, owner: string): boolean {
    return this.#guard(() => {
      const gone = this.#database
        .query<{ bytes: number }, [string, string]>(
          "DELETE FROM responses WHERE id = ? AND owner = ? RETURNING bytes",
        )
        .get(id, owner);
      if (gone === null) return false;
      this.#bytes -= gone.bytes;
      this.#count -= 1;
      this.#emptyLog();
      return true;
    }, false);
  }

  close(): void {
    this.#emptyLog();
    this.#database.close();
  }

  /** The whole chain becomes the most recently used, the newest last. */
  #use(chain: readonly StoredResponse[]): void {
    const touch = this.#database.query("UPDATE responses SET used = ? WHERE id = ?");
    this.#database.transaction(() => {
      for (const { id } of chain.toReversed()) touch.run((this.#tick += 1), id);
    })();
  }

  #evict(): void {
    const { ttlMs, maxCount, maxBytes } = this.#options.limits;
    const expired = this.#database
      .query<{ bytes: number }, [number]>(
        "DELETE FROM responses WHERE created_ms <= ? RETURNING bytes",
      )
      .all(this.#options.clock.now() - ttlMs);
    this.#forget(expired);
    const oldest = this.#database.query<{ bytes: number }, []>(
      "DELETE FROM responses WHERE id = (SELECT id FROM responses ORDER BY used LIMIT 1) RETURNING bytes",
    );
    let isOver = false;
    while (this.#count > maxCount || (this.#bytes > maxBytes && this.#count > 0)) {
      this.#forget(oldest.all());
      isOver = true;
    }
    if (expired.length > 0 || isOver) this.#emptyLog();
  }

  #forget(rows: readonly { bytes: number }[]): void {
    for (const { bytes } of rows) {
      this.#bytes -= bytes;
      this.#count -= 1;
    }
  }

  /** Text that was deleted stands in the write-ahead log until it is emptied. */
  #emptyLog(): void {
    this.#database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  /** Runs `work`; on a damaged file begins a new one and answers `otherwise`. */
  #guard<T>(work: () => T, otherwise: T): T {
    try {
      return work();
    } catch (error) {
      if (!isDamage(error) || this.#options.path === null) throw error;
      this.#database.close();
      this.#database = replace(this.#options, this.#options.path);
      ({ tick: this.#tick, bytes: this.#bytes, count: this.#count } = totals(this.#database));
      return otherwise;
    }
  }
}

function totals(database: Database): { tick: number; bytes: number; count: number } {
  const row = database
    .query<{ tick: number; bytes: number; count: number }, []>(
      "SELECT coalesce(max(used), 0) AS tick, coalesce(sum(bytes), 0) AS bytes, count(*) AS count FROM responses",
    )
    .get();
  return row ?? { tick: 0, bytes: 0, count: 0 };
}

function openOrReplace(options: StoreOptions): Database {
  const { path } = options;
  if (path === null) return prepare(new Database(":memory:"), "memory");
  try {
    return openFile(path);
  } catch (error) {
    if (isDamage(error)) return replace(options, path);
    if (error instanceof LmError) throw error;
    throw unusable(path, "it cannot be opened", error);
  }
}

function openFile(path: string): Database {
  // SQLite would create it with the mode of the umask; its companions take the mode of this one.
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const file = openSync(path, flags, 0o600);
  fchmodSync(file, 0o600);
  closeSync(file);
  const database = new Database(path);
  try {
    database.run("PRAGMA journal_mode = WAL");
    database.run("PRAGMA synchronous = NORMAL");
    database.run("PRAGMA busy_timeout = 5000");
    return prepare(database, path);
  } catch (error) {
    database.close();
    throw error;
  }
}

function prepare(database: Database, path: string): Database {
  database.run("PRAGMA secure_delete = ON");
  const row = database.query<{ user_version: number }, []>("PRAGMA user_version").get();
  const version = row?.user_version ?? 0;
  if (version > SCHEMA_VERSION) {
    throw unusable(path, `a newer lmserver wrote it (version ${version})`);
  }
  if (version === 0) database.transaction(() => database.run(SCHEMA))();
  totals(database); // reads the table: a damaged one is found now
  return database;
}

/** Moves a damaged database aside, tells it, and begins a new one. */
function replace({ log, clock }: StoreOptions, path: string): Database {
  const aside = `${path}.damaged-${clock.now()}`;
  if (existsSync(path)) renameSync(path, aside);
  for (const suffix of ["-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
  log.error("the stored responses were damaged; the file was moved aside and a new one begun", {
    movedTo: aside,
  });
  return openFile(path);
}

const DAMAGE: readonly string[] = ["SQLITE_CORRUPT", "SQLITE_NOTADB"];

function isDamage(error: unknown): boolean {
  if (error instanceof SyntaxError) return true; // a body that is no JSON any more
  if (!(error instanceof SQLiteError)) return false;
  const code = error.code ?? "";
  return (
    DAMAGE.some((damage) => code.startsWith(damage)) || /no such (table|column)/.test(error.message)
  );
}

function unusable(path: string, reason: string, cause?: unknown): LmError<"invalid_file"> {
  const message = `The stored responses in ${path} cannot be used: ${reason}.`;
  return new LmError("invalid_file", { path, reason }, message, { cause });
}
