import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { type CpuSources, usableCores, usableProcessors } from "./processors.ts";

/**
 * Threads that an engine computes with which was asked for so many; null = for none. A Mac's slow cores
 * count too here: the engine alone can tell them apart.
 */
export function computeThreads(asked: number | null): number {
  return Math.min(asked ?? usableCores(machineCpu()), mostThreads());
}

/** Threads beyond these wait for each other at every barrier: one runs only while another does not. */
export function mostThreads(): number {
  return usableProcessors(machineCpu());
}

/** @param logicalCount processors, where the system's files do not tell. */
export function machineCpu(logicalCount = availableParallelism()): CpuSources {
  return { readFile, logicalCount };
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
