/** Where the operating system tells what this process may use. Null: the file cannot be read. */
export interface CpuSources {
  readonly readFile: (path: string) => string | null;
  /** Logical processors; what the runtime reports when the files say nothing. */
  readonly logicalCount: number;
}

const CPU_FOLDER = "/sys/devices/system/cpu";

/**
 * Compute threads: the physical cores among the processors this process may run on, and never more
 * than its CPU quota. A thread beyond that makes every other one wait at each barrier.
 */
export function usableCores(sources: CpuSources): number {
  const allowed = allowedProcessors(sources);
  const cores = allowed === null ? sources.logicalCount : physicalCores(allowed, sources);
  return Math.max(1, Math.min(cores, Math.floor(cpuQuota(sources) + 0.5)));
}

/** Logical processors that this process may run on, and never more than its CPU quota. */
export function usableProcessors(sources: CpuSources): number {
  const count = allowedProcessors(sources)?.length ?? sources.logicalCount;
  return Math.max(1, Math.min(count, Math.floor(cpuQuota(sources) + 0.5)));
}

/** Processor numbers from a list such as `0-3,8`. */
export function parseCpuList(text: string): number[] {
  return text
    .trim()
    .split(",")
    .flatMap((part) => {
      const [first, last] = part.split("-");
      if (first === undefined || first === "") return [];
      const start = Number(first);
      const end = last === undefined ? start : Number(last);
      return Array.from({ length: Math.max(0, end - start + 1) }, (_, index) => start + index);
    });
}

function allowedProcessors({ readFile }: CpuSources): number[] | null {
  const status = readFile("/proc/self/status");
  const list = status === null ? null : /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1];
  const processors = list ? parseCpuList(list) : [];
  return processors.length === 0 ? null : processors;
}

/** Processors that share a core count once. */
function physicalCores(processors: readonly number[], { readFile }: CpuSources): number {
  const cores = processors.map((processor) => {
    const siblings =
      readFile(`${CPU_FOLDER}/cpu${processor}/topology/core_cpus_list`) ??
      readFile(`${CPU_FOLDER}/cpu${processor}/topology/thread_siblings_list`);
    return siblings?.trim() ?? String(processor);
  });
  return new Set(cores).size;
}

/** Processors' worth of time that the control groups grant; Infinity without a limit. */
function cpuQuota(sources: CpuSources): number {
  const groups = sources.readFile("/proc/self/cgroup") ?? "";
  const quotas = groups.split("\n").flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) return [];
    if (controllers === "") return parents(path).map((folder) => quotaV2(sources, folder));
    if (!controllers.split(",").includes("cpu")) return [];
    return parents(path).map((folder) => quotaV1(sources, folder));
  });
  return Math.min(Infinity, ...quotas);
}

/** A group and all above it: the smallest limit of them holds. */
function parents(path: string): string[] {
  const names = path.split("/").filter((name) => name !== "" && name !== "..");
  return names.reduce<string[]>((folders, name) => [...folders, `${folders.at(-1)}/${name}`], [""]);
}

function quotaV2({ readFile }: CpuSources, folder: string): number {
  const [quota, period] = (readFile(`/sys/fs/cgroup${folder}/cpu.max`) ?? "").trim().split(" ");
  return ratio(quota, period);
}

function quotaV1({ readFile }: CpuSources, folder: string): number {
  const root = `/sys/fs/cgroup/cpu${folder}`;
  return ratio(
    readFile(`${root}/cpu.cfs_quota_us`) ?? undefined,
    readFile(`${root}/cpu.cfs_period_us`) ?? undefined,
  );
}

/** "max", -1 and what is not a number mean no limit. */
function ratio(quota: string | undefined, period: string | undefined): number {
  const granted = Number(quota) / Number(period);
  return granted > 0 ? granted : Infinity;
}
