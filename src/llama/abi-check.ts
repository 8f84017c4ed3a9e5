import { LmError } from "../lib/errors.ts";
import type { Shim } from "./shim.ts";
import {
  CONTEXT_PARAMS,
  CONTEXT_PARAMS_SIZE,
  type Field,
  MODEL_PARAMS,
  MODEL_PARAMS_SIZE,
  readField,
} from "./structs.ts";
import type { NativePointer } from "./native-pointer.ts";

/**
 * Compares the defaults that the library writes with those its release has at our offsets.
 * @throws LmError engine_unavailable naming the first field that differs and both values.
 */
export function checkAbi(
  shim: Shim,
  modelDefaults: NativePointer,
  contextDefaults: NativePointer,
): void {
  const model = new Uint8Array(MODEL_PARAMS_SIZE);
  shim.lm_model_params(modelDefaults, model);
  checkDefaults("llama_model_params", MODEL_PARAMS, model);
  const context = new Uint8Array(CONTEXT_PARAMS_SIZE);
  shim.lm_context_params(contextDefaults, context);
  checkDefaults("llama_context_params", CONTEXT_PARAMS, context);
}

/** @throws LmError engine_unavailable */
export function checkDefaults(
  struct: string,
  fields: Readonly<Record<string, Field>>,
  bytes: Uint8Array,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [name, field] of Object.entries(fields)) {
    if (field.initial === null) continue;
    const found = readField(view, field);
    if (found === field.initial) continue;
    const reason =
      `llama.cpp does not fit this build: ${struct}.${name} is ${found} by default,` +
      ` expected ${field.initial}`;
    throw new LmError("engine_unavailable", { reason }, reason);
  }
}
