import type { CatalogModel } from "../catalog/model.ts";
import type { Clock } from "../lib/clock.ts";
import { refuseWhenFull, stillLoading } from "./load-refusals.ts";
import { waitFor } from "./wait.ts";

/** Requests that wait until an instance of their model has left, or stays after all. */
export class Departures {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #maxQueue: number;
  /** By the model's key. */
  readonly #waiting = new Map<string, number>();

  /** @param limitMs longest wait of a request. @param maxQueue as of the pool. */
  constructor(clock: Clock, limitMs: number, maxQueue: number) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#maxQueue = maxQueue;
  }

  /**
   * @param parallel jobs of the model that run at once.
   * @throws LmError queue_full at once, model_loading after the limit; `signal.reason` when aborted.
   */
  async wait(
    model: CatalogModel,
    parallel: number,
    departure: Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    refuseWhenFull(this.#waiting.get(model.key) ?? 0, parallel, this.#maxQueue);
    this.#count(model, 1);
    try {
      await waitFor(departure, signal, {
        clock: this.#clock,
        limitMs: this.#limitMs,
        onLimit: () => stillLoading(model),
      });
    } finally {
      this.#count(model, -1);
    }
  }

  #count({ key }: CatalogModel, change: 1 | -1): void {
    const waiting = (this.#waiting.get(key) ?? 0) + change;
    if (waiting === 0) this.#waiting.delete(key);
    else this.#waiting.set(key, waiting);
  }
}
