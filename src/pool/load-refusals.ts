import type { CatalogModel } from "../catalog/model.ts";
import { LmError } from "../lib/errors.ts";
import { queueFull } from "./engine-jobs.ts";

/** Who waited for a load as long as one may is told to come back after this long. */
const COME_BACK_MS = 10_000;
/** How long a load goes on although nobody waits for it: who was told may come back. */
export const UNWANTED_LOAD_MS = 3 * COME_BACK_MS;
/** After which a queue that was full may have room. */
const QUEUE_RETRY_MS = 5_000;

/** The refusal of a request that waited for its model to load as long as one may. */
export const stillLoading = (model: CatalogModel): LmError => notReady(model, "loading");

/** The same, of one that waited for it to leave. */
export const stillLeaving = (model: CatalogModel): LmError => notReady(model, "being unloaded");

function notReady({ key }: CatalogModel, why: string): LmError {
  const details = { model: key, retryAfterMs: COME_BACK_MS };
  return new LmError("model_loading", details, `Model "${key}" is still ${why}.`);
}

/**
 * @param waiting requests that wait for one model before it is loaded: as many as will run at once,
 * and the queue. @throws LmError queue_full when one more is too many.
 */
export function refuseWhenFull(waiting: number, parallel: number, maxQueue: number): void {
  if (waiting >= parallel + maxQueue) throw queueFull(waiting, maxQueue, QUEUE_RETRY_MS);
}
