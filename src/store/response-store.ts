import type { Clock } from "../lib/clock.ts";
import { LmError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { CertainTime } from "./certain-time.ts";
import { isDamage, isLocked, openTable, replaceTable } from "./open-table.ts";
import type { ResponseTable } from "./response-table.ts";

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
  /** An answer can be named for so long after it was given. It goes then, but after those that continue it. */
  ttlMs: number;
  maxCount: number;
  /** Sum of the bodies' sizes. */
  maxBytes: number;
}

export interface StoreOptions {
  /** Absolute path of the database; null = memory only. */
  path: string | null;
  limits: StoreLimits;
  clock: Clock;
  log: Log;
}

/** Longest chain that is followed; a longer one does not fit any context. */
const MAX_CHAIN = 10_000;
/** The store is tidied so often, or as often as answers expire if that is more often. */
const TIDY_MS = 3_600_000;
/** Answers that go for their age at a time; the others go soon after. */
const EXPIRED_AT_ONCE = 100;
const SOON_MS = 100;

/**
 * Answers that later requests may continue, in one SQLite file of mode 0600. Bounded in age, number
 * and bytes: the end of the chat that was used longest ago goes first, so that every answer is there as
 * long as one that continues it. Deleted text is overwritten. A damaged file is moved aside and a new one
 * begun. Where nothing can be written, as on a full disk, what is stored can still be continued, and each
 * save tries again.
 */
export class ResponseStore {
  readonly #options: StoreOptions;
  readonly #tidyMs: number;
  readonly #time: CertainTime;
  #table: ResponseTable;
  #notSaved = 0;
  /** Whether the last answer was saved. */
  #isSaving = true;
  #cancelTidy: () => void = () => undefined;

  /** @throws LmError invalid_file when a newer version wrote the file, or it cannot be opened. */
  constructor(options: StoreOptions) {
    this.#options = options;
    this.#table = openTable(options);
    this.#tidyMs = Math.min(options.limits.ttlMs, TIDY_MS);
    this.#time = new CertainTime(options.clock, this.#table.newestMs, this.#tidyMs / 2);
    this.#attempt(() => this.#table.atomically(() => this.#evict()));
    this.#tidy();
  }

  /** How many answers could not be saved since the start. */
  get notSaved(): number {
    return this.#notSaved;
  }

  /** @returns false when it could not be stored, so that nobody can continue it. */
  save(response: StoredResponse): boolean {
    const problem = this.#trySave(response);
    if (problem === null) {
      this.#isSaving = true;
      return true;
    }
    this.#notSaved += 1;
    if (this.#isSaving) {
      this.#options.log.warn("answers cannot be stored: chats go on, but not from them", {
        reason: problem,
      });
    }
    this.#isSaving = false;
    return false;
  }

  /**
   * The answer and all that it continues, oldest first.
   * @returns null when it is too old, or one of them is unknown or somebody else's.
   * @throws LmError overloaded while another program has the file.
   */
  chain(id: string, owner: string): StoredResponse[] | null {
    const oldestMs = this.#options.clock.now() - this.#options.limits.ttlMs;
    const found = this.#guard(() => this.#follow(id, owner, oldestMs), null);
    if (found !== null) {
      this.#attempt(() => this.#table.use(id));
    }
    return found;
  }

  close(): void {
    this.#cancelTidy();
    this.#attempt(() => this.#table.emptyLog());
    this.#table.close();
  }

  /** @returns Why it was not saved; null = it was. */
  #trySave({ id, owner, previousId, body }: StoredResponse): string | null {
    try {
      const text = JSON.stringify(body);
      const bytes = Buffer.byteLength(text);
      return this.#guard(() => {
        const refusal = this.#refusalOf(previousId, bytes);
        if (refusal !== null) return refusal;
        const createdMs = this.#options.clock.now();
        this.#table.atomically(() => {
          this.#table.insert({ id, owner, previous: previousId, createdMs, bytes, body: text });
          this.#evict();
        });
        return null;
      }, "the file was damaged");
    } catch (error) {
      return reasonOf(error);
    }
  }

  /** Why an answer of so many bytes could not be continued though it were stored; null = it could. */
  #refusalOf(previousId: string | null, bytes: number): string | null {
    const { maxCount, maxBytes } = this.#options.limits;
    const none = { count: 0, bytes: 0 };
    const earlier = previousId === null ? none : this.#table.chainSums(previousId, MAX_CHAIN);
    if (earlier === null) return "what it continues is not stored any more";
    const isTooLong = earlier.count + 1 > Math.min(maxCount, MAX_CHAIN);
    if (!isTooLong && earlier.bytes + bytes <= maxBytes) return null;
    return "its chat is larger than all that may be stored";
  }

  #follow(id: string, owner: string, oldestMs: number): StoredResponse[] | null {
    const found: StoredResponse[] = [];
    let next: string | null = id;
    while (next !== null) {
      const row = this.#table.find(next, owner);
      if (row === null || found.length === MAX_CHAIN) return null;
      if (found.length === 0 && row.createdMs <= oldestMs) return null;
      const body: unknown = JSON.parse(row.body);
      found.push({ id: row.id, owner, previousId: row.previous, body });
      next = row.previous;
    }
    return found.toReversed();
  }

  #evict(): void {
    let gone = 1;
    while (gone > 0 && this.#isOver()) gone = this.#table.removeLeastUsedEnd();
  }

  #isOver(): boolean {
    const { maxCount, maxBytes } = this.#options.limits;
    const { count, bytes } = this.#table.totals;
    return count > maxCount || bytes > maxBytes;
  }

  /** Deletes what is too old, and what was deleted since from the log; comes again by itself. */
  #tidy(): void {
    const { clock, limits } = this.#options;
    let expired = 0;
    this.#attempt(() => {
      this.#table.atomically(() => {
        const untilMs = this.#time.read() - limits.ttlMs;
        expired = this.#table.removeEndsUntil(untilMs, EXPIRED_AT_ONCE);
      });
      this.#table.emptyLog();
    });
    const pauseMs = expired < EXPIRED_AT_ONCE ? this.#tidyMs : SOON_MS;
    this.#cancelTidy = clock.after(pauseMs, () => this.#tidy());
  }

  /** Upkeep that no answer depends on: where it fails, a later one does it. */
  #attempt(work: () => void): void {
    try {
      this.#guard(work, undefined);
    } catch (error) {
      this.#options.log.debug("the stored responses cannot be written", {
        reason: reasonOf(error),
      });
    }
  }

  /**
   * Runs `work`; on a damaged file begins a new one and answers `otherwise`.
   * @throws LmError overloaded while another program has the file.
   */
  #guard<T>(work: () => T, otherwise: T): T {
    try {
      return work();
    } catch (error) {
      if (isLocked(error)) throw locked(error);
      const { path } = this.#options;
      if (!isDamage(error) || path === null) throw error;
      this.#table.close();
      this.#table = replaceTable(this.#options, path);
      return otherwise;
    }
  }
}

function locked(cause: unknown): LmError<"overloaded"> {
  const message = "Another program has locked the stored responses. Please try again.";
  return new LmError("overloaded", { retryAfterMs: 1_000 }, message, { cause });
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : "unknown");
