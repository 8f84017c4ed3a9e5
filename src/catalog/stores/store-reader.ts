import type { Clock } from "../../lib/clock.ts";
import { FolderWalker } from "../folder-walk.ts";
import type { ModelOrigin } from "../model.ts";
import { walkHuggingFace } from "./hugging-face.ts";
import { walkLlamaCpp } from "./llama-cpp.ts";
import { walkOllama } from "./ollama.ts";
import type { StoreWalk } from "./store-file.ts";

/** Age at which a foreign store is read again, beside the answer that is given. */
const FRESH_MS = 10_000;

const WALKS = {
  "hugging-face": walkHuggingFace,
  ollama: walkOllama,
  "llama.cpp": walkLlamaCpp,
} as const;

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
  readonly #walker = new FolderWalker();
  readonly #known = new Map<string, { walk: StoreWalk; readMs: number }>();
  readonly #reading = new Map<string, Promise<StoreWalk>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async walk({ path, source }: StorePlace): Promise<StoreWalk> {
    if (source === "models-dir" || source === "lm-studio")
      return { ...(await this.#walker.walk(path)), defaults: new Map() };
    const key = `${source}\0${path}`;
    const known = this.#known.get(key);
    if (known === undefined) return this.#read(key, WALKS[source], path);
    if (this.#clock.monotonicMs() - known.readMs >= FRESH_MS)
      void this.#read(key, WALKS[source], path);
    return known.walk;
  }

  /** The next walk reads every store. */
  forget(): void {
    this.#known.clear();
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
      .finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    return reading;
  }
}
