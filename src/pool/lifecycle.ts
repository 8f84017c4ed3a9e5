import type { DownloadSnapshot } from "../catalog/download/downloads.ts";
import type { InstanceState } from "./pool.ts";

/** Where a model is, in one word; drawn in docs/ARCHITECTURE.md. */
export type Lifecycle =
  "absent" | "downloading" | "on-disk" | "loading" | "loaded" | "draining" | "unloading" | "failed";

export interface LifecycleFacts {
  isOnDisk: boolean;
  /** Of the jobs that bring it. */
  downloads: readonly DownloadSnapshot["state"][];
  instances: readonly { state: InstanceState }[];
  /** It may not be loaded for now, after a failed load or crashes. */
  isCoolingDown: boolean;
}

/** The best of what its instances are; several of them may be in memory. */
const ORDER = ["loaded", "loading", "draining", "unloading"] as const;

export function lifecycleOf(facts: LifecycleFacts): Lifecycle {
  const states = facts.instances.map(instanceLifecycle);
  const inMemory = ORDER.find((state) => states.includes(state));
  if (inMemory !== undefined) return inMemory;
  // What crashed and may be started again at once is where it was before.
  if (facts.isOnDisk) return facts.isCoolingDown ? "failed" : "on-disk";
  const isComing = facts.downloads.some((state) => state !== "completed" && state !== "failed");
  return isComing ? "downloading" : "absent";
}

/** Where one instance is; failed = it is known, and not in memory. */
export function instanceLifecycle({
  state,
}: {
  state: InstanceState;
}): Exclude<Lifecycle, "absent" | "downloading" | "on-disk"> {
  return BY_STATE[state];
}

const BY_STATE = {
  starting: "loading",
  loading: "loading",
  ready: "loaded",
  draining: "draining",
  stopping: "unloading",
  failed: "failed",
  crashed: "failed",
} as const satisfies Record<InstanceState, Lifecycle>;
