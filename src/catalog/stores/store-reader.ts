import type { Clock } from "../../lib/clock.ts";
import { turn } from "../disk-look.ts";
import { FolderWalker, type FolderWalk } from "../folder-walk.ts";
import type { ModelOrigin } from "../model.ts";
import { walkHuggingFace } from "./hugging-face.ts";
import { walkLlamaCpp } from "./llama-cpp.ts";
import { walkOllama } from "./ollama.ts";
import type { StoreWalk } from "./store-file.ts";

/** Age at which files are looked at again, and foreign stores read, beside the answer given. */
const FRESH_MS = 10_000;

const WALKS = {
  "hugging-face": walkHuggingFace,
  ollama: walkOllama,
  "llama.cpp": walkLlamaCpp,
} as const;

/** How closely: the folders alone, or every file in them. */
export type LookDepth = "folders" | "files";

export interface StorePlace {
  path: string;
  source: Exclude<ModelOrigin, "demo">;
}

/**
 * Lists the model files of folders by the rules of the program they belong to. Only reads. Our own
 * folders are looked at each time, with the listings of unchanged ones remembered. Stores of others
 * take hundreds of small reads and change seldom: nobody waits for them but the first who asks.
 */
export class StoreReader {
  readonly #clock: Clock;
  readonly #walker: FolderWalker;
  /** When the files of our own folders were looked at. */
  readonly #lookedMs = new Map<string, number>();
  /** `readMs`: null = to be read again before it is given out. */
  readonly #known = new Map<string, { walk: StoreWalk; readMs: number | null }>();
  readonly #reading = new Map<string, Promise<StoreWalk>>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#walker = new FolderWalker(clock);
  }

  async walk({ path, source }: StorePlace, depth: LookDepth = "files"): Promise<StoreWalk> {
    if (source === "models-dir" || source === "lm-studio") return this.#walkOwn(path, depth);
    const key = `${source}\0${path}`;
    const known = this.#known.get(key);
    if (known === undefined || known.readMs === null) return this.#read(key, WALKS[source], path);
    if (this.#clock.monotonicMs() - known.readMs >= FRESH_MS)
      void this.#read(key, WALKS[source], path);
    return known.walk;
  }

  /** The next walk reads every store. */
  forget(): void {
    for (const known of this.#known.values()) known.readMs = null;
    this.#lookedMs.clear();
  }

  /**
   * New, renamed and removed files show in their folders. What was written over in its place shows in
   * a look at the files, which also follows a look at folders when the last one is a while ago.
   */
  async #walkOwn(path: string, depth: LookDepth): Promise<StoreWalk> {
    const nowMs = this.#clock.monotonicMs();
    const lookedMs = this.#lookedMs.get(path) ?? -Infinity;
    const isOld = nowMs - lookedMs >= FRESH_MS;
    if (isOld || depth === "files") this.#lookedMs.set(path, nowMs);
    const walk = await this.#walker.walk(path, depth === "folders" && lookedMs > -Infinity);
    // Not before whoever asks has the answer: a thousand files are milliseconds without a pause.
    if (isOld && depth === "folders") void turn().then(() => this.#walker.walk(path));
    return asStore(walk);
  }

  #read(
    key: string,
    walkStore: (path: string) => Promise<StoreWalk>,
    path: string,
  ): Promise<StoreWalk> {
    const running = this.#reading.get(key);
    if (running !== undefined) return running;
    const readMs = this.#clock.monotonicMs();
    const reading = walkStore(path)
      .then((walk) => {
        this.#known.set(key, { walk, readMs });
        return walk;
      })
      .catch((error: unknown) => {
        // The store is there; what it holds cannot be seen at the moment.
        const known = this.#known.get(key)?.walk;
        if (known === undefined) throw error;
        return known;
      })
      .finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    return reading;
  }
}

const STORES = new WeakMap<FolderWalk, StoreWalk>();

/** The same for the same walk: an unchanged one is known by itself. */
function asStore(walk: FolderWalk): StoreWalk {
  const known = STORES.get(walk);
  if (known !== undefined) return known;
  const store = { ...walk, defaults: new Map() };
  STORES.set(walk, store);
  return store;
}
