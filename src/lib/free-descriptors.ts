import { readdirSync, readFileSync } from "node:fs";
import { isStarvation } from "./system-code.ts";

/**
 * Whether this process may open as many more files and sockets. True where the system does not tell
 * (no /proc); false when none is left to look with.
 */
export function hasFreeDescriptors(count: number): boolean {
  try {
    return readdirSync("/proc/self/fd").length + count <= limit();
  } catch (error) {
    return !isStarvation(error);
  }
}

/** Read each time: it may be changed from outside while the process runs. */
function limit(): number {
  const text = readFileSync("/proc/self/limits", "latin1");
  return Number(/^Max open files\s+(\d+)/m.exec(text)?.[1] ?? Number.POSITIVE_INFINITY);
}
