import type { Log } from "../lib/log.ts";
import { mayHaveGpu } from "../lib/graphics-devices.ts";
import { ExitError } from "./command.ts";
import { probeEngine, type EngineProbe } from "./engine-probe.ts";

/**
 * Free memory of all GPUs, as a probe of the engine sees it; null when the probe fails.
 * @param mayHave whether the machine shows a device at all: the probe takes time.
 */
export async function gpuFreeBytes(
  engineCommand: readonly string[],
  log: Log,
  mayHave: () => boolean = mayHaveGpu,
): Promise<number | null> {
  if (!mayHave()) return 0;
  try {
    const { devices } = await probeEngine(engineCommand, process.env);
    return freeGpuBytesOf(devices);
  } catch (error) {
    if (!(error instanceof ExitError)) throw error;
    log.warn("the memory of the GPU is unknown", { reason: error.message });
    return null;
  }
}

/**
 * Free memory of the cards behind the devices. A card that two of llama.cpp's backends can use shows
 * twice, as CUDA0 and Vulkan0, under one description, and counts once.
 */
export function freeGpuBytesOf(devices: EngineProbe["devices"]): number {
  const cards = Map.groupBy(
    devices.filter(({ isGpu }) => isGpu),
    ({ description }) => description,
  );
  let total = 0;
  for (const shown of cards.values()) {
    const backends = Map.groupBy(shown, ({ name }) => name.replace(/\d+$/, ""));
    const sums = [...backends.values()].map((own) =>
      own.reduce((sum, { freeBytes }) => sum + freeBytes, 0),
    );
    total += Math.max(...sums);
  }
  return total;
}
