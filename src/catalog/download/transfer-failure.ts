import { LmError } from "../../lib/errors.ts";

/** Worth another try of the same part, after a wait. */
export class TransientFailure extends Error {
  override readonly name = "TransientFailure";
  /** What the server asked for; null when it did not say. */
  readonly retryAfterMs: number | null;

  constructor(message: string, retryAfterMs: number | null = null, options?: ErrorOptions) {
    super(message, options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The file is not the one the first bytes came from: they are worthless. */
export class FileChanged extends Error {
  override readonly name = "FileChanged";
}

/** The server sends whole files only. */
export class RangesIgnored extends Error {
  override readonly name = "RangesIgnored";
}

/** Cannot be mended by trying again. `reason` is one sentence without credentials. */
export function downloadFailed(
  host: string,
  reason: string,
  options?: ErrorOptions,
): LmError<"download_failed"> {
  return new LmError(
    "download_failed",
    { host, reason },
    `The download from ${host} failed: ${reason}.`,
    options,
  );
}
