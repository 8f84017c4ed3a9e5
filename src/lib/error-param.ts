import { hasCode, LmError } from "./errors.ts";

/**
 * The same refusal of a field under another name, in the facts and where the message quotes it.
 * @returns Other errors as they are.
 */
export function renameParam(error: unknown, rename: (param: string) => string): unknown {
  if (
    !hasCode(error, "invalid_request") &&
    !hasCode(error, "context_length_exceeded") &&
    !hasCode(error, "model_not_found")
  ) {
    return error;
  }
  const param = error.details.param ?? (error.code === "context_length_exceeded" ? "prompt" : null);
  if (param === null) return error;
  const renamed = rename(param);
  const message = error.message.replaceAll(`'${param}'`, `'${renamed}'`);
  return new LmError(error.code, { ...error.details, param: renamed }, message, { cause: error });
}
