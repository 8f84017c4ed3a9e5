import type { Log } from "../lib/log.ts";
import type { EngineTrouble } from "../protocol/events.ts";
import type { PoolCounters } from "./counters.ts";

/** An engine that is out of its mind may invent causes. */
const MOST_CAUSES = 16;

/** What an engine finds amiss without ending: counted each time, logged once per cause. */
export class TroubleLog {
  readonly #model: string;
  readonly #log: Log;
  readonly #counters: PoolCounters;
  readonly #causes = new Set<string>();

  constructor(model: string, log: Log, counters: PoolCounters) {
    this.#model = model;
    this.#log = log;
    this.#counters = counters;
  }

  add({ cause, reason }: EngineTrouble): void {
    this.#counters.prefixFailures += 1;
    if (this.#causes.has(cause) || this.#causes.size === MOST_CAUSES) return;
    this.#causes.add(cause);
    const model = this.#model;
    this.#log.warn("computed prompts are not kept on disk", { model, cause, reason });
  }
}
