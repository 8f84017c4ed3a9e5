/** A loaded or loading model, as the memory rule sees it. */
export interface Resident {
  bytes: number;
  /** Loaded by a request: may be evicted. */
  jit: boolean;
  kind: string;
  isIdle: boolean;
  lastUsedMs: number;
}

export interface AdmissionRequest<R extends Resident> {
  /** 0 = unknown; then only `keepLastJit` evicts. */
  neededBytes: number;
  jit: boolean;
  kind: string;
  /** Bytes that may still be used beside `residents`. */
  availableBytes: number;
  residents: readonly R[];
  /** At most one JIT model of each kind stays loaded. */
  keepLastJit: boolean;
}

export type Admission<R> =
  { kind: "admit"; victims: readonly R[] } | { kind: "refuse"; availableBytes: number };

/**
 * What must leave before a model may load: other JIT models of its kind when only the last one is
 * kept, then idle JIT models, least recently used first, then busy ones, which are waited for.
 * Models loaded on purpose never leave. A refusal touches nobody.
 */
export function planAdmission<R extends Resident>(request: AdmissionRequest<R>): Admission<R> {
  const { neededBytes, residents, jit, kind, keepLastJit } = request;
  const replaced = residents.filter((r) => jit && keepLastJit && r.jit && r.kind === kind);
  const others = residents
    .filter((resident) => resident.jit && !replaced.includes(resident))
    .toSorted((a, b) => Number(b.isIdle) - Number(a.isIdle) || a.lastUsedMs - b.lastUsedMs);
  const victims = [...replaced];
  let available = request.availableBytes + bytesOf(replaced);
  for (const victim of others) {
    if (neededBytes <= available) break;
    victims.push(victim);
    available += victim.bytes;
  }
  if (neededBytes <= available) return { kind: "admit", victims };
  return { kind: "refuse", availableBytes: available };
}

function bytesOf(residents: readonly Resident[]): number {
  return residents.reduce((sum, resident) => sum + resident.bytes, 0);
}
