/** What the engine makes of an embedding model, and the server counts before it is loaded. */

/** Longest context when none was asked for, and the most of one that was: compute buffers grow with it. */
export const MOST_EMBED_CONTEXT = 8_192;
/** Inputs per decode; the library keeps outputs for each. */
export const EMBED_SEQUENCES = 64;
/** Contexts that compute side by side, all together. */
export const MAX_EMBED_LANES_BYTES = 256 * 1024 * 1024;

/** Contexts of one model that share out its threads. */
export interface LaneShape {
  count: number;
  /** Of each. */
  threads: number;
}

/**
 * How lanes share out the threads of a model.
 * @param bytes of one context, its cache and its compute buffers.
 * @returns null where one context takes all threads, or several do not fit.
 */
export function laneShape(bytes: number, threads: number): LaneShape | null {
  const most = Math.min(Math.floor(MAX_EMBED_LANES_BYTES / bytes), threads);
  if (most < 2) return null;
  // All lanes are of the same size, and a thread too many is left to the others.
  const each = Math.ceil(threads / most);
  const count = Math.floor(threads / each);
  return count < 2 ? null : { count, threads: each };
}
