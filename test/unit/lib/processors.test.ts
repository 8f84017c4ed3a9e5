import { describe, expect, test } from "bun:test";
import {
  type CpuSources,
  parseCpuList,
  usableCores,
  usableProcessors,
} from "../../../src/lib/processors.ts";

const CPU = "/sys/devices/system/cpu";

/** `cores`: one list of processors per physical core. */
function machine(
  cores: readonly string[],
  allowed: string,
  files: Readonly<Record<string, string>> = {},
): CpuSources {
  const all = new Map(Object.entries(files));
  all.set("/proc/self/status", `Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t${allowed}\n`);
  for (const list of cores) {
    for (const processor of parseCpuList(list)) {
      all.set(`${CPU}/cpu${processor}/topology/core_cpus_list`, `${list}\n`);
    }
  }
  return { readFile: (path) => all.get(path) ?? null, logicalCount: 64 };
}

const V2 = { "/proc/self/cgroup": "0::/user.slice/app\n" };
const V1 = { "/proc/self/cgroup": "11:memory:/x\n4:cpu,cpuacct:/docker/abc\n" };
const FOUR_CORES = ["0-1", "2-3", "4-5", "6-7"];

type Case = { name: string; sources: CpuSources; threads: number };
const cases: Case[] = [
  { name: "hyperthreads count once", sources: machine(FOUR_CORES, "0-7"), threads: 4 },
  { name: "affinity limits", sources: machine(FOUR_CORES, "0-2"), threads: 2 },
  { name: "two halves of one core", sources: machine(FOUR_CORES, "0-1"), threads: 1 },
  { name: "far processors", sources: machine(["0", "5", "9"], "0,5,9"), threads: 3 },
  {
    name: "a version 2 quota limits",
    sources: machine(FOUR_CORES, "0-7", {
      ...V2,
      "/sys/fs/cgroup/user.slice/app/cpu.max": "200000 100000\n",
    }),
    threads: 2,
  },
  {
    name: "a version 2 quota of a parent limits",
    sources: machine(FOUR_CORES, "0-7", {
      ...V2,
      "/sys/fs/cgroup/user.slice/app/cpu.max": "max 100000\n",
      "/sys/fs/cgroup/user.slice/cpu.max": "100000 100000\n",
    }),
    threads: 1,
  },
  {
    name: "a namespaced version 2 root limits",
    sources: machine(FOUR_CORES, "0-7", {
      "/proc/self/cgroup": "0::/\n",
      "/sys/fs/cgroup/cpu.max": "300000 100000\n",
    }),
    threads: 3,
  },
  {
    name: "a version 1 quota limits",
    sources: machine(FOUR_CORES, "0-7", {
      ...V1,
      "/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "150000\n",
      "/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n",
    }),
    threads: 2,
  },
  {
    name: "a version 1 quota seen from inside its container limits",
    sources: machine(FOUR_CORES, "0-7", {
      ...V1,
      "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n",
      "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }),
    threads: 1,
  },
  {
    name: "a version 1 quota of -1 is no limit",
    sources: machine(FOUR_CORES, "0-7", {
      ...V1,
      "/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "-1\n",
      "/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n",
    }),
    threads: 4,
  },
  {
    name: "a tenth of a processor is still one thread",
    sources: machine(FOUR_CORES, "0-7", {
      ...V2,
      "/sys/fs/cgroup/user.slice/app/cpu.max": "10000 100000\n",
    }),
    threads: 1,
  },
  {
    name: "without files the runtime's count holds",
    sources: { readFile: () => null, logicalCount: 6 },
    threads: 6,
  },
  {
    name: "without topology every processor is a core",
    sources: machine([], "0-4"),
    threads: 5,
  },
];

describe("compute threads", () => {
  test.each(cases)("$name", ({ sources, threads }) => {
    expect(usableCores(sources)).toBe(threads);
  });

  test("processors are counted one by one, within affinity and quota", () => {
    expect(usableProcessors(machine(FOUR_CORES, "0-7"))).toBe(8);
    expect(usableProcessors(machine(FOUR_CORES, "0-2"))).toBe(3);
    const quota = { ...V2, "/sys/fs/cgroup/user.slice/app/cpu.max": "200000 100000\n" };
    expect(usableProcessors(machine(FOUR_CORES, "0-7", quota))).toBe(2);
    expect(usableProcessors({ readFile: () => null, logicalCount: 64 })).toBe(64);
  });

  test("processor lists are read in all their forms", () => {
    expect(parseCpuList("0-3,8\n")).toEqual([0, 1, 2, 3, 8]);
    expect(parseCpuList("")).toEqual([]);
    expect(parseCpuList("7")).toEqual([7]);
  });
});
