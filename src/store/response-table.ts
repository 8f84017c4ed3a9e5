import type { Database } from "bun:sqlite";

/** One answer as it is stored. */
export interface ResponseRow {
  id: string;
  owner: string;
  /** Id of the answer it continues. */
  previous: string | null;
  /** Milliseconds since the Unix epoch. */
  createdMs: number;
  body: string;
}

export interface NewRow extends ResponseRow {
  /** Size of `body` in UTF-8. */
  bytes: number;
}

/** Of some rows. */
export interface RowSums {
  count: number;
  /** Sum of the bodies' sizes. */
  bytes: number;
}

/** Of the whole table. */
interface Totals extends RowSums {
  /** Order of use: grows by one with each. */
  tick: number;
}

interface OpenedTable extends Totals {
  newestMs: number;
}

const CHAIN_SUMS = `
  WITH RECURSIVE chain AS (
    SELECT previous, bytes FROM responses WHERE id = ?
    UNION ALL
    SELECT earlier.previous, earlier.bytes
    FROM chain JOIN responses AS earlier ON earlier.id = chain.previous
    LIMIT ?
  )
  SELECT count(*) AS count, sum(bytes) AS bytes, sum(previous IS NULL) AS starts FROM chain
`;

/** The table of stored responses, and how much is in it. Owns its database. */
export class ResponseTable {
  /** When the newest row of those there were at first was created; 0 = there was none. */
  readonly newestMs: number;
  readonly #database: Database;
  #totals: Totals;

  constructor(database: Database) {
    this.#database = database;
    const { newestMs, ...totals } = readTable(database);
    this.newestMs = newestMs;
    this.#totals = totals;
  }

  get totals(): RowSums {
    return this.#totals;
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

  insert({ id, owner, previous, createdMs, bytes, body }: NewRow): void {
    const tick = this.#totals.tick + 1;
    this.#database
      .query(
        "INSERT INTO responses (id, owner, previous, created_ms, used, bytes, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
      )
      .run(id, owner, previous, createdMs, tick, bytes, body);
    const { bytes: sum, count } = this.#totals;
    this.#totals = { tick, bytes: sum + bytes, count: count + 1 };
  }

  /** @returns null when nobody, or somebody else, has it. */
  find(id: string, owner: string): ResponseRow | null {
    return this.#database
      .query<ResponseRow, [string, string]>(
        "SELECT id, owner, previous, created_ms AS createdMs, body FROM responses WHERE id = ? AND owner = ?",
      )
      .get(id, owner);
  }

  /**
   * Sums of a row and all that it continues.
   * @param most Rows that are followed.
   * @returns null when one of them is missing.
   */
  chainSums(id: string, most: number): RowSums | null {
    const row = this.#database
      .query<RowSums & { starts: number | null }, [string, number]>(CHAIN_SUMS)
      .get(id, most);
    return row?.starts === 1 ? row : null;
  }

  /** It becomes the most recently used. */
  use(id: string): void {
    const tick = this.#totals.tick + 1;
    this.#database.query("UPDATE responses SET used = ? WHERE id = ?").run(tick, id);
    this.#totals = { ...this.#totals, tick };
  }

  /**
   * Rows that were created by then and that no other continues, and those that none continues any more then.
   * @returns How many rows went: `most`, or all there were.
   */
  removeEndsUntil(createdMs: number, most: number): number {
    const remove = this.#database.query<{ bytes: number }, [number, number]>(
      "DELETE FROM responses WHERE id IN (SELECT id FROM responses WHERE continued = 0 AND created_ms <= ? LIMIT ?) RETURNING bytes",
    );
    let gone = 0;
    while (gone < most) {
      const count = this.#forget(remove.all(createdMs, most - gone));
      if (count === 0) break;
      gone += count;
    }
    return gone;
  }

  /**
   * Of the rows that no other continues, the least recently used goes.
   * @returns How many rows went: one, or none when the table is empty.
   */
  removeLeastUsedEnd(): number {
    return this.#forget(
      this.#database
        .query<{ bytes: number }, []>(
          "DELETE FROM responses WHERE id = (SELECT id FROM responses WHERE continued = 0 ORDER BY used LIMIT 1) RETURNING bytes",
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

function readTable(database: Database): OpenedTable {
  const row = database
    .query<OpenedTable, []>(
      "SELECT coalesce(max(used), 0) AS tick, coalesce(sum(bytes), 0) AS bytes, count(*) AS count, coalesce(max(created_ms), 0) AS newestMs FROM responses",
    )
    .get();
  return row ?? { tick: 0, bytes: 0, count: 0, newestMs: 0 };
}
