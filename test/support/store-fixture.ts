import { Database } from "bun:sqlite";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../src/lib/log.ts";
import { ResponseStore, type StoreLimits } from "../../src/store/response-store.ts";
import { ManualClock } from "./manual-clock.ts";
import { tempFolder } from "./temp-folder.ts";

const LIMITS: StoreLimits = { ttlMs: 1_000, maxCount: 10, maxBytes: 10_000 };

/** Stores over one file in a folder of their own, in time that moves by hand. */
export class StoreFixture implements Disposable {
  readonly #folder = tempFolder();
  readonly folder = this.#folder.path;
  readonly path = join(this.folder, "responses.sqlite");
  readonly clock = new ManualClock();
  /** How far the machine's clock is set forward, or back. */
  wrongByMs = 0;
  /** Reasons of the warnings that were logged. */
  readonly warnings: unknown[] = [];
  readonly #log: Log = {
    debug() {},
    info() {},
    warn: (_message, fields) => void this.warnings.push(fields?.["reason"]),
    error() {},
  };
  #stores: ResponseStore[] = [];

  open(limits: Partial<StoreLimits> = {}, path: string | null = this.path): ResponseStore {
    const store = new ResponseStore({
      path,
      limits: { ...LIMITS, ...limits },
      clock: {
        now: () => this.clock.now() + this.wrongByMs,
        monotonicMs: () => this.clock.monotonicMs(),
        after: (delayMs, callback) => this.clock.after(delayMs, callback),
      },
      log: this.#log,
    });
    this.#stores.push(store);
    return store;
  }

  close(store: ResponseStore): void {
    this.#stores = this.#stores.filter((other) => other !== store);
    store.close();
  }

  /** The file as another program has it open; `using` closes it. */
  elsewhere(): Database {
    return new Database(this.path);
  }

  /** Names of the files in the folder in which a text stands. */
  filesWith(text: string): string[] {
    const names = readdirSync(this.folder);
    return names.filter((name) => readFileSync(join(this.folder, name)).includes(text));
  }

  [Symbol.dispose](): void {
    for (const store of this.#stores) store.close();
    this.#folder[Symbol.dispose]();
  }
}

/** Saves an answer that says its own id. */
export const save = (
  store: ResponseStore,
  id: string,
  previousId: string | null = null,
  owner = "a",
) => store.save({ id, owner, previousId, body: { says: id } });

/** The ids of a chain, oldest first; null = there is none. */
export const ids = (store: ResponseStore, id: string, owner = "a"): string[] | null =>
  store.chain(id, owner)?.map((response) => response.id) ?? null;
