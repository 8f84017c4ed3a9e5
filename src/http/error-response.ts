import { LmError, type ErrorCode, type ErrorDetails } from "../lib/errors.ts";
import { jsonResponse } from "./json-response.ts";

/** The `error` object of every answer that is not a success. All four keys are always there. */
export interface WireError {
  message: string;
  type: "invalid_request_error" | "permission_error" | "rate_limit_error" | "server_error";
  param: string | null;
  code: string | null;
}

type Retry = "never" | "free";

interface Row {
  status: number;
  type: WireError["type"];
  code: string;
  /** `never`: the same request cannot succeed, so clients are told not to repeat it. */
  retry: Retry;
}

const invalid = (status: number, code: string): Row => ({
  status,
  type: "invalid_request_error",
  code,
  retry: "free",
});
const server = (status: number, code: string, retry: Retry = "free"): Row => ({
  status,
  type: "server_error",
  code,
  retry,
});

const ROWS = {
  invalid_request: invalid(400, "invalid_value"),
  context_length_exceeded: invalid(400, "context_length_exceeded"),
  request_too_large: invalid(413, "request_too_large"),
  unauthorized: invalid(401, "invalid_api_key"),
  forbidden: {
    status: 403,
    type: "permission_error",
    code: "insufficient_permissions",
    retry: "free",
  },
  rate_limited: {
    status: 429,
    type: "rate_limit_error",
    code: "rate_limit_exceeded",
    retry: "free",
  },
  route_not_found: invalid(404, "unknown_url"),
  method_not_allowed: invalid(405, "method_not_allowed"),
  model_not_found: invalid(404, "model_not_found"),
  model_not_loaded: invalid(404, "model_not_loaded"),
  unsupported_model: invalid(400, "unsupported_model"),
  queue_full: server(503, "server_overloaded"),
  overloaded: server(503, "server_overloaded"),
  model_loading: server(503, "model_loading"),
  model_load_failed: server(500, "model_load_failed", "never"),
  insufficient_memory: server(500, "model_load_failed", "never"),
  model_unloaded: server(503, "model_unloaded"),
  engine_crashed: server(500, "internal_error"),
  engine_unstable: server(503, "server_overloaded"),
  engine_unavailable: server(501, "engine_unavailable", "never"),
  server_shutdown: server(503, "server_overloaded"),
  timeout: server(504, "timeout"),
  invalid_config: server(500, "internal_error", "never"),
  invalid_file: server(500, "model_load_failed", "never"),
  download_failed: server(502, "internal_error"),
  insufficient_disk: server(500, "internal_error", "never"),
  job_not_found: invalid(404, "job_not_found"),
  not_implemented: server(501, "not_implemented", "never"),
  internal: server(500, "internal_error"),
} as const satisfies Record<ErrorCode, Row>;

/** An unexpected error is a bug: nothing of it is shown. */
export function knownError(error: unknown): LmError {
  if (error instanceof LmError) return error;
  return new LmError("internal", {}, "The server failed to answer this request.");
}

/** Narrows to one code. The details of an LmError always belong to its own code. */
export function detailsOf<Code extends ErrorCode>(
  error: LmError,
  code: Code,
): ErrorDetails[Code] | null {
  return error.code === code ? (error.details as ErrorDetails[Code]) : null;
}

/** `error` as clients read it. Mid-stream, a stopping server has a code of its own. */
export function wireError(thrown: unknown, midStream = false): WireError {
  const error = knownError(thrown);
  const row: Row = ROWS[error.code];
  const refused = detailsOf(error, "invalid_request");
  if (refused) {
    const code = refused.reason === "misplaced_parameter" ? null : refused.reason;
    return { message: error.message, type: row.type, param: refused.param, code };
  }
  const forbidden = detailsOf(error, "forbidden");
  const code =
    midStream && error.code === "server_shutdown"
      ? "server_shutdown"
      : (forbidden?.reason ?? row.code);
  return { message: wireMessage(error), type: row.type, param: paramOf(error), code };
}

/**
 * Its own words, or OpenAI's sentence. The code stands in it too: clients that read an exception's text alone, as
 * LangChain does, know an overflow by it.
 */
function wireMessage(error: LmError): string {
  const tooLong = detailsOf(error, "context_length_exceeded");
  if (!tooLong) return error.message;
  const which = tooLong.param ?? "messages";
  const what = which.replace(/\[.*$/, "");
  return (
    `This model's maximum context length is ${tooLong.contextLength} tokens. However, your ` +
    `${which} resulted in ${tooLong.isLeast === true ? "at least " : ""}` +
    `${tooLong.promptTokens} tokens. Please reduce the length of the ${what}. (${error.code})`
  );
}

function paramOf(error: LmError): string | null {
  switch (error.code) {
    case "context_length_exceeded":
      return detailsOf(error, "context_length_exceeded")?.param ?? "messages";
    case "model_not_found":
      return detailsOf(error, "model_not_found")?.param ?? "model";
    case "model_not_loaded":
    case "unsupported_model":
    case "model_loading":
    case "model_load_failed":
    case "insufficient_memory":
    case "invalid_file":
      return "model";
    default:
      return null;
  }
}

/** HTTP status of a failure. */
export function errorStatus(thrown: unknown): number {
  const error = knownError(thrown);
  if (detailsOf(error, "invalid_request")?.reason === "unsupported_content_type") return 415;
  return ROWS[error.code].status;
}

/** The failure as an answer of its own, before anything was sent. */
export function errorResponse(thrown: unknown): Response {
  const error = knownError(thrown);
  return jsonResponse(
    { error: wireError(error) },
    { status: errorStatus(error), headers: errorHeaders(error) },
  );
}

/** Headers that belong to a failure, whatever its dialect. */
export function errorHeaders(error: LmError): Record<string, string> {
  const headers: Record<string, string> = {};
  const waitMs = retryAfterMs(error);
  if (waitMs !== null) {
    // SDKs ignore values above 60 s and fall back to their own waiting.
    const boundedMs = Math.min(60_000, Math.max(1, Math.ceil(waitMs)));
    headers["retry-after"] = String(Math.max(1, Math.ceil(boundedMs / 1000)));
    headers["retry-after-ms"] = String(boundedMs);
  }
  if (ROWS[error.code].retry === "never") headers["x-should-retry"] = "false";
  if (error.code === "unauthorized") headers["www-authenticate"] = "Bearer";
  const allow = detailsOf(error, "method_not_allowed")?.allow;
  if (allow) headers["allow"] = allow.join(", ");
  const tooLong = detailsOf(error, "context_length_exceeded");
  if (tooLong) {
    headers["x-context-length"] = String(tooLong.contextLength);
    // A number that is not the whole would be cut by.
    if (tooLong.isLeast !== true) headers["x-prompt-tokens"] = String(tooLong.promptTokens);
  }
  return headers;
}

/** null = no waiting time belongs to this failure. Every 503 and 429 has one. */
function retryAfterMs(error: LmError): number | null {
  if ("retryAfterMs" in error.details) return error.details.retryAfterMs;
  const { status } = ROWS[error.code];
  return status === 503 || status === 429 ? 1_000 : null;
}
