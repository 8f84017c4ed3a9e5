import type { Static, TObject } from "typebox";
import { assert } from "../../lib/assert.ts";
import { invalidRequest } from "../../lib/errors.ts";
import { printable } from "../../lib/printable.ts";
import { validator, type Validator } from "../validate.ts";

/**
 * A validator that also refuses keys the schema does not name. null is as absent, also where a field
 * is required.
 * @throws LmError invalid_request, with `unrecognized_keys` first.
 */
export function strictValidator<Schema extends TObject>(schema: Schema): Validator<Static<Schema>> {
  const validate = validator(schema);
  const isDocumented = "additionalProperties" in schema && schema.additionalProperties === false;
  assert(isDocumented, "what is strict is documented so");
  const keys = new Set(Object.keys(schema.properties));
  const required: readonly string[] = schema.required ?? [];
  return (value) => {
    if (typeof value !== "object" || value === null) return validate(value);
    refuseUnknown(value, keys);
    return validate(withoutNulls(value, required));
  };
}

function withoutNulls(value: object, keys: readonly string[]): object {
  const given = Object.entries(value).filter(([key, own]) => own !== null || !keys.includes(key));
  return Object.fromEntries(given);
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
