/** Blocks per wanted value: more make the bound tighter and its search longer. */
const BLOCKS_PER_VALUE = 8;

/**
 * A number that at least `count` values reach, and few more: the count-th largest of the maxima of
 * equal blocks. Each of those maxima is itself such a value, so no larger value is missed.
 * @returns null when the values are too few for this to pay.
 */
export function topBound(values: Float32Array, count: number): number | null {
  const size = Math.floor(values.length / (BLOCKS_PER_VALUE * count));
  if (size < 8) return null;
  const maxima = new Float32Array(Math.ceil(values.length / size));
  for (let block = 0, start = 0; block < maxima.length; block++, start += size) {
    const end = Math.min(start + size, values.length);
    let largest = -Infinity;
    for (let at = start; at < end; at++) {
      const value = values[at] as number;
      if (value > largest) largest = value;
    }
    maxima[block] = largest;
  }
  return maxima.toSorted().at(-count) ?? null;
}
