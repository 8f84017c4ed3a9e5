import type { LmError } from "../lib/errors.ts";
import type { JobEvent } from "../protocol/events.ts";

/** An LmError as the terminal event of a job. */
export function failureEvent(jobId: number, error: LmError): JobEvent {
  return {
    type: "jobFailed",
    jobId,
    code: error.code,
    details: { ...error.details },
    message: error.message,
  };
}
