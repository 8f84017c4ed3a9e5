import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { gpuFreeBytes } from "../../src/cli/gpu-memory.ts";
import { silentLog, type Log } from "../../src/lib/log.ts";
import type { ModelPool } from "../../src/pool/model-pool.ts";
import { fakeModel } from "../http/fakes.ts";
import { fakeSpawner } from "../support/fake-channel.ts";
import { failure, LOAD_DEFAULTS, never, scriptedPool } from "../support/pool-fixture.ts";
import { modelHeader } from "../support/model-header.ts";

const GIB = 2 ** 30;
const CHILD = join(import.meta.dir, "../support/probe-child.ts");
const yes = (): boolean => true;

interface Shown {
  isGpu: boolean;
  freeBytes: number;
  name?: string;
  description?: string;
}

const device = ({ isGpu, freeBytes, name, description }: Shown) => ({
  name: name ?? (isGpu ? "CUDA0" : "CPU"),
  description: description ?? "",
  isGpu,
  freeBytes,
  totalBytes: 24 * GIB,
});

/** What starts an engine that shows these devices. */
const machine = (devices: readonly Shown[]): string[] => [
  process.execPath,
  CHILD,
  JSON.stringify(devices.map(device)),
];

let pool: ModelPool | null = null;
afterEach(async () => {
  await pool?.close(0);
  pool = null;
});

test("the memory of all GPUs counts, that of the processor does not", async () => {
  const devices = [
    { isGpu: false, freeBytes: 60 * GIB },
    { isGpu: true, freeBytes: 10 * GIB },
    { isGpu: true, freeBytes: 6 * GIB },
  ];
  expect(await gpuFreeBytes(machine(devices), silentLog, yes)).toBe(16 * GIB);
  expect(await gpuFreeBytes(machine(devices.slice(0, 1)), silentLog, yes)).toBe(0);
});

test("a card that two backends show counts once", async () => {
  const card = (name: string, description: string, gib: number): Shown => ({
    isGpu: true,
    freeBytes: gib * GIB,
    name,
    description,
  });
  const devices = [
    card("CUDA0", "A", 10),
    card("CUDA1", "A", 8),
    card("Vulkan0", "A", 9),
    card("Vulkan1", "A", 8),
    card("Vulkan2", "B", 4),
  ];
  expect(await gpuFreeBytes(machine(devices), silentLog, yes)).toBe(22 * GIB);
});

test("a machine that shows no device is not probed, and a probe that dies is unknown memory", async () => {
  expect(await gpuFreeBytes(["/no/such/engine"], silentLog, () => false)).toBe(0);
  const warnings: string[] = [];
  const log: Log = { ...silentLog, warn: (message) => void warnings.push(message) };
  expect(await gpuFreeBytes([process.execPath, CHILD, "crash"], log, yes)).toBeNull();
  expect(warnings).toEqual(["the memory of the GPU is unknown"]);
});

test("a model that shall lie on the GPU is admitted by what the probe says is free there", async () => {
  const header = modelHeader({
    tensorBytes: 8 * GIB,
    blockCount: 32,
    headCount: [32],
    headCountKv: [8],
    vocabularySize: 32_000,
  });
  const model = fakeModel({ header, sizeBytes: 8 * GIB, embeddingSize: 4_096 });
  let devices: Shown[] = [{ isGpu: true, freeBytes: 4 * GIB }];
  const { spawn, engines } = fakeSpawner();
  pool = scriptedPool({
    spawn,
    load: { ...LOAD_DEFAULTS, gpuLayers: "max" },
    availableBytes: () => 64 * GIB,
    gpuFreeBytes: () => gpuFreeBytes(machine(devices), silentLog, yes),
  });
  const refused = await failure(pool.acquire(model, never()));
  expect(refused.code).toBe("insufficient_memory");
  expect(refused.message).toMatch(/of GPU memory, 4\.0 GiB are free/);
  expect(engines).toHaveLength(0);
  devices = [{ isGpu: true, freeBytes: 12 * GIB }];
  const loading = pool.acquire(model, never()).catch(() => null);
  while (engines.length === 0) await Bun.sleep(1);
  expect(engines).toHaveLength(1);
  await pool.close(0);
  await loading;
});
