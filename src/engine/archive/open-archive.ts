import type { ModelContext } from "../../llama/backend.ts";
import type { Clock } from "../../lib/clock.ts";
import type { LoadOptions } from "../../protocol/commands.ts";
import { SHORT_TOKENS } from "../stored-prefix.ts";
import type { EngineTrouble } from "../../protocol/events.ts";
import type { BlockStore } from "./block-store.ts";
import type { Block } from "./block.ts";
import { DiskBlocks, type DiskBlocksOptions, troubleOf } from "./disk-blocks.ts";
import { DiskOrMemoryBlocks } from "./disk-or-memory-blocks.ts";
import { MemoryBlocks } from "./memory-blocks.ts";
import { fingerprintOf, type LoadedModel } from "./model-identity.ts";
import type { ArchiveOptions } from "./prefix-archive.ts";

/** A block is saved, and read back, between two steps: it must not take long. */
const BLOCK_BYTES = 4 * 1024 * 1024;
const LEAST_BLOCK_TOKENS = 32;
const MOST_BLOCK_TOKENS = 256;
/** What a block takes beside its part of the cache, of which no state is larger than all. */
const BLOCK_SPARE_BYTES = 16 * 1024 * 1024;
/** Most that short prefixes may take: dozens of a small model, a few of a large one. */
const SHORT_BYTES = 64 * 1024 * 1024;
/** Each is one block. */
const SHORT_SHAPE: Shape = { blockTokens: SHORT_TOKENS, leastTokens: 32 };

type Shape = Pick<ArchiveOptions, "blockTokens" | "leastTokens">;

export interface ArchiveDeps {
  buildId: string;
  clock: Clock;
  onTrouble: (trouble: EngineTrouble) => void;
}

/** Where a model's prefixes are kept beyond its KV cache; null = nowhere. */
export interface Archives {
  /** On disk, or in memory while that fails. */
  archive: ArchiveOptions | null;
  /** Short ones: in memory. */
  shortArchive: ArchiveOptions | null;
}

/** Opens them for a loaded model. A folder that cannot be used is told, and memory is used instead. */
export function openArchives(
  options: LoadOptions,
  model: LoadedModel,
  context: Pick<ModelContext, "contextLength" | "memory">,
  deps: ArchiveDeps,
): Archives {
  const { folder, diskBytes, memoryBytes } = options.prefixCache ?? NOTHING;
  const { contextLength, memory } = context;
  const inMemory = (maxBytes: number, shape: Shape): ArchiveOptions | null =>
    maxBytes > 0 ? { store: new MemoryBlocks(maxBytes), fingerprint: "", ...shape } : null;
  const shortArchive = inMemory(Math.min(memoryBytes, SHORT_BYTES), SHORT_SHAPE);
  const blockTokens = blockTokensFor(memory.kvBytes / contextLength);
  const shape = { blockTokens, leastTokens: SHORT_TOKENS };
  const fallback = { archive: inMemory(memoryBytes, shape), shortArchive };
  if (folder === null || diskBytes === 0) return fallback;
  try {
    const fingerprint = fingerprintOf(options, model, { buildId: deps.buildId, contextLength });
    // What the library does not tell is no bound.
    const stateBytes = memory.kvBytes === 0 ? diskBytes : memory.kvBytes;
    const maxBlockBytes = stateBytes + BLOCK_SPARE_BYTES;
    const disk = { folder, fingerprint, maxBytes: diskBytes, maxBlockBytes };
    const store = onDisk(disk, memoryBytes, deps);
    return { archive: { store, fingerprint, ...shape }, shortArchive };
  } catch (error) {
    deps.onTrouble(troubleOf(error, folder));
    return fallback;
  }
}

function onDisk(
  options: Pick<DiskBlocksOptions, "folder" | "fingerprint" | "maxBytes" | "maxBlockBytes">,
  memoryBytes: number,
  { clock, onTrouble }: ArchiveDeps,
): BlockStore {
  if (memoryBytes === 0) return new DiskBlocks({ ...options, clock, onTrouble });
  const memory = new MemoryBlocks(memoryBytes);
  const onLost = (block: Block): void => void memory.write(block);
  const disk = new DiskBlocks({ ...options, clock, onTrouble, onLost });
  return new DiskOrMemoryBlocks(disk, memory);
}

const NOTHING = { folder: null, diskBytes: 0, memoryBytes: 0 };

/** A power of two, so that a little more or less of anything else does not change it. */
function blockTokensFor(bytesPerToken: number): number {
  const tokens = bytesPerToken > 0 ? 2 ** Math.round(Math.log2(BLOCK_BYTES / bytesPerToken)) : 0;
  return Math.min(Math.max(tokens, LEAST_BLOCK_TOKENS), MOST_BLOCK_TOKENS);
}
