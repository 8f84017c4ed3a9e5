import { dlopen } from "bun:ffi";
import { machineCpu, mostThreads } from "../lib/compute-threads.ts";
import { usableCores } from "../lib/processors.ts";

/** Threads this process should compute with on this machine. */
export function defaultThreads(): number {
  return usableCores(machineCpu(darwinCores() ?? undefined));
}

/** Whether so many threads leave no processor to anything else. */
export function takesAllProcessors(threads: number): boolean {
  return threads >= mostThreads();
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
