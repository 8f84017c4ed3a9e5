import { LmError, type ErrorCode, type ErrorDetails, type InvalidReason } from "../lib/errors.ts";
import type { JobEvent } from "../protocol/events.ts";

type JobFailed = Extract<JobEvent, { type: "jobFailed" }>;
type Fields = Readonly<Record<string, unknown>>;
type Decoders = { [Code in ErrorCode]?: (details: Fields, model: string) => ErrorDetails[Code] };

/** The failures an engine may report about a job. The model's name is the server's to say. */
const DECODERS: Decoders = {
  invalid_request: (details) => ({
    param: textOrNull(details["param"]),
    reason: (textOrNull(details["reason"]) ?? "invalid_value") as InvalidReason,
  }),
  context_length_exceeded: (details) => ({
    promptTokens: numberOr(details["promptTokens"], 0),
    contextLength: numberOr(details["contextLength"], 0),
    param: textOrNull(details["param"]),
    ...(details["isLeast"] === true && { isLeast: true }),
  }),
  insufficient_memory: (details, model) => ({
    model,
    neededBytes: numberOr(details["neededBytes"], 0),
    availableBytes: numberOr(details["availableBytes"], 0),
  }),
  unsupported_model: (_details, model) => ({ model }),
};

/** The engine's refusal of a job as an LmError; a code it may not use becomes `internal`. */
export function jobFailure(event: JobFailed, model: string): LmError {
  for (const [code, decode] of Object.entries(DECODERS)) {
    if (code !== event.code) continue;
    const fields: Fields = isFields(event.details) ? event.details : {};
    return new LmError(code as ErrorCode, decode(fields, model), event.message);
  }
  return new LmError("internal", {}, event.message);
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function numberOr(value: unknown, fallback: number): number {
  return typeof value === "number" && Number.isFinite(value) ? value : fallback;
}
