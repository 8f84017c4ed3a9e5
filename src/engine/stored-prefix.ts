/** A finished sequence whose cells stay in the KV cache until they are needed. */
export interface StoredPrefix {
  /** Shared within it only; see `Job.prefixScope`. */
  readonly scope: string;
  readonly sequence: number;
  readonly tokens: Int32Array;
}
