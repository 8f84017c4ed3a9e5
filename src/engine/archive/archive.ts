import type { MissReason } from "../../protocol/events.ts";
import type { StoredPrefix } from "../stored-prefix.ts";

/** A beginning of a prompt that is kept outside the KV cache. */
export interface ArchivedPrefix {
  /** Its pieces in order; the last may be used in part. */
  readonly pieces: readonly Piece[];
  /** Tokens in all. */
  readonly length: number;
}

export interface Piece {
  readonly key: string;
  /** Position of its first token. */
  readonly start: number;
  /** Tokens it holds. */
  readonly count: number;
  /** Of these, the first ones that are of use. */
  readonly used: number;
}

/** Where stored prefixes are kept outside the KV cache. */
export interface Archive {
  /** Grows with every block that is saved or goes. */
  readonly version: number;
  readonly size: { readonly blocks: number; readonly bytes: number };
  /** There is something to save, but so much is on its way that it has to wait. */
  readonly isFull: boolean;
  /** There is something to save, and place for it. */
  readonly hasWork: boolean;
  /** Its cells can be given up: it is saved. */
  isSaved(entry: StoredPrefix): boolean;
  /** A sequence was stored in the KV cache: it is to be saved at leisure. */
  add(entry: StoredPrefix): void;
  /**
   * A sequence leaves the KV cache: saves what is missing of it now, however long the queue. A block is
   * written in some milliseconds and computed in hundreds.
   */
  finish(entry: StoredPrefix): void;
  /** A sequence leaves the KV cache and another holds all of it. */
  forget(entry: StoredPrefix): void;
  /** Saves at most one block of the newest sequence. */
  saveSome(): void;
  /** Resolves when everything saved so far is where it is kept. */
  settled(): Promise<void>;
  /** The longest archived beginning of `tokens`, at most `limit` of them; null = none. */
  find(scope: string, tokens: Int32Array, limit: number): ArchivedPrefix | null;
  /** They are about to be read back. */
  touch(pieces: readonly Piece[]): void;
  /**
   * Reads a piece back to the end of a pinned sequence that holds what comes before it.
   * Unless it is restored the sequence is as before.
   */
  restore(sequence: number, piece: Piece): Restored;
}

/** How reading a piece back went; what did not, by the reason that is counted. */
export type Restored = "restored" | Extract<MissReason, "full" | "gone" | "lost">;
