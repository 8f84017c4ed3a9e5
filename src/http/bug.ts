import { LmError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";

/**
 * Neither what a caller can be told nor the end of work that was told to end.
 * @param signal What tells it.
 */
export function isBug(error: unknown, signal: AbortSignal): boolean {
  if (error instanceof LmError) return false;
  return !signal.aborted || (error !== signal.reason && !isAbortError(error));
}

/** As the runtime's own functions throw it, and a controller that is given no reason. */
const isAbortError = (error: unknown): boolean =>
  error instanceof Error && error.name === "AbortError";

export function logBug(log: Log, requestId: string, error: unknown): void {
  const message = error instanceof Error ? error.message : "not an error";
  log.error("request failed", { requestId, code: "bug", error: message });
  if (error instanceof Error) log.debug("stack", { stack: error.stack });
}
