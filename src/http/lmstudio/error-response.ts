import type { ErrorCode, InvalidReason, LmError } from "../../lib/errors.ts";
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

interface Row {
  type: NativeError["type"];
  /** The code and the field of the OpenAI dialect are told too. */
  isCoded: boolean;
}

const coded: Row = { type: "invalid_request", isCoded: true };
const plain = (type: Row["type"]): Row => ({ type, isCoded: false });

const ROWS = {
  context_length_exceeded: coded,
  request_too_large: coded,
  unauthorized: coded,
  forbidden: coded,
  rate_limited: coded,
  route_not_found: plain("invalid_request"),
  method_not_allowed: plain("invalid_request"),
  model_not_found: plain("model_not_found"),
  model_not_loaded: plain("model_not_found"),
  unsupported_model: coded,
  queue_full: plain("internal_error"),
  overloaded: plain("internal_error"),
  model_loading: plain("internal_error"),
  model_load_failed: plain("internal_error"),
  insufficient_memory: plain("internal_error"),
  model_unloaded: plain("internal_error"),
  engine_crashed: plain("internal_error"),
  engine_unstable: plain("internal_error"),
  engine_unavailable: plain("internal_error"),
  server_shutdown: plain("internal_error"),
  timeout: plain("internal_error"),
  invalid_config: plain("internal_error"),
  invalid_file: plain("internal_error"),
  download_failed: plain("internal_error"),
  insufficient_disk: plain("internal_error"),
  job_not_found: plain("job_not_found"),
  not_implemented: plain("not_implemented"),
  internal: plain("internal_error"),
} as const satisfies Record<Exclude<ErrorCode, "invalid_request">, Row>;

/** A failure as the native API words it. */
export function nativeError(thrown: unknown): NativeError {
  const error = knownError(thrown);
  const { code: failure } = error;
  if (failure === "invalid_request") return invalidRequest(error);
  const { type, isCoded }: Row = ROWS[failure];
  const { message, code, param } = wireError(error);
  // That a model is missing says which of them only where the field is not the usual one.
  const isOther = failure === "model_not_found" && param !== "model";
  const isKeyless = detailsOf(error, "unauthorized")?.reason === "missing";
  return {
    type,
    message: isKeyless ? TOKEN_REQUIRED : message,
    ...(isCoded && code !== null && { code }),
    ...((isCoded || isOther) && param !== null && { param }),
  };
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
