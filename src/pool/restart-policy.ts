import type { CatalogModel } from "../catalog/model.ts";
import type { Clock } from "../lib/clock.ts";
import { LmError } from "../lib/errors.ts";
import { loadRefusal } from "./engine-end.ts";
import type { Cooldown, LoadDefaults } from "./pool.ts";

const CRASH_WINDOW_MS = 60_000;
const CRASH_LIMIT = 2;
const REFUSE_AFTER_CRASHES_MS = 30_000;
const FIRST_COOLDOWN_MS = 5_000;
const LONGEST_COOLDOWN_MS = 60_000;

interface FileRecord {
  crashes: number[];
  refusedUntilMs: number;
  cause: string;
  /** What became of loads with the same settings, the latest last. */
  loads: Map<string, FailedLoad>;
}

interface LoadFailure {
  reason: string;
  /** Field of the request that asked for what cannot be loaded; absent = none did. */
  param?: string;
}

interface FailedLoad extends LoadFailure {
  times: number;
  retryAtMs: number;
}

/** Settings remembered per model. */
const MAX_FAILED_LOADS = 16;

/**
 * When a model file may be loaded again. Two crashes within a minute stop it for 30 s; a failed
 * load is not repeated with the same settings for 5 s, then 10, 20, 40, 60 s. A file that changed on
 * disk starts afresh.
 */
export class RestartPolicy {
  readonly #clock: Clock;
  readonly #records = new Map<string, { file: string; record: FileRecord }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What keeps the file from being loaded with these settings now. */
  cooldown(model: CatalogModel, settings: LoadDefaults): Cooldown | null {
    const record = this.#known(model);
    if (record === null) return null;
    const { cause, refusedUntilMs, loads } = record;
    const failed = loads.get(keyOf(settings));
    const nowMs = this.#clock.monotonicMs();
    const until = Math.max(refusedUntilMs, failed?.retryAtMs ?? -Infinity);
    if (nowMs >= until) return null;
    const reason = nowMs < refusedUntilMs ? cause : (failed?.reason ?? "");
    return { reason, retryAfterMs: Math.ceil(until - nowMs) };
  }

  /** @throws LmError engine_unstable, model_load_failed or invalid_request while the file may not be loaded. */
  check(model: CatalogModel, settings: LoadDefaults): void {
    const record = this.#known(model);
    if (record === null) return;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < record.refusedUntilMs) {
      const retryAfterMs = Math.ceil(record.refusedUntilMs - nowMs);
      throw new LmError(
        "engine_unstable",
        { model: model.key, retryAfterMs, cause: record.cause },
        `The engine of "${model.key}" crashed twice within a minute. It is started again in ${Math.ceil(retryAfterMs / 1_000)} s. Last cause: ${record.cause}.`,
      );
    }
    const failed = record.loads.get(keyOf(settings));
    if (failed !== undefined && nowMs < failed.retryAtMs) {
      throw loadRefusal(model.key, failed.reason, failed.param);
    }
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

  loadFailed(model: CatalogModel, settings: LoadDefaults, failure: LoadFailure): void {
    const { loads } = this.#record(model);
    const key = keyOf(settings);
    const times = loads.get(key)?.times ?? 0;
    const cooldownMs = Math.min(LONGEST_COOLDOWN_MS, FIRST_COOLDOWN_MS * 2 ** times);
    loads.delete(key);
    const retryAtMs = this.#clock.monotonicMs() + cooldownMs;
    loads.set(key, { ...failure, times: times + 1, retryAtMs });
    const [oldest] = loads.keys();
    if (loads.size > MAX_FAILED_LOADS && oldest !== undefined) loads.delete(oldest);
  }

  loaded(model: CatalogModel, settings: LoadDefaults): void {
    this.#known(model)?.loads.delete(keyOf(settings));
  }

  /** null = nothing has happened to this file yet. */
  #known(model: CatalogModel): FileRecord | null {
    const known = this.#records.get(model.key);
    return known?.file === fileOf(model) ? known.record : null;
  }

  /** Made for the file when there is none. */
  #record(model: CatalogModel): FileRecord {
    const known = this.#known(model);
    if (known !== null) return known;
    const record: FileRecord = {
      crashes: [],
      refusedUntilMs: -Infinity,
      cause: "",
      loads: new Map(),
    };
    this.#records.set(model.key, { file: fileOf(model), record });
    return record;
  }
}

const fileOf = ({ path, sizeBytes, modifiedMs }: CatalogModel): string =>
  `${path}\n${sizeBytes}\n${modifiedMs}`;
const keyOf = (settings: LoadDefaults): string => JSON.stringify(settings);
