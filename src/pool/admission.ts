import { after, fits, sumOf, type Availability, type Demand } from "./demand.ts";

/** A loaded or loading model, as the memory rule sees it. */
export interface Resident {
  demand: Demand;
  /** Loaded by a request: may be evicted. */
  jit: boolean;
  kind: string;
  isIdle: boolean;
  lastUsedMs: number;
}

export interface AdmissionRequest<R extends Resident> {
  /** What the model needs where so much is available: more GPU memory takes more of its layers. */
  needed: (available: Availability) => Demand;
  jit: boolean;
  kind: string;
  /** What may still be used beside `residents`. */
  available: Availability;
  residents: readonly R[];
  /** At most one JIT model of each kind stays loaded. */
  keepLastJit: boolean;
}

export type Admission<R> =
  | { kind: "admit"; demand: Demand; victims: readonly R[] }
  /** Even without all that may leave there is only this much. */
  | { kind: "refuse"; demand: Demand; available: Availability };

/**
 * What must leave before a model may load: other JIT models of its kind when only the last one is
 * kept, then idle JIT models, least recently used first, then busy ones, which are waited for.
 * Models loaded on purpose never leave. A refusal touches nobody.
 */
export function planAdmission<R extends Resident>(request: AdmissionRequest<R>): Admission<R> {
  const { needed, residents, jit, kind, keepLastJit } = request;
  const replaced = residents.filter((r) => jit && keepLastJit && r.jit && r.kind === kind);
  const others = residents
    .filter((resident) => resident.jit && !replaced.includes(resident))
    .toSorted((a, b) => Number(b.isIdle) - Number(a.isIdle) || a.lastUsedMs - b.lastUsedMs);
  const victims = [...replaced];
  let available = after(request.available, sumOf(replaced.map((resident) => resident.demand)));
  for (const victim of others) {
    if (fits(needed(available), available)) break;
    victims.push(victim);
    available = after(available, victim.demand);
  }
  const demand = needed(available);
  if (fits(demand, available)) return { kind: "admit", demand, victims };
  return { kind: "refuse", demand, available };
}
