import type { CatalogModel } from "../catalog/model.ts";
import type { GpuLayers } from "../protocol/commands.ts";
import type { MemoryEstimate } from "./fit.ts";

/** Bytes by the memory that has to hold them. */
export interface Demand {
  /** Main memory. */
  ramBytes: number;
  /** Memory of all GPUs together. */
  gpuBytes: number;
}

/** Bytes that may still be used; Infinity where nobody knows or limits. */
export interface Availability extends Demand {
  /** Of both kinds together, which is what a configured limit bounds. */
  totalBytes: number;
}

export const NOTHING: Demand = Object.freeze({ ramBytes: 0, gpuBytes: 0 });

export function totalOf({ ramBytes, gpuBytes }: Demand): number {
  return ramBytes + gpuBytes;
}

export function sumOf(demands: readonly Demand[]): Demand {
  return demands.reduce(
    (sum, demand) => ({
      ramBytes: sum.ramBytes + demand.ramBytes,
      gpuBytes: sum.gpuBytes + demand.gpuBytes,
    }),
    NOTHING,
  );
}

export function fits(demand: Demand, available: Availability): boolean {
  return (
    demand.ramBytes <= available.ramBytes &&
    demand.gpuBytes <= available.gpuBytes &&
    totalOf(demand) <= available.totalBytes
  );
}

/** Left free on GPUs for compute buffers and other programs when the engine chooses the layers. */
const GPU_RESERVE_BYTES = 1024 ** 3;
/** Layers of a model whose header does not say. */
const USUAL_LAYERS = 32;

/**
 * Splits an estimate between main memory and GPU by the layers that will be computed there, as the
 * engine will choose them; the output layer counts as one more. What no layer holds stays in main
 * memory. With "auto" the GPU is never asked for more than it has.
 */
export function demandOf(
  model: CatalogModel,
  estimate: MemoryEstimate,
  gpuLayers: GpuLayers,
  gpuFreeBytes: number,
): Demand {
  const { weightBytes, kvBytes, computeBytes, totalBytes } = estimate;
  const layered = weightBytes + kvBytes;
  const layers = Math.max(1, model.header.blockCount ?? USUAL_LAYERS) + 1;
  const share = gpuShare(gpuLayers, layers, layered / layers, gpuFreeBytes);
  if (share === 0) return { ramBytes: totalBytes, gpuBytes: 0 };
  const wanted = share * layered + computeBytes;
  const gpuBytes = gpuLayers === "auto" ? Math.min(wanted, gpuFreeBytes) : wanted;
  const rest = totalBytes - layered - computeBytes;
  const ramBytes = (1 - share) * layered + (share < 1 ? computeBytes : 0) + rest;
  return { ramBytes: Math.round(ramBytes), gpuBytes: Math.round(gpuBytes) };
}

/** Part of the layers that a GPU holds, 0 to 1. */
function gpuShare(
  gpuLayers: GpuLayers,
  layers: number,
  layerBytes: number,
  gpuFreeBytes: number,
): number {
  if (gpuLayers === "off" || gpuFreeBytes <= 0) return 0;
  if (gpuLayers === "max") return 1;
  if (gpuLayers === "auto") {
    const room = Math.max(0, gpuFreeBytes - GPU_RESERVE_BYTES);
    return layerBytes === 0 ? 1 : Math.min(layers, Math.floor(room / layerBytes)) / layers;
  }
  return Math.min(1, Number.isInteger(gpuLayers) ? gpuLayers / layers : gpuLayers);
}
