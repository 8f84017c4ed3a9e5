import { Type, type Static } from "typebox";
import { createDownloads } from "../catalog/download/create-downloads.ts";
import type { DownloadSnapshot } from "../catalog/download/downloads.ts";
import { systemClock } from "../lib/clock.ts";
import { silentLog } from "../lib/log.ts";
import { EXIT, ExitError, type Terminal } from "./command.ts";
import type { Target } from "./server-client.ts";
import { askServer } from "./server-request.ts";

/** How far a download has come. */
export interface GetState {
  doneBytes: number;
  totalBytes: number;
  bytesPerSecond: number | null;
}

export interface GetResult {
  /** `downloading` only when nobody waited. */
  status: "completed" | "already_downloaded" | "downloading";
  /** Of the server that does it; null in this process. */
  jobId: string | null;
  totalBytes: number | null;
  /** Absolute path on this machine; null when a server keeps it. */
  path: string | null;
}

const POLL_MS = 250;

const Started = Type.Object({
  status: Type.String(),
  job_id: Type.Optional(Type.String({ pattern: "^[A-Za-z0-9_-]{1,64}$" })),
});
const Status = Type.Object({
  status: Type.String(),
  total_size_bytes: Type.Number(),
  downloaded_bytes: Type.Optional(Type.Number()),
  bytes_per_second: Type.Optional(Type.Number()),
  error: Type.Optional(Type.Unknown()),
});

interface ThereRequest {
  model: string;
  isDetached: boolean;
  show: (state: GetState) => void;
  signal: AbortSignal;
}

/** Downloads by the server. The signal ends the wait, not the download. */
export async function getThere(target: Target, request: ThereRequest): Promise<GetResult> {
  const { signal, isDetached, show } = request;
  // The server asks the hub before it answers.
  const started = await askServer(target, {
    path: "/api/v1/models/download",
    body: splitName(request.model),
    schema: Started,
    timeoutMs: 60_000,
    signal,
  });
  const { status, job_id: jobId = null } = started;
  if (status === "already_downloaded") return { status, jobId, totalBytes: null, path: null };
  if (jobId === null) throw new ExitError(EXIT.failed, "The server named no download.");
  const path = `/api/v1/models/download/status/${jobId}`;
  for (;;) {
    const now = await askServer(target, { path, schema: Status, signal });
    const { total_size_bytes: totalBytes } = now;
    if (now.status === "completed") return { status: "completed", jobId, totalBytes, path: null };
    if (now.status === "failed" || now.status === "paused") throw ended(now);
    if (isDetached) return { status: "downloading", jobId, totalBytes, path: null };
    const { downloaded_bytes: doneBytes = 0, bytes_per_second: bytesPerSecond = null } = now;
    show({ doneBytes, totalBytes, bytesPerSecond });
    await pause(signal);
  }
}

/** `owner/repo@quant` in the two fields of the server; a URL stays whole. */
function splitName(name: string): Record<string, string> {
  const at = name.lastIndexOf("@");
  if (at <= 0 || name.includes("://")) return { model: name };
  return { model: name.slice(0, at), quantization: name.slice(at + 1) };
}

function ended({ status, error }: Static<typeof Status>): ExitError {
  const said = typeof error === "string" ? error : messageOf(error);
  const words = status === "paused" ? "was paused" : "failed";
  const reason = said === null ? "" : `: ${said.slice(0, 2_000)}`;
  return new ExitError(EXIT.failed, `The download ${words}${reason}`, { code: "download_failed" });
}

function messageOf(error: unknown): string | null {
  if (typeof error !== "object" || error === null || !("message" in error)) return null;
  return typeof error.message === "string" ? error.message : null;
}

interface HereRequest {
  model: string;
  modelsDir: string;
  env: Terminal["env"];
  show: (state: GetState) => void;
  signal: AbortSignal;
}

/** Downloads in this process. The signal pauses it: the next request goes on from there. */
export async function getHere(request: HereRequest): Promise<GetResult> {
  const { modelsDir, env, signal, show } = request;
  const downloads = createDownloads({
    modelsDir,
    env,
    onComplete: () => Promise.resolve(),
    clock: systemClock,
    log: silentLog,
  });
  try {
    const wanted = { model: request.model, quantization: null, owner: null, allowAnyHost: true };
    const started = await downloads.start(wanted, signal);
    const { modelPath: path } = started;
    if (started.state === "already_downloaded")
      return { status: started.state, jobId: null, totalBytes: null, path };
    let now: DownloadSnapshot | null = started;
    while (now !== null && (now.state === "queued" || now.state === "downloading")) {
      const { downloadedBytes: doneBytes, totalBytes, bytesPerSecond } = now;
      show({ doneBytes, totalBytes, bytesPerSecond });
      await pause(signal, downloads.settled(started.id));
      now = downloads.status(started.id);
    }
    if (now?.state !== "completed")
      throw new ExitError(EXIT.failed, `The download failed: ${now?.failure ?? "it is gone"}`, {
        code: "download_failed",
      });
    show({ doneBytes: now.totalBytes, totalBytes: now.totalBytes, bytesPerSecond: null });
    return { status: "completed", jobId: null, totalBytes: now.totalBytes, path };
  } finally {
    await downloads.close();
  }
}

/** Waits a moment, or until something happened. @throws the signal's reason. */
async function pause(signal: AbortSignal, event?: Promise<unknown>): Promise<void> {
  const stopped = Promise.withResolvers<void>();
  const stop = (): void => stopped.resolve();
  signal.addEventListener("abort", stop);
  await Promise.race([
    Bun.sleep(POLL_MS),
    stopped.promise,
    ...(event === undefined ? [] : [event]),
  ]);
  signal.removeEventListener("abort", stop);
  if (signal.aborted) throw signal.reason;
}
