import type { HubFile } from "./hub.ts";
import { openUrl, type Outbound } from "./open-url.ts";
import { retryAfterMs } from "./retry.ts";
import { downloadFailed, TransientFailure } from "./transfer-failure.ts";

/**
 * Size of a file that no hub describes, learnt from one byte of it.
 * @throws LmError `download_failed`; TransientFailure.
 */
export async function probeUrl(
  outbound: Outbound,
  source: { url: URL; file: string },
  nowMs: number,
  signal: AbortSignal,
): Promise<HubFile> {
  const { response, url } = await openUrl(outbound, source.url, { range: "bytes=0-0" }, signal);
  const { status, headers } = response;
  await response.body?.cancel();
  if (status === 429 || status >= 500)
    throw new TransientFailure(`${url.host} answers ${status}`, retryAfterMs(headers, nowMs));
  if (status !== 200 && status !== 206) throw downloadFailed(url.host, `it answers ${status}`);
  const text =
    status === 206
      ? /^bytes 0-0\/(\d{1,15})$/.exec(headers.get("content-range") ?? "")?.[1]
      : /^\d{1,15}$/.exec(headers.get("content-length") ?? "")?.[0];
  if (text === undefined) throw downloadFailed(url.host, "it does not say how large the file is");
  return { path: source.file, sizeBytes: Number(text), sha256: null };
}
