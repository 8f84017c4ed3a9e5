import type { Database } from "bun:sqlite";

/** One answer as it is stored. */
export interface ResponseRow {
  id: string;
  owner: string;
  /** Id of the answer it continues. */
  previous: string | null;
  body: string;
}

/** Of the whole table. */
interface Totals {
  /** Order of use: grows by one with each. */
  tick: number;
  /** Sum of the bodies' sizes. */
  bytes: number;
  count: number;
}

/** The table of stored responses, and how much is in it. Owns its database. */
export class ResponseTable {
  readonly #database: Database;
  #totals: Totals;

  constructor(database: Database) {
    this.#database = database;
    this.#totals = readTotals(database);
  }

  get count(): number {
    return this.#totals.count;
  }

  get bytes(): number {
    return this.#totals.bytes;
  }

  /** All that `work` changes, or nothing. */
  atomically(work: () => void): void {
    const before = this.#totals;
    try {
      this.#database.transaction(work).immediate();
    } catch (error) {
      this.#totals = before;
      throw error;
    }
  }

  insert({ id, owner, previous, body }: ResponseRow, createdMs: number): void {
    const { tick, bytes, count } = this.#totals;
    const size = Buffer.byteLength(body);
    this.#database
      .query("INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?)")
      .run(id, owner, previous, createdMs, tick + 1, size, body);
    this.#totals = { tick: tick + 1, bytes: bytes + size, count: count + 1 };
  }

  /** @returns null when nobody, or somebody else, has it, or it is not younger than `afterMs`. */
  find(id: string, owner: string, afterMs: number): ResponseRow | null {
    return this.#database
      .query<ResponseRow, [string, string, number]>(
        "SELECT id, owner, previous, body FROM responses WHERE id = ? AND owner = ? AND created_ms > ?",
      )
      .get(id, owner, afterMs);
  }

  /** They become the most recently used, the last one last. */
  use(ids: readonly string[]): void {
    const touch = this.#database.query("UPDATE responses SET used = ? WHERE id = ?");
    this.atomically(() => {
      for (const id of ids) {
        const tick = this.#totals.tick + 1;
        touch.run(tick, id);
        this.#totals = { ...this.#totals, tick };
      }
    });
  }

  /** @returns How many rows went: one or none. */
  remove(id: string, owner: string): number {
    return this.#forget(
      this.#database
        .query<{ bytes: number }, [string, string]>(
          "DELETE FROM responses WHERE id = ? AND owner = ? RETURNING bytes",
        )
        .all(id, owner),
    );
  }

  /** @returns How many rows went. */
  removeUntil(createdMs: number): number {
    return this.#forget(
      this.#database
        .query<{ bytes: number }, [number]>(
          "DELETE FROM responses WHERE created_ms <= ? RETURNING bytes",
        )
        .all(createdMs),
    );
  }

  /** @returns How many rows went: one, or none when the table is empty. */
  removeLeastUsed(): number {
    return this.#forget(
      this.#database
        .query<{ bytes: number }, []>(
          "DELETE FROM responses WHERE id = (SELECT id FROM responses ORDER BY used LIMIT 1) RETURNING bytes",
        )
        .all(),
    );
  }

  /** Text that was deleted stands in the write-ahead log until it is emptied. */
  emptyLog(): void {
    this.#database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  close(): void {
    this.#database.close();
  }

  #forget(rows: readonly { bytes: number }[]): number {
    const { tick, bytes, count } = this.#totals;
    const size = rows.reduce((sum, row) => sum + row.bytes, 0);
    this.#totals = { tick, bytes: bytes - size, count: count - rows.length };
    return rows.length;
  }
}

function readTotals(database: Database): Totals {
  const row = database
    .query<Totals, []>(
      "SELECT coalesce(max(used), 0) AS tick, coalesce(sum(bytes), 0) AS bytes, count(*) AS count FROM responses",
    )
    .get();
  return row ?? { tick: 0, bytes: 0, count: 0 };
}
