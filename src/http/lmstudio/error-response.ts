import type { InvalidReason, LmError } from "../../lib/errors.ts";
import { detailsOf, errorHeaders, errorStatus, knownError, wireError } from "../error-response.ts";
import { jsonResponse } from "../json-response.ts";

/** `error` of the native API; absent keys are left out. */
export interface NativeError {
  type:
    "invalid_request" | "model_not_found" | "job_not_found" | "not_implemented" | "internal_error";
  message: string;
  code?: string;
  param?: string;
}

/** Told to whoever sends no token. LM Studio's own clients look for these words. */
const TOKEN_REQUIRED =
  "An LM Studio API token is required to make requests to this server. Send it with the 'Bearer' " +
  "scheme in the Authorization header.";

/** The words of LM Studio's validator; those of other dialects mean a value out of bounds. */
const OWN_WORDS: readonly InvalidReason[] = [
  "invalid_type",
  "invalid_union",
  "missing_required_parameter",
  "unrecognized_keys",
  "unsupported_input_modality",
  "unsupported_reasoning_setting",
  "previous_response_not_found",
  "invalid_json",
  "unsupported_content_type",
  "chat_template_error",
];

/** A failure as the native API words it. */
export function nativeError(thrown: unknown): NativeError {
  const error = knownError(thrown);
  const invalid = (code: string): NativeError => {
    const { message, param } = wireError(error);
    return { type: "invalid_request", message, code, ...(param !== null && { param }) };
  };
  switch (error.code) {
    case "invalid_request":
      return invalidRequest(error);
    case "model_not_found":
    case "model_not_loaded":
      return { type: "model_not_found", message: error.message };
    case "job_not_found":
    case "not_implemented":
      return { type: error.code, message: error.message };
    case "unauthorized":
      return {
        type: "invalid_request",
        message: error.message.startsWith("An API key is required")
          ? TOKEN_REQUIRED
          : error.message,
        code: "invalid_api_key",
      };
    case "route_not_found":
    case "method_not_allowed":
      return { type: "invalid_request", message: error.message };
    case "context_length_exceeded":
    case "forbidden":
    case "request_too_large":
    case "rate_limited":
    case "unsupported_model":
      return invalid(wireError(error).code ?? error.code);
    default:
      return { type: "internal_error", message: error.message };
  }
}

function invalidRequest(error: LmError): NativeError {
  const details = detailsOf(error, "invalid_request");
  const reason = details?.reason ?? "invalid_value";
  const param = details?.param ?? null;
  const isMissing = reason === "missing_required_parameter" && param !== null;
  return {
    type: "invalid_request",
    message: isMissing ? `"${param}" is required` : error.message,
    code: OWN_WORDS.includes(reason) ? reason : "invalid_value",
    ...(param !== null && { param }),
  };
}

/** The failure as an answer of its own. */
export function nativeErrorResponse(thrown: unknown): Response {
  const error = knownError(thrown);
  return jsonResponse(
    { error: nativeError(error) },
    { status: errorStatus(error), headers: errorHeaders(error) },
  );
}
