import { bitsOf, largest } from "./largest.ts";

/** Blocks per wanted value: more make the bound tighter and its search longer. */
const BLOCKS_PER_VALUE = 8;

/** A lower bound of the largest values, and where values that reach it can lie. */
export interface TopBound {
  /** At least `count` values reach it, and few more. */
  bound: number;
  /** Length of each block but the last. */
  blockSize: number;
  /** The largest value of each block. */
  maxima: Float32Array;
}

/**
 * The count-th largest of the maxima of equal blocks: each of those maxima is itself a value that
 * reaches it, so none of the `count` largest is missed.
 * @returns null when the values are too few for this to pay.
 */
export function topBound(values: Float32Array, count: number): TopBound | null {
  const blockSize = Math.floor(values.length / (BLOCKS_PER_VALUE * count));
  if (blockSize < 8) return null;
  const bits = bitsOf(values);
  const maxima = new Float32Array(Math.ceil(values.length / blockSize));
  for (let block = 0, start = 0; block < maxima.length; block++, start += blockSize) {
    const end = Math.min(start + blockSize, values.length);
    maxima[block] = largest(values, bits, start, end);
  }
  return { bound: maxima.toSorted().at(-count) ?? -Infinity, blockSize, maxima };
}

/** Where the values lie that reach the bound. */
export function indicesAtLeast(values: Float32Array, top: TopBound): number[] {
  const { bound, blockSize, maxima } = top;
  const found: number[] = [];
  for (let block = 0; block < maxima.length; block++) {
    if ((maxima[block] as number) < bound) continue;
    const end = Math.min((block + 1) * blockSize, values.length);
    for (let at = block * blockSize; at < end; at++) {
      if ((values[at] as number) >= bound) found.push(at);
    }
  }
  return found;
}
