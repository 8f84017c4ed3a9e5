import type { CatalogModel } from "../catalog/model.ts";
import type { Deadline } from "./deadline.ts";
import { refuseWhenFull, stillLeaving } from "./load-refusals.ts";

/** Requests that wait until an instance of their model has left, or stays after all. */
export class Departures {
  readonly #maxQueue: number;
  /** By the model's key. */
  readonly #waiting = new Map<string, number>();

  /** @param maxQueue as of the pool. */
  constructor(maxQueue: number) {
    this.#maxQueue = maxQueue;
  }

  /**
   * @param parallel jobs of the model that run at once.
   * @throws LmError queue_full at once, model_loading at the deadline; `signal.reason` when aborted.
   */
  async wait(
    model: CatalogModel,
    parallel: number,
    departure: Promise<unknown>,
    deadline: Deadline,
  ): Promise<void> {
    refuseWhenFull(this.#waiting.get(model.key) ?? 0, parallel, this.#maxQueue);
    this.#count(model, 1);
    try {
      await deadline.wait(departure, () => stillLeaving(model));
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
