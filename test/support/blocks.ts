import { join } from "node:path";
import { type Block, factsOf, rootKey } from "../../src/engine/archive/block.ts";
import { fileBytes, fileName } from "../../src/engine/archive/block-file.ts";

const ROOT = rootKey("fingerprint", "scope");
const STATE_BYTES = 1_000;
export const BLOCK_BYTES = fileBytes(16, STATE_BYTES);

export function block(seed: number, parent = ROOT): Block {
  const tokens = Int32Array.from({ length: 16 }, (_, index) => seed * 100 + index);
  const state = new Uint8Array(STATE_BYTES).fill(seed);
  return { facts: factsOf(parent, tokens, BLOCK_BYTES), tokens, state };
}

/** Blocks that follow each other. */
export function chain(...seeds: number[]): Block[] {
  const blocks: Block[] = [];
  for (const seed of seeds) blocks.push(block(seed, blocks.at(-1)?.facts.key ?? ROOT));
  return blocks;
}

/** Where a block of the model "model" is. */
export const pathIn = (folder: string, { facts }: Block): string =>
  join(folder, "model", fileName(facts));
