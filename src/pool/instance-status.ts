import type { EngineProcess } from "./engine-process.ts";
import type { InstanceStatus, LoadDefaults } from "./pool.ts";

type Facts = Pick<
  InstanceStatus,
  "identifier" | "model" | "state" | "jit" | "ttlMs" | "lastUsedMs"
> & { engine: EngineProcess | null; settings: LoadDefaults };

/** @param waiters Requests that wait for the model to be loaded. */
export function statusOf(
  instance: Facts,
  waiters: number,
): Omit<InstanceStatus, "starts" | "crashes"> {
  const { engine, identifier, model, state, settings, jit, ttlMs, lastUsedMs } = instance;
  return {
    identifier,
    model,
    state,
    info: engine?.info ?? null,
    loadedFraction: engine?.loadedFraction ?? 0,
    load: engine?.load ?? null,
    pid: engine?.pid ?? null,
    running: engine?.jobs.running ?? 0,
    activity: engine?.jobs.activity ?? "idle",
    queued: (engine?.jobs.queued ?? 0) + waiters,
    lastUsedMs,
    jit,
    ttlMs,
    parallel: settings.parallel,
    settings,
  };
}
