import type { CostLine } from "./step-cost.ts";

/** A guess must be worth this much more than what it delays. */
const MARGIN = 1.1;
/** Beside other streams a step may take so many times what it takes without guesses. */
const LONGEST_STRETCH = 2;

/** What one sequence could have tried in this step. */
export interface Offer {
  /** Most tokens. */
  most: number;
  /** That each next one is right when those before it are. */
  chance: number;
  /** What guessing one costs, beside the row that checks it; in the unit of the cost line. */
  guessCost: number;
}

/**
 * How many guessed tokens of each sequence join a step of `streams` tokens, at most `room` in all.
 * The likeliest come first; one more joins while the tokens it is likely to bring exceed those that
 * its time would bring otherwise. With many streams that is never: then computing is the limit.
 */
export function planRows(
  offers: readonly Offer[],
  streams: number,
  cost: CostLine,
  room: number,
): number[] {
  const counts = offers.map(() => 0);
  const chances = offers.map(({ most, chance }) => (most > 0 ? chance : 0));
  const alone = cost.fixed + cost.row * streams;
  const longest = streams > 1 ? alone * LONGEST_STRETCH : Infinity;
  let duration = alone;
  let expected = streams;
  for (let left = room; left > 0; left--) {
    const best = largestIndex(chances);
    const offer = offers[best];
    const chance = chances[best] ?? 0;
    if (offer === undefined || chance === 0) break;
    const price = cost.row + offer.guessCost;
    if (duration + price > longest || chance * duration <= MARGIN * price * expected) {
      chances[best] = 0;
      continue;
    }
    expected += chance;
    duration += price;
    const count = (counts[best] ?? 0) + 1;
    counts[best] = count;
    chances[best] = count < offer.most ? chance * offer.chance : 0;
  }
  return counts;
}

function largestIndex(values: readonly number[]): number {
  let best = 0;
  for (let index = 1; index < values.length; index++) {
    if ((values[index] ?? 0) > (values[best] ?? 0)) best = index;
  }
  return best;
}
