import { join } from "node:path";
import type { ServeConfig } from "../config/config.ts";
import { REQUEST_SETTINGS } from "../config/request-settings.ts";
import { systemClock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { ResponseStore } from "../store/response-store.ts";

export type ResponseSettings = Pick<
  ServeConfig,
  "responsesStore" | "responsesTtlSeconds" | "responsesMax" | "responsesSizeBytes"
>;

const { responsesTtlSeconds, responsesMax, responsesSizeBytes } = REQUEST_SETTINGS;

/**
 * The store of answers that may be continued; null = none is kept. A limit of 0 keeps answers in memory
 * only, where its default holds.
 * @throws LmError invalid_file when a newer version wrote the file, or it cannot be opened.
 */
export function openResponses(
  config: ResponseSettings,
  stateDir: string,
  log: Log,
): ResponseStore | null {
  if (config.responsesStore === "off") return null;
  const limits = [config.responsesTtlSeconds, config.responsesMax, config.responsesSizeBytes];
  const isOnDisk = config.responsesStore === "disk" && !limits.includes(0);
  return new ResponseStore({
    path: isOnDisk ? join(stateDir, "responses.sqlite") : null,
    limits: {
      ttlMs: (config.responsesTtlSeconds || responsesTtlSeconds.fallback) * 1_000,
      maxCount: config.responsesMax || responsesMax.fallback,
      maxBytes: config.responsesSizeBytes || responsesSizeBytes.fallback,
    },
    clock: systemClock,
    log,
  });
}
