import { fits, type Availability, type Demand } from "./demand.ts";

/** A loaded or loading model, as the memory rule sees it. */
export interface Resident {
  demand: Demand;
  /** Loaded by a request: may be evicted. */
  jit: boolean;
  kind: string;
  isIdle: boolean;
  /** On its way out already, for whatever reason. */
  isEnding: boolean;
  lastUsedMs: number;
}

export interface AdmissionRequest<R extends Resident> {
  /** What the model needs where so much is available: more GPU memory takes more of its layers. */
  needed: (available: Availability) => Demand;
  jit: boolean;
  kind: string;
  /** What may be used beside `residents` once some of them have left. */
  available: (left: readonly R[]) => Availability;
  residents: readonly R[];
  /** At most one JIT model of each kind stays loaded. */
  keepLastJit: boolean;
}

export type Admission<R> =
  | { kind: "admit"; demand: Demand; victims: readonly R[] }
  /** Even without all that may leave there is only this much. */
  | { kind: "refuse"; demand: Demand; available: Availability };

/**
 * Who must leave before a model may load: other JIT models of its kind when only the last one is
 * kept, then idle JIT models, least recently used first, then those that leave anyway when their
 * requests are done, then busy ones. Models loaded on purpose do not leave for another. A refusal
 * touches nobody.
 */
export function planAdmission<R extends Resident>(request: AdmissionRequest<R>): Admission<R> {
  const { needed, residents, jit, kind, keepLastJit } = request;
  const replaced = residents.filter((r) => jit && keepLastJit && r.jit && r.kind === kind);
  const others = residents
    .filter((resident) => (resident.jit || resident.isEnding) && !replaced.includes(resident))
    .toSorted((a, b) => rank(a) - rank(b) || a.lastUsedMs - b.lastUsedMs);
  const victims = [...replaced];
  let available = request.available(victims);
  for (const victim of others) {
    if (fits(needed(available), available)) break;
    victims.push(victim);
    available = request.available(victims);
  }
  const demand = needed(available);
  if (fits(demand, available)) return { kind: "admit", demand, victims };
  return { kind: "refuse", demand, available };
}

function rank({ isIdle, isEnding }: Resident): number {
  return (isIdle ? 0 : 2) + (isEnding ? 0 : 1);
}
