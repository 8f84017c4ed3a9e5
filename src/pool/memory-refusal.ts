import type { CatalogModel } from "../catalog/model.ts";
import { LmError } from "../lib/errors.ts";
import { totalOf, type Availability, type Demand } from "./demand.ts";

/** The refusal of a model that does not fit, with the numbers of the memory that is too small. */
export function insufficientMemory(
  model: CatalogModel,
  demand: Demand,
  available: Availability,
): LmError<"insufficient_memory"> {
  const lacksGpu = demand.gpuBytes > available.gpuBytes;
  const lacksRam = demand.ramBytes > available.ramBytes;
  const what = lacksGpu ? "GPU memory" : "memory";
  const neededBytes = lacksGpu ? demand.gpuBytes : lacksRam ? demand.ramBytes : totalOf(demand);
  const availableBytes = lacksGpu
    ? available.gpuBytes
    : Math.min(lacksRam ? available.ramBytes : Infinity, available.totalBytes);
  return new LmError(
    "insufficient_memory",
    { model: model.key, neededBytes, availableBytes },
    `Model "${model.key}" needs about ${sizeText(neededBytes)} of ${what}, ${sizeText(availableBytes)} are free.`,
  );
}

function sizeText(bytes: number): string {
  const gib = bytes / 2 ** 30;
  return gib < 1 ? `${Math.round(gib * 1_024)} MiB` : `${gib.toFixed(1)} GiB`;
}
