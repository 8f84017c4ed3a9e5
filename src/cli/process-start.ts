import { readFileSync } from "node:fs";

/**
 * When a process started, as the system writes it: equal for the same process, different for
 * another one that got the same pid. null when there is no such process or the system does not say.
 */
export function processStart(pid: number): string | null {
  if (process.platform === "linux") return linuxStart(pid);
  if (process.platform === "win32") return null;
  const { stdout, exitCode } = Bun.spawnSync(["ps", "-o", "lstart=", "-p", String(pid)]);
  const text = stdout.toString().trim();
  return exitCode === 0 && text !== "" ? text : null;
}

/** Field 22 of /proc/<pid>/stat, clock ticks since boot; the name before it may hold anything. */
function linuxStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null; // no such process
  }
}
