import { Type, type Static } from "typebox";
import type { DownloadSnapshot } from "../../catalog/download/downloads.ts";
import { LmError } from "../../lib/errors.ts";
import type { Deps } from "../deps.ts";
import { oneOf } from "../schema.ts";

export const JobState = oneOf(["downloading", "paused", "completed", "failed"], "Of the job.");
export const times = { started_at: Type.String(), completed_at: Type.Optional(Type.String()) };

export const DownloadStatus = Type.Object({
  job_id: Type.String(),
  status: JobState,
  bytes_per_second: Type.Optional(Type.Number()),
  estimated_completion: Type.Optional(Type.String()),
  total_size_bytes: Type.Integer(),
  downloaded_bytes: Type.Integer(),
  ...times,
  error: Type.Optional(Type.Object({ type: Type.String(), message: Type.String() })),
});
export type DownloadStatus = Static<typeof DownloadStatus>;

/**
 * Callers that were handed a job of somebody else, because they asked for the same files. Whoever
 * is not here and did not start the job does not see it.
 */
export class Told {
  readonly #pairs = new Set<string>();

  add(jobId: string, caller: string): void {
    this.#pairs.add(`${jobId} ${caller}`);
  }

  has(job: DownloadSnapshot, caller: string): boolean {
    return (job.owner ?? "") === caller || this.#pairs.has(`${job.id} ${caller}`);
  }
}

/** @throws LmError not_implemented when this server fetches nothing. */
export function downloadsOf({ downloads }: Deps): NonNullable<Deps["downloads"]> {
  if (downloads !== null) return downloads;
  throw new LmError("not_implemented", { feature: "downloads" }, "Downloads are not available.");
}

export function toStatus(job: DownloadSnapshot): DownloadStatus {
  const isActive = stateOf(job) === "downloading";
  const { estimatedCompletionMs: doneMs, failure } = job;
  return {
    job_id: job.id,
    status: stateOf(job),
    ...(isActive && { bytes_per_second: job.bytesPerSecond ?? 0 }),
    ...(isActive && doneMs !== null && { estimated_completion: isoTime(doneMs) }),
    total_size_bytes: job.totalBytes,
    downloaded_bytes: job.downloadedBytes,
    ...timesOf(job),
    ...(failure !== null && { error: { type: "internal_error", message: failure } }),
  };
}

/** A job that waits its turn counts as under way. */
export const stateOf = ({ state }: DownloadSnapshot): Static<typeof JobState> =>
  state === "queued" ? "downloading" : state;

export function timesOf({ startedMs, completedMs, state }: DownloadSnapshot) {
  return {
    started_at: isoTime(startedMs),
    ...(state === "completed" && { completed_at: isoTime(completedMs ?? startedMs) }),
  };
}

const isoTime = (ms: number): string => new Date(ms).toISOString();
