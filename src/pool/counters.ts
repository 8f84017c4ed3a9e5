import type { EngineExitReason, PoolStatistics } from "./pool.ts";

/** What the parts of the pool count; read by `statistics()`. */
export class PoolCounters {
  engineStarts = 0;
  engineRestarts = 0;
  watchdogKills = 0;
  cancelStepsMax = 0;
  staleEvents = 0;
  mutedJobs = 0;
  prefixFailures = 0;
  readonly engineExits: Record<EngineExitReason, number> = {
    unloaded: 0,
    load_failed: 0,
    crashed: 0,
    watchdog: 0,
    shutdown: 0,
  };
  readonly cancelled = { queue: 0, prefill: 0, decode: 0 };

  snapshot(ipcInflightBytes: number): PoolStatistics {
    return {
      engineStarts: this.engineStarts,
      engineExits: { ...this.engineExits },
      engineRestarts: this.engineRestarts,
      watchdogKills: this.watchdogKills,
      cancelled: { ...this.cancelled },
      cancelStepsMax: this.cancelStepsMax,
      staleEvents: this.staleEvents,
      mutedJobs: this.mutedJobs,
      prefixFailures: this.prefixFailures,
      ipcInflightBytes,
    };
  }
}
