import type { ModelFacts } from "./backend.ts";
import type { Candidates } from "./candidates.ts";
import type { FfiVocabulary } from "./ffi-vocabulary.ts";
import type { LlamaLibrary } from "./library.ts";
import type { LogTail } from "./log-tail.ts";
import type { NativeHandle } from "./native-handle.ts";
import type { NativePointer } from "./native-pointer.ts";
import type { PieceIndex } from "./piece-index.ts";
import type { PieceTree } from "./piece-tree.ts";

/** What the parts of a loaded model need from it. */
export interface ModelHost {
  readonly library: LlamaLibrary;
  readonly log: LogTail;
  readonly handle: NativeHandle;
  readonly facts: ModelFacts;
  readonly vocabulary: FfiVocabulary;
  readonly pieces: PieceIndex;
  /** Built on first use. */
  readonly tree: PieceTree;
  /** Scratch of one call: samplers and grammars take turns. */
  readonly candidates: Candidates;
  /** The file, for error messages. */
  readonly path: string;
  /** LoRA adapters by their numbers; freed with the model. */
  readonly adapters: readonly NativePointer[];
  metadata(): ReadonlyMap<string, string>;
  /** Counts a part that must be gone before the model is; the result takes it back. */
  retain(): () => void;
}
