import type { NativePointer } from "./native-pointer.ts";

/** Addresses: of the shim's `lm_compute`, and its three arguments. All stay valid until the answer. */
export interface ComputeCall {
  shim: NativePointer;
  compute: NativePointer;
  context: NativePointer;
  batch: NativePointer;
}
