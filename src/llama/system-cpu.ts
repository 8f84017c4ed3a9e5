import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dlopen } from "bun:ffi";
import { type CpuSources, usableCores, usableProcessors } from "./threads.ts";

/** Threads this process should compute with on this machine. */
export function defaultThreads(): number {
  return usableCores(systemCpu());
}

/** Threads beyond these wait for each other at every barrier: one runs only while another does not. */
export function mostThreads(): number {
  return usableProcessors({ readFile, logicalCount: availableParallelism() });
}

/** Whether so many threads leave no processor to anything else. */
export function takesAllProcessors(threads: number): boolean {
  return threads >= mostThreads();
}

function systemCpu(): CpuSources {
  return { readFile, logicalCount: darwinCores() ?? availableParallelism() };
}

function readFile(path: string): string | null {
  if (process.platform !== "linux") return null;
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Files of another kernel or another control group version are simply not there.
    return null;
  }
}

/** Performance cores of an Apple machine: the slow ones hold up the others at each barrier. */
function darwinCores(): number | null {
  if (process.platform !== "darwin") return null;
  const { symbols } = dlopen("libSystem.B.dylib", {
    sysctlbyname: { args: ["ptr", "ptr", "ptr", "ptr", "usize"], returns: "i32" },
  });
  for (const name of ["hw.perflevel0.physicalcpu", "hw.physicalcpu"]) {
    const value = new Int32Array(1);
    const size = new BigUint64Array([4n]);
    const key = new TextEncoder().encode(`${name}\0`);
    const [count] = symbols.sysctlbyname(key, value, size, null, 0) === 0 ? value : [];
    if (count !== undefined && count > 0) return count;
  }
  return null;
}
