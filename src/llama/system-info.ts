import type { Device } from "./backend.ts";
import { listDevices } from "./devices.ts";
import { openLibrary } from "./library.ts";
import type { NativeLogLine } from "./native-log.ts";
import { defaultThreads } from "./system-cpu.ts";

/** What llama.cpp is and can use on this machine. */
export interface SystemInfo {
  /** Release of llama.cpp, for example "0.5.0". */
  release: string;
  /** Instruction sets and features, in llama.cpp's words. */
  features: string;
  /** Loaded compute backends by name, for example { name: "CPU", file: "libggml-cpu-zen4.so" }. */
  backends: readonly { name: string; file: string }[];
  /** Generation of the processor the CPU backend was built for; null when it is not a variant. */
  cpuVariant: string | null;
  devices: readonly Device[];
  /** Compute threads used when none are asked for. */
  threads: number;
}

/** Loads the libraries and asks them. @throws LmError engine_unavailable */
export function readSystemInfo(libraryDir: string): SystemInfo {
  const library = openLibrary(libraryDir);
  const backends = loadedBackends(library.startLines);
  const cpu = backends.find((backend) => backend.name === "CPU");
  return {
    release: String(library.llama.llama_version()),
    features: String(library.llama.llama_print_system_info()),
    backends,
    cpuVariant: /ggml-cpu-([\w.]+)\.(?:so|dylib|dll)$/.exec(cpu?.file ?? "")?.[1] ?? null,
    devices: listDevices(library),
    threads: defaultThreads(),
  };
}

/** From lines such as `load_backend: loaded CPU backend from /folder/libggml-cpu-zen4.so`. */
export function loadedBackends(lines: readonly NativeLogLine[]): { name: string; file: string }[] {
  return lines.flatMap(({ text }) => {
    const match = /loaded (\S+) backend from .*?([^/\\]+)$/.exec(text.trim());
    const [, name, file] = match ?? [];
    return name !== undefined && file !== undefined ? [{ name, file }] : [];
  });
}
