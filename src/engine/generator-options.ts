import type { Clock } from "../lib/clock.ts";
import type { Model, ModelContext } from "../llama/backend.ts";
import type { JobEvent } from "../protocol/events.ts";
import type { AdapterSets } from "./adapter-sets.ts";
import type { ArchiveOptions } from "./archive/prefix-archive.ts";
import type { LoadedDraft } from "./load-draft.ts";
import type { PieceTable } from "./pieces.ts";
import type { ThreadGovernor } from "./thread-governor.ts";

/** What a generator is made of. */
export interface GeneratorOptions {
  model: Model;
  /** Its own from now on. */
  context: ModelContext;
  pieces: PieceTable;
  parallel: number;
  /** Tokens one request may use; at most the context's. */
  contextLength: number;
  /** The model's LoRA adapters; absent = none. */
  adapters?: AdapterSets;
  clock: Clock;
  /** Where stored prefixes are kept beyond the KV cache; absent = nowhere. */
  archive?: ArchiveOptions | null;
  /** The same for short ones, where sequences can be cut; of use beside `archive` only. */
  shortArchive?: ArchiveOptions | null;
  /** null = the context's threads stay as they are. */
  governor: ThreadGovernor | null;
  /** Guesses tokens ahead where that is likely to pay. */
  speculates: boolean;
  /** Its own from now on; absent or null = guesses come from the text alone. */
  draft?: LoadedDraft | null;
  /** Takes the events of the jobs, in order. */
  emit: (event: JobEvent) => void;
}
