import type { CatalogModel } from "../catalog/model.ts";
import { LmError } from "../lib/errors.ts";
import { queueFull } from "./engine-jobs.ts";

/** Who waited for a load as long as one may is told to come back after this long. */
const COME_BACK_MS = 10_000;
/** How long a load waits for memory although nobody waits for it: who was told may come back. */
export const UNWANTED_LOAD_MS = 3 * COME_BACK_MS;
/** After which a queue that was full may have room. */
const QUEUE_RETRY_MS = 5_000;

/** The refusal of a request that waited for its model as long as one may. */
export function stillLoading(model: CatalogModel): LmError {
  return new LmError(
    "model_loading",
    { model: model.key, retryAfterMs: COME_BACK_MS },
    `Model "${model.key}" is still loading.`,
  );
}

/**
 * @param waiting requests that wait for one model before it is loaded: as many as will run at once,
 * and the queue. @throws LmError queue_full when one more is too many.
 */
export function refuseWhenFull(waiting: number, parallel: number, maxQueue: number): void {
  if (waiting >= parallel + maxQueue) throw queueFull(waiting, maxQueue, QUEUE_RETRY_MS);
}
