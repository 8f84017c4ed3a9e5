import type { Static, TObject } from "typebox";
import { invalidRequest } from "../../lib/errors.ts";
import { printable } from "../refusals.ts";
import { validator, type Validator } from "../validate.ts";

/**
 * A validator that also refuses keys the schema does not name.
 * @throws LmError invalid_request, with `unrecognized_keys` first.
 */
export function strictValidator<Schema extends TObject>(schema: Schema): Validator<Static<Schema>> {
  const validate = validator(schema);
  const keys = new Set(Object.keys(schema.properties));
  return (value) => {
    if (typeof value === "object" && value !== null) refuseUnknown(value, keys);
    return validate(value);
  };
}

/** @throws LmError unrecognized_keys naming the keys that are not among `keys`. */
export function refuseUnknown(
  value: object,
  keys: ReadonlySet<string>,
  param: string | null = null,
): void {
  const unknown = Object.keys(value).filter((key) => !keys.has(key));
  if (unknown.length === 0) return;
  const shown = unknown.slice(0, 8).map((key) => `'${printable(key)}'`);
  throw invalidRequest(
    param,
    "unrecognized_keys",
    `Unrecognized key(s) in object: ${shown.join(", ")}`,
  );
}
