import type { LogLevel } from "../lib/log.ts";
import type { Backend } from "./backend.ts";
import { listDevices } from "./devices.ts";
import { loadFfiModel } from "./ffi-model.ts";
import { openLibrary } from "./library.ts";
import { LogTail } from "./log-tail.ts";

export interface FfiBackendOptions {
  /** Folder that holds llama.cpp's libraries and its compute backends. */
  libraryDir: string;
  /** Receives llama.cpp's own log lines, after the call that wrote them. */
  onLog: (level: LogLevel, text: string) => void;
}

/**
 * llama.cpp in this process. A fault inside it ends the process: run it in one of its own.
 * @throws LmError engine_unavailable when the libraries cannot be loaded on this machine or are
 * not of the release this program was built for.
 */
export function createFfiBackend({ libraryDir, onLog }: FfiBackendOptions): Backend {
  const library = openLibrary(libraryDir);
  const log = new LogTail(library.log, onLog);
  return {
    loadModel: (options, onProgress) => loadFfiModel(library, log, options, onProgress),
    devices: () => listDevices(library),
  };
}
