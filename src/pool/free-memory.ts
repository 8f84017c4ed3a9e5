import { readFileSync } from "node:fs";
import { freemem, totalmem } from "node:os";

export interface MemoryState {
  /** Bytes this process and its children may hold in all. */
  totalBytes: number;
  /** Bytes of them not in use now. Clean file pages count as free. */
  availableBytes: number;
}

/** Reads a small file of the system; null when it is absent. */
export type ReadSystemFile = (path: string) => string | null;

/**
 * Memory of the machine, or of the control group this process runs in when that is less.
 * Sources: /proc/meminfo; cgroup v2 memory.max and memory.current; cgroup v1 memory.limit_in_bytes.
 */
export function memoryState(read: ReadSystemFile = readSystemFile): MemoryState {
  const meminfo = read("/proc/meminfo");
  let totalBytes = field(meminfo, "MemTotal") ?? totalmem();
  let availableBytes = field(meminfo, "MemAvailable") ?? freemem();
  for (const folder of groupFolders(read("/proc/self/cgroup"))) {
    const limit = bytes(
      read(`${folder.path}/${folder.v2 ? "memory.max" : "memory.limit_in_bytes"}`),
    );
    if (limit === null || limit >= totalBytes) continue;
    const used =
      bytes(read(`${folder.path}/${folder.v2 ? "memory.current" : "memory.usage_in_bytes"}`)) ?? 0;
    const files = Number(
      /^inactive_file (\d+)$/m.exec(read(`${folder.path}/memory.stat`) ?? "")?.[1],
    );
    const held = Math.max(0, used - (Number.isFinite(files) ? files : 0));
    totalBytes = limit;
    availableBytes = Math.min(availableBytes, Math.max(0, limit - held));
  }
  return { totalBytes, availableBytes };
}

interface GroupFolder {
  path: string;
  v2: boolean;
}

/** The folders of this process's memory group and its parents: each may set a limit. */
function groupFolders(cgroup: string | null): GroupFolder[] {
  const folders: GroupFolder[] = [];
  for (const line of (cgroup ?? "").split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    const v2 = controllers === "";
    if (!v2 && !controllers.split(",").includes("memory")) continue;
    const root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const parts = path.split("/").filter((part) => part !== "");
    for (let depth = 0; depth <= parts.length; depth += 1) {
      folders.push({ path: [root, ...parts.slice(0, depth)].join("/"), v2 });
    }
  }
  return folders;
}

function field(meminfo: string | null, name: string): number | null {
  const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(meminfo ?? "")?.[1];
  return kib === undefined ? null : Number(kib) * 1_024;
}

/** A number of bytes; "max" and everything else is no limit. */
function bytes(text: string | null): number | null {
  const trimmed = text?.trim() ?? "";
  return /^\d+$/.test(trimmed) ? Number(trimmed) : null;
}

function readSystemFile(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error) return null;
    throw error;
  }
}
