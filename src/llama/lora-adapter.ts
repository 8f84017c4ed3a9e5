import { LmError } from "../lib/errors.ts";
import { explain } from "./log-tail.ts";
import type { ModelHost } from "./model-host.ts";
import type { NativePointer } from "./native-pointer.ts";
import { cString } from "./native-text.ts";

/**
 * Reads a LoRA adapter for a model, which frees it with itself.
 * @throws LmError invalid_file with llama.cpp's last error lines.
 */
export function readAdapter(model: ModelHost, path: string): NativePointer {
  const { library, log, handle } = model;
  const { llama } = library;
  if (path.includes("\0")) throw unusable(path, "A file name cannot hold a NUL");
  log.collect();
  const adapter = llama.llama_adapter_lora_init(handle.pointer, cString(path));
  const lines = log.collect();
  if (adapter === null) {
    throw unusable(path, explain(lines, "llama.cpp cannot read the file and does not say why"));
  }
  // Such an adapter applies only behind a phrase in the prompt.
  if (llama.llama_adapter_get_alora_n_invocation_tokens(adapter) > 0n) {
    throw unusable(path, "adapters that a phrase switches on (aLoRA) are not supported");
  }
  return adapter;
}

function unusable(path: string, reason: string): LmError<"invalid_file"> {
  return new LmError("invalid_file", { path, reason }, `The adapter cannot be loaded: ${reason}`);
}
