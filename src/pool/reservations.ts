import { sumOf, totalOf, type Availability, type Demand } from "./demand.ts";

/** What holds memory, or will: its demand is that of its engine, loaded, loading or promised. */
export interface Holder {
  demand: Demand;
}

interface Reservation<H> {
  holder: H;
  /** In memory at most until `holder` begins to load. */
  awaited: ReadonlySet<H>;
}

/** Bytes in use, counted as those that may be used are. */
type Use = Availability;

/**
 * Memory promised to models that begin to load when others have left. A model and those it waits
 * for are never in memory together; everything else may be, and each of these sets has to fit.
 */
export class Reservations<H extends Holder> {
  /**
   * In the order of admission: each waits only for such as were there before it, so that no two wait
   * for each other, and one that returns comes last. They begin in any order.
   */
  #all: readonly Reservation<H>[] = [];

  /** One that held memory before has left it since: whoever waited for that waits no longer. */
  add(holder: H, awaited: readonly H[]): void {
    const before = this.#all.map((one) => ({
      ...one,
      awaited: new Set([...one.awaited].filter((other) => other !== holder)),
    }));
    this.#all = [...before, { holder, awaited: new Set(awaited) }];
  }

  awaitedBy(holder: H): readonly H[] {
    return [...(this.#all.find((one) => one.holder === holder)?.awaited ?? [])];
  }

  delete(holder: H): void {
    this.#all = this.#all.filter((one) => one.holder !== holder);
  }

  has(holder: H): boolean {
    return this.#all.some((one) => one.holder === holder);
  }

  /**
   * What one more may use from the moment on when `left` are gone, whoever else loads meanwhile.
   * @param capacity of everything together. @param holders all there are, those that wait included.
   */
  available(capacity: Availability, holders: readonly H[], left: readonly H[]): Availability {
    const uses = this.#uses(holders, left);
    const least = (of: keyof Availability) =>
      Math.max(0, Math.min(...uses.map((use) => capacity[of] - use[of])));
    return {
      ramBytes: least("ramBytes"),
      gpuBytes: least("gpuBytes"),
      totalBytes: least("totalBytes"),
    };
  }

  /** The most that is in use: now, and when each that waits has begun, with any of those before it. */
  #uses(holders: readonly H[], left: readonly H[]): Use[] {
    const staying = holders.filter((holder) => !left.includes(holder));
    const present = staying.filter((holder) => !this.has(holder));
    const begun = this.#all.filter(({ holder }) => staying.includes(holder));
    const later = begun.map(({ awaited }, index) => {
      const together = [...present, ...begun.slice(0, index + 1).map(({ holder }) => holder)];
      const others = together.filter((holder) => !awaited.has(holder));
      return mostUseOf(others, begun.slice(0, index));
    });
    return [mostUseOf(present, []), ...later];
  }
}

/**
 * The most that these use together, each kind of memory on its own: either one that waits, or those
 * it awaits. Some of what it counts together may still exclude each other, never the other way.
 */
function mostUseOf<H extends Holder>(
  holders: readonly H[],
  reservations: readonly Reservation<H>[],
): Use {
  const last = reservations.at(-1);
  if (last === undefined || holders.length === 0) return useOf(holders);
  const before = reservations.slice(0, -1);
  if (!holders.includes(last.holder)) return mostUseOf(holders, before);
  const others = holders.filter((holder) => holder !== last.holder);
  const awaited = others.filter((holder) => last.awaited.has(holder));
  const rest = others.filter((holder) => !last.awaited.has(holder));
  const one = combined(useOf([last.holder]), mostUseOf(awaited, before), Math.max);
  return combined(one, mostUseOf(rest, before), (a, b) => a + b);
}

function useOf(holders: readonly Holder[]): Use {
  const sum = sumOf(holders.map(({ demand }) => demand));
  return { ...sum, totalBytes: totalOf(sum) };
}

function combined(a: Use, b: Use, combine: (a: number, b: number) => number): Use {
  return {
    ramBytes: combine(a.ramBytes, b.ramBytes),
    gpuBytes: combine(a.gpuBytes, b.gpuBytes),
    totalBytes: combine(a.totalBytes, b.totalBytes),
  };
}
