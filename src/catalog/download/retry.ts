import type { Clock } from "../../lib/clock.ts";
import { TransientFailure } from "./transfer-failure.ts";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;

/** Waits; the returned promise rejects with the signal's reason when it aborts. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

export interface Patience {
  sleep: Sleep;
  /** From 0 to below 1. */
  random: () => number;
  /** Tries in a row without a single byte, before giving up. */
  maxAttempts: number;
  /** A server that asks for a longer wait is given up. */
  longestWaitMs: number;
}

export function sleepOn(clock: Clock): Sleep {
  return (ms, signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const cancel = clock.after(ms, resolve);
    const onAbort = (): void => {
      cancel();
      reject(signal.reason);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    return promise.finally(() => signal.removeEventListener("abort", onAbort));
  };
}

/** Doubling, and spread over the upper half, so that clients of one hub do not come back together. */
export function backoffMs(attempt: number, random: number): number {
  const full = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt - 1, 10));
  return full / 2 + (random * full) / 2;
}

/** Waits before try number `attempt` + 1. @throws the failure when patience has ended. */
export async function waitAfter(
  failure: TransientFailure,
  attempt: number,
  { sleep, random, maxAttempts, longestWaitMs }: Patience,
  signal: AbortSignal,
): Promise<void> {
  const asked = failure.retryAfterMs;
  if (attempt >= maxAttempts || (asked ?? 0) > longestWaitMs) throw failure;
  // A little later than asked, for the same reason as above.
  const waitMs = asked === null ? backoffMs(attempt, random()) : asked + random() * FIRST_WAIT_MS;
  await sleep(waitMs, signal);
}

/** `work`, tried again while it fails in passing. */
export async function withRetries<T>(
  work: () => Promise<T>,
  patience: Patience,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof TransientFailure)) throw error;
      await waitAfter(error, attempt, patience, signal);
    }
  }
}

/** `Retry-After` in seconds or as a date; null when absent or senseless. */
export function retryAfterMs(headers: Headers, nowMs: number): number | null {
  const text = headers.get("retry-after")?.trim() ?? "";
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const dateMs = text === "" ? Number.NaN : Date.parse(text);
  return Number.isNaN(dateMs) ? null : Math.max(0, dateMs - nowMs);
}
