import { closeSync, openSync, readSync } from "node:fs";

/** More than one processor's record; the file has one per processor, and making them takes time. */
const RECORD_BYTES = 16_384;

/**
 * What this machine's processors can do, in the kernel's words (`avx2`, `avx512_vnni`); the kernel
 * leaves out what it does not support itself. Null where that cannot be asked: elsewhere than on Linux
 * on x86-64.
 */
export function processorFlags(): ReadonlySet<string> | null {
  if (process.platform !== "linux" || process.arch !== "x64") return null;
  try {
    return flagsOf(readStart("/proc/cpuinfo"));
  } catch {
    return null; // /proc is hidden
  }
}

/** The flags of the first processor in the text of /proc/cpuinfo. */
export function flagsOf(text: string): ReadonlySet<string> | null {
  const line = /^flags\s*:(.*)\n/m.exec(text)?.[1];
  return line === undefined ? null : new Set(line.trim().split(/\s+/));
}

function readStart(path: string): string {
  const descriptor = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(RECORD_BYTES);
    return buffer.toString("latin1", 0, readSync(descriptor, buffer, 0, RECORD_BYTES, 0));
  } finally {
    closeSync(descriptor);
  }
}
