import { expect, test } from "bun:test";
import { memoryState } from "../../../src/pool/free-memory.ts";

const MEMINFO = "MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:    8000000 kB\n";
const KIB = 1_024;

interface Case {
  name: string;
  files: Record<string, string>;
  total: number;
  available: number;
}

const cases: Case[] = [
  { name: "no group", files: {}, total: 16_000_000 * KIB, available: 8_000_000 * KIB },
  {
    name: "a v2 group without limit",
    files: { "/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/memory.max": "max\n" },
    total: 16_000_000 * KIB,
    available: 8_000_000 * KIB,
  },
  {
    name: "a v2 group; its file pages can be dropped",
    files: {
      "/proc/self/cgroup": "0::/a/b\n",
      "/sys/fs/cgroup/a/b/memory.max": "1000000\n",
      "/sys/fs/cgroup/a/b/memory.current": "700000\n",
      "/sys/fs/cgroup/a/b/memory.stat": "anon 1\ninactive_file 200000\nfile 3\n",
    },
    total: 1_000_000,
    available: 500_000,
  },
  {
    name: "a parent's smaller limit",
    files: {
      "/proc/self/cgroup": "0::/a/b\n",
      "/sys/fs/cgroup/a/memory.max": "500000\n",
      "/sys/fs/cgroup/a/memory.current": "100000\n",
      "/sys/fs/cgroup/a/b/memory.max": "1000000\n",
      "/sys/fs/cgroup/a/b/memory.current": "0\n",
    },
    total: 500_000,
    available: 400_000,
  },
  {
    name: "a v1 group",
    files: {
      "/proc/self/cgroup": "5:cpu:/x\n4:memory:/x\n0::/\n",
      "/sys/fs/cgroup/memory/x/memory.limit_in_bytes": "2000000\n",
      "/sys/fs/cgroup/memory/x/memory.usage_in_bytes": "2500000\n",
    },
    total: 2_000_000,
    available: 0,
  },
  {
    name: "a v1 group with the number that means no limit",
    files: {
      "/proc/self/cgroup": "4:memory:/\n",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    },
    total: 16_000_000 * KIB,
    available: 8_000_000 * KIB,
  },
];

test.each(cases)("memory of this process: $name", ({ files, total, available }) => {
  const all: Record<string, string> = { "/proc/meminfo": MEMINFO, ...files };
  const state = memoryState((path) => all[path] ?? null);
  expect(state).toEqual({ totalBytes: total, availableBytes: available });
});

test("this machine has memory", () => {
  const { totalBytes, availableBytes } = memoryState();
  expect(availableBytes).toBeGreaterThan(0);
  expect(totalBytes).toBeGreaterThanOrEqual(availableBytes);
});
