/** What the engine makes of a model that generates, and the server counts before it is loaded. */

/** Longest context when none was asked for. */
export const MOST_CONTEXT = 32_768;
/** Most tokens computed at once; a larger batch is split. llama.cpp's own default. */
export const MICRO_BATCH = 512;
/** Most sequence ids a context can have. Source: llama.cpp, `LLAMA_MAX_SEQ`. */
export const MAX_SEQUENCES = 256;

/** Padding at the end of a draft model's vocabulary may differ by so many tokens. Source: llama.cpp, speculative. */
export const VOCABULARY_PADDING = 128;

/** Sequences beside the slots' own, for stored prefixes; what is archived needs none. */
const STORED_SEQUENCES = 28;
/** Whole states are large: a few are kept per slot where prefixes cannot be shared. */
const STORED_STATES_PER_SLOT = 1;

/**
 * Sequence ids of a context that generates. The library keeps a row of logits for each.
 * @param parallel slots.
 * @param isWhole the memory is recurrent, or has a sliding window: it is kept whole or not at all.
 */
export function sequencesFor(parallel: number, isWhole: boolean): number {
  const stored = isWhole ? parallel * STORED_STATES_PER_SLOT : STORED_SEQUENCES;
  // One more for the archive's work.
  return Math.min(parallel + stored + 1, MAX_SEQUENCES);
}
