import { dlopen, type FFIFunction, type Pointer } from "bun:ffi";
import { defined } from "../lib/assert.ts";
import { LmError } from "../lib/errors.ts";
import { checkAbi } from "./abi-check.ts";
import { findLibraryFiles } from "./library-files.ts";
import { NativeLog, type NativeLogLine } from "./native-log.ts";
import { setNativeVariable } from "./native-environment.ts";
import { cString } from "./native-text.ts";
import { compileShim, type Shim } from "./shim.ts";
import { GGML_BASE_SYMBOLS, GGML_SYMBOLS, LLAMA_SYMBOLS } from "./symbols.ts";

type Symbols<Table extends Record<string, FFIFunction>> = ReturnType<
  typeof dlopen<Table>
>["symbols"];

/** llama.cpp, loaded into this process and checked. Never unloaded. */
export interface LlamaLibrary {
  readonly llama: Symbols<typeof LLAMA_SYMBOLS>;
  readonly ggml: Symbols<typeof GGML_SYMBOLS>;
  readonly ggmlBase: Symbols<typeof GGML_BASE_SYMBOLS>;
  readonly shim: Shim;
  readonly log: NativeLog;
  /** What was written to the log while the backends were loaded. */
  readonly startLines: readonly NativeLogLine[];
}

const opened = new Map<string, LlamaLibrary>();

/**
 * Opens the libraries of a folder, once per process: llama.cpp keeps global state.
 * @throws LmError engine_unavailable
 */
export function openLibrary(folder: string): LlamaLibrary {
  const known = opened.get(folder);
  if (known) return known;
  const library = load(folder);
  opened.set(folder, library);
  return library;
}

function load(folder: string): LlamaLibrary {
  const files = findLibraryFiles(folder);
  // Dependencies first: the loader then finds them by name wherever they lie.
  const ggmlBase = open(files.ggmlBase, GGML_BASE_SYMBOLS);
  const ggml = open(files.ggml, GGML_SYMBOLS);
  const llama = open(files.llama, LLAMA_SYMBOLS);
  // A failed assertion would otherwise start a debugger and wait for it before the process ends.
  setNativeVariable("GGML_NO_BACKTRACE", "1");
  const shim = compileShim(folder);
  const log = new NativeLog(
    defined(shim.lm_log_ring(), "the shim has a log ring"),
    shim.lm_log_written,
  );
  llama.llama_log_set(shim.lm_log_function(), null);
  checkAbi(
    shim,
    addressOf(llama.llama_model_default_params),
    addressOf(llama.llama_context_default_params),
  );
  ggml.ggml_backend_load_all_from_path(cString(folder));
  llama.llama_backend_init();
  const startLines = log.drain();
  if (Number(ggml.ggml_backend_dev_count()) === 0) {
    const reason = `No compute backend in ${folder} runs on this processor`;
    throw new LmError("engine_unavailable", { reason }, reason);
  }
  return { llama, ggml, ggmlBase, shim, log, startLines };
}

function open<Table extends Record<string, FFIFunction>>(path: string, symbols: Table) {
  try {
    return dlopen(path, symbols).symbols;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `The library ${path} cannot be loaded: ${reason}`;
    throw new LmError("engine_unavailable", { reason: message }, message, { cause });
  }
}

/** The address of a function of a library, for the shim. */
export function addressOf(symbol: object): Pointer {
  const address: unknown = Reflect.get(symbol, "ptr");
  if (typeof address !== "number") throw new TypeError("bun:ffi gave a function without address");
  return address as Pointer;
}
