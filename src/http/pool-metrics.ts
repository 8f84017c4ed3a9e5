import type { PoolStatistics } from "../pool/pool.ts";
import type { Counter, Registry } from "./metrics.ts";

/** What the pool counted since the start, as metrics. */
export class PoolMetrics {
  readonly #starts: Counter;
  readonly #exits: Counter;
  readonly #restarts: Counter;
  readonly #kills: Counter;
  readonly #cancelled: Counter;
  readonly #stale: Counter;
  readonly #muted: Counter;
  readonly #prefixFailures: Counter;
  readonly #cancelSteps: Counter;
  readonly #inflight: Counter;

  constructor(registry: Registry) {
    const total = (name: string, help: string): Counter =>
      registry.counter(`lmserver_${name}_total`, help);
    this.#starts = total("engine_starts", "Engine processes started.");
    this.#exits = total("engine_exits", "Engine processes that ended, by reason.");
    this.#restarts = total("engine_restarts", "Engine starts that followed a crash.");
    this.#kills = total("watchdog_kills", "Engines ended because they made no progress.");
    this.#cancelled = total("cancel", "Cancelled jobs, by the stage they had reached.");
    this.#stale = total("stale_events", "Engine events of jobs that had ended already.");
    this.#muted = total("muted_jobs", "Jobs ended because their engine fell silent about them.");
    this.#prefixFailures = total(
      "prefix_cache_disk_failures",
      "Times that computed prompts could not be kept on disk.",
    );
    this.#cancelSteps = registry.gauge(
      "lmserver_cancel_steps_max",
      "Most steps that an engine went on between a cancel and its effect; more than one where steps are shorter than a message's way.",
    );
    this.#inflight = registry.gauge(
      "lmserver_ipc_inflight_bytes",
      "Bytes of commands that engines have not read yet.",
    );
  }

  read(counts: PoolStatistics): void {
    this.#starts.set(counts.engineStarts);
    this.#restarts.set(counts.engineRestarts);
    this.#kills.set(counts.watchdogKills);
    this.#stale.set(counts.staleEvents);
    this.#muted.set(counts.mutedJobs);
    this.#prefixFailures.set(counts.prefixFailures);
    this.#cancelSteps.set(counts.cancelStepsMax);
    this.#inflight.set(counts.ipcInflightBytes);
    for (const [reason, count] of Object.entries(counts.engineExits)) {
      this.#exits.set(count, { reason });
    }
    for (const [stage, count] of Object.entries(counts.cancelled)) {
      this.#cancelled.set(count, { stage });
    }
  }
}
