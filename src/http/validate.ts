import { Compile } from "typebox/compile";
import type { Static, TSchema } from "typebox";
import { invalidRequest } from "../lib/errors.ts";
import { explain } from "./explain.ts";

/** Returns the value with its type when it fits, otherwise throws the first rule it breaks. */
export type Validator<T> = (value: unknown) => T;

/**
 * A validator of one schema. Nothing is coerced, unknown fields are ignored. The compiled check
 * decides; only a refused value is walked a second time, to name the field and the rule.
 *
 * @throws LmError invalid_request whose message never holds text of the request, except a short
 *   word given where a fixed list of words is allowed.
 */
export function validator<Schema extends TSchema>(schema: Schema): Validator<Static<Schema>> {
  const compiled = Compile(schema);
  return (value) => {
    if (compiled.Check(value)) return value;
    throw (
      explain(schema, value, "") ??
      invalidRequest(null, "invalid_value", "The request does not have the expected form.")
    );
  };
}
