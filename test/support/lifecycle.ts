import type { Lifecycle } from "../../src/pool/lifecycle.ts";

/** What can follow what. A model that goes a step between two looks is seen two steps on. */
export const LIFECYCLE: Readonly<Record<Lifecycle, readonly Lifecycle[]>> = {
  absent: ["downloading", "on-disk"],
  downloading: ["on-disk", "absent"],
  "on-disk": ["loading", "absent"],
  loading: ["loaded", "failed", "draining", "unloading", "on-disk"],
  // A crash leads back to the disk, or to a new start of what was loaded on purpose.
  loaded: ["draining", "unloading", "on-disk", "failed"],
  // Who was to have its place may do without: then it stays.
  draining: ["unloading", "on-disk", "failed", "loading", "loaded"],
  unloading: ["on-disk"],
  // The cool-down ends, or a changed file is tried at once.
  failed: ["on-disk", "loading", "absent"],
};
