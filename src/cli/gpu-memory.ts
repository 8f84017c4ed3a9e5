import type { Log } from "../lib/log.ts";
import { mayHaveGpu } from "../lib/graphics-devices.ts";
import { ExitError } from "./command.ts";
import { probeEngine } from "./engine-probe.ts";

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
    return devices.reduce((sum, device) => sum + (device.isGpu ? device.freeBytes : 0), 0);
  } catch (error) {
    if (!(error instanceof ExitError)) throw error;
    log.warn("the memory of the GPU is unknown", { reason: error.message });
    return null;
  }
}
