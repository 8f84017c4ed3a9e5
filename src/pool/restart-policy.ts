import type { CatalogModel } from "../catalog/model.ts";
import type { Clock } from "../lib/clock.ts";
import { LmError } from "../lib/errors.ts";
import { loadFailure } from "./engine-end.ts";
import type { Cooldown } from "./pool.ts";

const CRASH_WINDOW_MS = 60_000;
const CRASH_LIMIT = 2;
const REFUSE_AFTER_CRASHES_MS = 30_000;
const FIRST_COOLDOWN_MS = 5_000;
const LONGEST_COOLDOWN_MS = 60_000;

interface FileRecord {
  crashes: number[];
  refusedUntilMs: number;
  cause: string;
  failedLoads: number;
  retryAtMs: number;
  reason: string;
}

/**
 * When a model file may be loaded again. Two crashes within a minute stop it for 30 s; a failed
 * load is not repeated for 5 s, then 10, 20, 40, 60 s. A file that changed on disk starts afresh.
 */
export class RestartPolicy {
  readonly #clock: Clock;
  readonly #records = new Map<string, { file: string; record: FileRecord }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What keeps the file from being loaded now. */
  cooldown(model: CatalogModel): Cooldown | null {
    const { cause, refusedUntilMs, reason, retryAtMs } = this.#record(model);
    const nowMs = this.#clock.monotonicMs();
    const until = Math.max(refusedUntilMs, retryAtMs);
    if (nowMs >= until) return null;
    const retryAfterMs = Math.ceil(until - nowMs);
    return { reason: nowMs < refusedUntilMs ? cause : reason, retryAfterMs };
  }

  /** @throws LmError engine_unstable or model_load_failed while the file may not be loaded. */
  check(model: CatalogModel): void {
    const record = this.#record(model);
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < record.refusedUntilMs) {
      const retryAfterMs = Math.ceil(record.refusedUntilMs - nowMs);
      throw new LmError(
        "engine_unstable",
        { model: model.key, retryAfterMs, cause: record.cause },
        `The engine of "${model.key}" crashed twice within a minute. It is started again in ${Math.ceil(retryAfterMs / 1_000)} s. Last cause: ${record.cause}.`,
      );
    }
    if (nowMs < record.retryAtMs) throw loadFailure(model.key, record.reason);
  }

  /** @param cause of the crash, in words. */
  crashed(model: CatalogModel, cause: string): void {
    const record = this.#record(model);
    const nowMs = this.#clock.monotonicMs();
    record.cause = cause;
    record.crashes = [...record.crashes.filter((ms) => nowMs - ms < CRASH_WINDOW_MS), nowMs];
    if (record.crashes.length >= CRASH_LIMIT) {
      record.refusedUntilMs = nowMs + REFUSE_AFTER_CRASHES_MS;
    }
  }

  loadFailed(model: CatalogModel, reason: string): void {
    const record = this.#record(model);
    const cooldownMs = Math.min(LONGEST_COOLDOWN_MS, FIRST_COOLDOWN_MS * 2 ** record.failedLoads);
    record.failedLoads += 1;
    record.retryAtMs = this.#clock.monotonicMs() + cooldownMs;
    record.reason = reason;
  }

  loaded(model: CatalogModel): void {
    const record = this.#record(model);
    record.failedLoads = 0;
    record.retryAtMs = -Infinity;
  }

  #record(model: CatalogModel): FileRecord {
    const file = `${model.path}\n${model.sizeBytes}\n${model.modifiedMs}`;
    const known = this.#records.get(model.key);
    if (known?.file === file) return known.record;
    const record: FileRecord = {
      crashes: [],
      refusedUntilMs: -Infinity,
      cause: "",
      failedLoads: 0,
      retryAtMs: -Infinity,
      reason: "",
    };
    this.#records.set(model.key, { file, record });
    return record;
  }
}
