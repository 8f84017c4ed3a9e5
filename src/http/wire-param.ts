import { hasCode, LmError } from "../lib/errors.ts";

/** Turns the path of a field in our own request types into the path the client sent. */
export type WireParam = (param: string) => string;

/** @returns The error with the client's own field names; other errors as they are. */
export function withWireParam(error: unknown, toWire: WireParam): unknown {
  if (hasCode(error, "context_length_exceeded")) {
    const param = toWire(error.details.param ?? "prompt");
    return new LmError(error.code, { ...error.details, param }, error.message, { cause: error });
  }
  if (hasCode(error, "invalid_request") && error.details.param !== null) {
    const param = toWire(error.details.param);
    return new LmError(error.code, { ...error.details, param }, error.message, { cause: error });
  }
  return error;
}

/** Warnings begin with the path of their field and a colon. */
export function warningWithWireParam(warning: string, toWire: WireParam): string {
  return warning.replace(/^[\w.[\]]+(?=: )/, toWire);
}
