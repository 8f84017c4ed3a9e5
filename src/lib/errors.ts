/**
 * Why a request field was refused. One word per rule, so that each dialect can word its own answer.
 * The names are those of the OpenAI API where it has one.
 */
export type InvalidReason =
  | "invalid_json"
  | "invalid_type"
  | "invalid_value"
  | "missing_required_parameter"
  | "unsupported_parameter"
  /** Only allowed together with another parameter that is absent. */
  | "misplaced_parameter"
  | "unsupported_content_type"
  | "unsupported_input_modality"
  | "integer_below_min_value"
  | "integer_above_max_value"
  | "decimal_below_min_value"
  | "decimal_above_max_value"
  | "empty_array"
  | "array_above_max_length"
  | "empty_string"
  | "string_above_max_length"
  | "invalid_image"
  | "invalid_json_schema"
  | "invalid_grammar"
  | "chat_template_error"
  /** A field that a strict dialect does not know. */
  | "unrecognized_keys"
  /** None of the forms that a field may have. */
  | "invalid_union"
  | "previous_response_not_found"
  | "unsupported_reasoning_setting";

/** A code that needs no facts. */
type NoDetails = Readonly<Record<string, never>>;

/** Facts carried by each failure a caller can be told about. Its keys are the error codes. */
export interface ErrorDetails {
  /** `param` is the path of the field in our own request types, or null for the whole request. */
  invalid_request: { param: string | null; reason: InvalidReason };
  context_length_exceeded: {
    promptTokens: number;
    contextLength: number;
    param: string | null;
    /** No more tokens were counted than it takes to know; absent = these are all. */
    isLeast?: boolean;
  };
  request_too_large: { limitBytes: number };
  /** No key was sent, an unknown one, or two that differ. */
  unauthorized: { reason: "missing" | "wrong" | "disagree" };
  forbidden: { reason: "host_not_allowed" | "insufficient_permissions" };
  /** This client, by its address or key, asks too much. */
  rate_limited: { retryAfterMs: number };
  route_not_found: { method: string; path: string };
  method_not_allowed: { allow: readonly string[] };
  /** `available` holds the ids a client may use instead. */
  model_not_found: { model: string; available: readonly string[]; param: string };
  model_not_loaded: { model: string };
  /** A model of the wrong kind, for example an embedding model asked to chat. */
  unsupported_model: { model: string };
  queue_full: { queued: number; limit: number; retryAfterMs: number };
  /** The server cannot take this now: too many bodies in memory, shutting down, a file in use. */
  overloaded: { retryAfterMs: number };
  model_loading: { model: string; retryAfterMs: number };
  /** `reason` is the engine's own last words. */
  model_load_failed: { model: string; reason: string };
  insufficient_memory: { model: string; neededBytes: number; availableBytes: number };
  model_unloaded: { model: string };
  /** `cause` names the signal or exit code, and the engine's last lines. */
  engine_crashed: { model: string; cause: string };
  /** The engine crashed repeatedly; starting it again is refused for `retryAfterMs`. */
  engine_unstable: { model: string; retryAfterMs: number; cause: string };
  /** The embedded libraries cannot be extracted or loaded on this machine. */
  engine_unavailable: { reason: string };
  server_shutdown: NoDetails;
  timeout: { limitMs: number };
  /** Every problem of a configuration, each one a sentence that names the setting. */
  invalid_config: { problems: readonly string[] };
  /** A file the user named cannot be used: a model, a template, a key file. */
  invalid_file: { path: string; reason: string };
  /** A hub or mirror is unreachable, refuses, or answers what it should not. */
  download_failed: { host: string; reason: string };
  insufficient_disk: { path: string; neededBytes: number; availableBytes: number };
  /** No download has this id. */
  job_not_found: { job: string };
  /** A part of an API that this server does not have. */
  not_implemented: { feature: string };
  internal: NoDetails;
}

export type ErrorCode = keyof ErrorDetails;

/** An expected failure. A bug is not an LmError: assert, and let the process die. */
export class LmError<Code extends ErrorCode = ErrorCode> extends Error {
  override readonly name = "LmError";
  readonly code: Code;
  readonly details: ErrorDetails[Code];

  constructor(code: Code, details: ErrorDetails[Code], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}

/** Whether `error` is an LmError of exactly this code; narrows its details. */
export function hasCode<Code extends ErrorCode>(
  error: unknown,
  code: Code,
): error is LmError<Code> {
  return error instanceof LmError && error.code === code;
}

/** A refused field, by its path and the rule it broke. */
export function invalidRequest(
  param: string | null,
  reason: InvalidReason,
  message: string,
  options?: ErrorOptions,
): LmError<"invalid_request"> {
  return new LmError("invalid_request", { param, reason }, message, options);
}
