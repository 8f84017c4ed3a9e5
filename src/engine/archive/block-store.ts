import type { Block, BlockFacts } from "./block.ts";

/** What a store holds, without reading it. */
export interface BlockLookup {
  /** Grows with every block that comes or goes. */
  readonly version: number;
  /** Blocks. */
  readonly size: number;
  readonly bytes: number;
  get(key: string): BlockFacts | null;
  /** Blocks that follow `parent` and begin with the tokens of `head`. */
  following(parent: string, head: string): BlockFacts[];
}

/** Where blocks are kept outside the KV cache. Synchronous, except for what may take its time. */
export interface BlockStore {
  /** What is there, as far as this process knows. */
  readonly index: BlockLookup;
  /** Nothing can be kept for a while: what is given is lost. */
  readonly isPaused: boolean;
  /**
   * So much is on its way that the next write is done at once, which takes its time. `settled` tells
   * when it is not.
   */
  readonly isFull: boolean;
  /**
   * @returns null when the block is gone or damaged, and then no longer in the index, or cannot be read
   * right now.
   */
  tokensOf(key: string): Int32Array | null;
  /** Whether it is still there: others may remove it. */
  has(key: string): boolean;
  /** @returns null as `tokensOf`. */
  read(key: string): Block | null;
  /**
   * Keeps a block that is not in the index; others may have to go for it.
   * @returns false when there is no room for it: those that follow it would be of no use either.
   */
  write(block: Block): boolean;
  /** They were of use: others go before them. @param keys the last block of a sequence first. */
  touch(keys: readonly string[]): void;
  /** Forgets a block; what follows it is of no use any more. */
  remove(key: string): void;
  /** Resolves when nothing is on its way. */
  settled(): Promise<void>;
}
