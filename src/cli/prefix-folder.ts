import { join } from "node:path";
import { DiskSpace } from "../engine/archive/disk-space.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";

/** Where computed prompts of all models are kept. */
export const prefixFolder = (cacheDir: string): string => join(cacheDir, "prefixes");

/**
 * Removes what an earlier start kept beyond today's cap: all of it where nothing is to be kept. Engines
 * look at the cap when they write, so without this a folder that nobody writes to would stay as it is.
 */
export async function keepPrefixCap(
  cacheDir: string,
  maxBytes: number,
  { clock, log }: { clock: Clock; log: Log },
): Promise<void> {
  const bytes = await new DiskSpace(prefixFolder(cacheDir), maxBytes, clock).keepCap();
  if (bytes > 0) log.warn("computed prompts beyond the cap cannot be removed", { bytes });
}
