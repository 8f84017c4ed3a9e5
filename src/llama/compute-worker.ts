/**
 * The thread of one context that computes beside others. It is given addresses of our own program and
 * of its libraries, and calls what is there; see ComputeThread.
 */
import { linkSymbols } from "bun:ffi";
import type { ComputeCall } from "./compute-call.ts";

declare const self: Worker;

let linked: ReturnType<typeof link> | null = null;

self.addEventListener("message", (event: MessageEvent<ComputeCall>) => {
  const { shim, compute, context, batch } = event.data;
  linked ??= link(shim);
  self.postMessage(linked.lm_compute(compute, context, batch), []);
});

function link(ptr: ComputeCall["shim"]) {
  return linkSymbols({ lm_compute: { ptr, args: ["ptr", "ptr", "ptr"], returns: "i32" } }).symbols;
}
