import type { Clock } from "../lib/clock.ts";

/** Whether the promise settles, either way, before the time is over. */
export async function settlesWithin(
  promise: Promise<unknown>,
  limitMs: number,
  clock: Pick<Clock, "after">,
): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const cancel = clock.after(limitMs, () => late.resolve(false));
  const settled = promise.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([settled, late.promise]);
  } finally {
    cancel();
  }
}
