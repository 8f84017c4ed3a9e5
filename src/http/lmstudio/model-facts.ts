import type { CatalogModel } from "../../catalog/model.ts";
import { findNamed } from "../../chat/resolve-model.ts";
import { modelNotFound } from "../../catalog/model-not-found.ts";
import type { InstanceStatus } from "../../pool/pool.ts";
import type { Deps } from "../deps.ts";

/** Whole bits of a weight by the start of the quantisation's name. */
const BITS: readonly (readonly [prefix: RegExp, bits: number])[] = [
  [/^(I?Q|TQ)([1-8])/, 0],
  [/^MXFP4/, 4],
  [/^NVFP4/, 4],
  [/^(B?F16)/, 16],
  [/^F32/, 32],
  [/^F64/, 64],
];

/** Bits per weight of a quantisation such as "Q4_K_M"; null = not known. */
export function bitsPerWeight(quantization: string): number | null {
  const row = BITS.find(([prefix]) => prefix.test(quantization));
  if (!row) return null;
  return row[1] === 0 ? Number(row[0].exec(quantization)?.[2]) : row[1];
}

/** Instances that can answer, of one model, by identifier. */
export function readyInstances(
  instances: readonly InstanceStatus[],
  model: CatalogModel,
): InstanceStatus[] {
  return instances
    .filter(({ model: { path }, state, info }) => path === model.path && state === "ready" && info)
    .toSorted((a, b) => (a.identifier < b.identifier ? -1 : 1));
}

/** Of one model's instances the one with this identifier, as it is written or else in any case. */
export function instanceNamed(
  instances: readonly InstanceStatus[],
  name: string,
): InstanceStatus | null {
  const folded = name.toLowerCase();
  const exact = instances.find(({ identifier }) => identifier === name);
  return exact ?? instances.find(({ identifier }) => identifier.toLowerCase() === folded) ?? null;
}

/**
 * The model that a chat would have with this name; never a model just because it is the only one.
 * @throws LmError model_not_found.
 */
export async function findModel({ catalog, pool }: Deps, name: string): Promise<CatalogModel> {
  const model = await findNamed({ catalog }, pool.instances(), name);
  if (model) return model;
  const available = (await catalog.list()).map(({ key }) => key);
  throw modelNotFound(name, available);
}
