import type { Clock } from "./clock.ts";

/**
 * `promise`, given up when `signal` aborts (rejects with its reason) or after `limitMs` (rejects
 * with what `onLimit` returns). The promise itself goes on; no listener or timer is left behind.
 */
export async function waitFor<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  limit: { clock: Clock; limitMs: number; onLimit: () => Error } | null = null,
): Promise<T> {
  signal.throwIfAborted();
  const givenUp = Promise.withResolvers<never>();
  const onAbort = () => givenUp.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const cancelTimer =
    limit === null
      ? () => {}
      : limit.clock.after(limit.limitMs, () => givenUp.reject(limit.onLimit()));
  try {
    return await Promise.race([promise, givenUp.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    cancelTimer();
  }
}
