/** Tokens below which a prefix is short: it is computed again in a moment. */
export const SHORT_TOKENS = 256;

/** A finished sequence whose cells stay in the KV cache until they are needed. */
export interface StoredPrefix {
  /** Shared within it only; see `Job.prefixScope`. */
  readonly scope: string;
  readonly sequence: number;
  readonly tokens: Int32Array;
}
