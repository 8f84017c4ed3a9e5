import { NO_ADAPTERS, type AdapterSet } from "./adapter-sets.ts";
import type { Slot } from "./slot.ts";

/**
 * Rows that one set of adapters computes before another one has its turn: some steps of streams, or
 * one piece of a prompt.
 */
const TURN_ROWS = 16;

/** Which set of adapters computes next: each decode holds sequences of one set only. */
export class AdapterTurns {
  #current: AdapterSet = NO_ADAPTERS;
  #rows = 0;

  /** The set of the next decode. `slots` are those that can compute, the oldest first. */
  next(slots: readonly Slot[]): AdapterSet {
    const isWanted = slots.some((slot) => setOf(slot).key === this.#current.key);
    if (isWanted && this.#rows < TURN_ROWS) return this.#current;
    this.#rows = 0;
    const sets = new Map(slots.map((slot) => [setOf(slot).key, setOf(slot)]));
    const keys = [...sets.keys()];
    // Behind the current one in the order of the oldest slots: all come round.
    const after = keys[(keys.indexOf(this.#current.key) + 1) % Math.max(keys.length, 1)];
    this.#current = sets.get(after ?? "") ?? this.#current;
    return this.#current;
  }

  /** The decode of the current set had so many rows. */
  record(rows: number): void {
    this.#rows += rows;
  }
}

function setOf({ choice }: Slot): AdapterSet {
  return choice.job.adapters;
}
