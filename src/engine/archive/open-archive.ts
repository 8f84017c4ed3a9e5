import type { ModelContext } from "../../llama/backend.ts";
import type { Clock } from "../../lib/clock.ts";
import type { LoadOptions } from "../../protocol/commands.ts";
import { DiskBlocks } from "./disk-blocks.ts";
import { MemoryBlocks } from "./memory-blocks.ts";
import { fingerprintOf, type LoadedModel } from "./model-identity.ts";
import type { ArchiveOptions } from "./prefix-archive.ts";

/** A block is saved, and read back, between two steps: it must not take long. */
const BLOCK_BYTES = 4 * 1024 * 1024;
const LEAST_BLOCK_TOKENS = 32;
const MOST_BLOCK_TOKENS = 256;
/** Shorter prefixes are computed again. */
const LEAST_TOKENS = 256;

export interface ArchiveDeps {
  buildId: string;
  clock: Clock;
  onTrouble: (message: string) => void;
}

/** Where a model's prefixes are kept beyond its KV cache: on disk, else in memory; null = nowhere. */
export function openArchive(
  options: LoadOptions,
  model: LoadedModel,
  context: Pick<ModelContext, "contextLength" | "memory">,
  deps: ArchiveDeps,
): ArchiveOptions | null {
  const { folder, diskBytes, memoryBytes } = options.prefixCache ?? NOTHING;
  const { contextLength, memory } = context;
  const blockTokens = blockTokensFor(memory.kvBytes / contextLength);
  const shape = { blockTokens, leastTokens: LEAST_TOKENS };
  const inMemory = (): ArchiveOptions | null =>
    memoryBytes > 0 ? { store: new MemoryBlocks(memoryBytes), fingerprint: "", ...shape } : null;
  if (folder === null || diskBytes === 0) return inMemory();
  try {
    const fingerprint = fingerprintOf(options, model, { buildId: deps.buildId, contextLength });
    const { clock, onTrouble } = deps;
    const store = new DiskBlocks({ folder, fingerprint, maxBytes: diskBytes, clock, onTrouble });
    return { store, fingerprint, ...shape };
  } catch (error) {
    deps.onTrouble(`Prefixes are kept in memory only: ${String(error)}`);
    return inMemory();
  }
}

const NOTHING = { folder: null, diskBytes: 0, memoryBytes: 0 };

/** A power of two, so that a little more or less of anything else does not change it. */
function blockTokensFor(bytesPerToken: number): number {
  const tokens = bytesPerToken > 0 ? 2 ** Math.round(Math.log2(BLOCK_BYTES / bytesPerToken)) : 0;
  return Math.min(Math.max(tokens, LEAST_BLOCK_TOKENS), MOST_BLOCK_TOKENS);
}
