import type { Pointer } from "bun:ffi";

/** An address as bun:ffi gives it: a bigint where it does not fit a number. */
export type NativePointer = Pointer | bigint;
