import { after, sumOf, type Availability, type Demand } from "./demand.ts";

/** What holds memory, or will: its demand is that of its engine, loaded, loading or promised. */
export interface Holder {
  demand: Demand;
}

interface Reservation<H> {
  holder: H;
  /** In memory at most until `holder` begins to load. */
  awaited: ReadonlySet<H>;
}

/**
 * Memory promised to models that begin to load when others have left. A model and those it waits
 * for are never in memory together; everything else may be, and each of these sets has to fit.
 */
export class Reservations<H extends Holder> {
  /** In the order of admission, so that nobody waits for a later one. */
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
    const rests = this.#together(holders, left).map((set) =>
      after(capacity, negative(sumOf(set.map(({ demand }) => demand)))),
    );
    const least = (of: keyof Availability) =>
      Math.max(0, Math.min(...rests.map((rest) => rest[of])));
    return {
      ramBytes: least("ramBytes"),
      gpuBytes: least("gpuBytes"),
      totalBytes: least("totalBytes"),
    };
  }

  /** Who may be in memory together: now, and when each that waits has begun, after all before it. */
  #together(holders: readonly H[], left: readonly H[]): H[][] {
    const staying = holders.filter((holder) => !left.includes(holder));
    const present = staying.filter((holder) => !this.has(holder));
    const begun = this.#all.filter(({ holder }) => staying.includes(holder));
    const later = begun.map(({ awaited }, index) =>
      [...present, ...begun.slice(0, index + 1).map(({ holder }) => holder)].filter(
        (holder) => !awaited.has(holder),
      ),
    );
    return [present, ...later];
  }
}

function negative({ ramBytes, gpuBytes }: Demand): Demand {
  return { ramBytes: -ramBytes, gpuBytes: -gpuBytes };
}
