/** What a model can be asked to do. Only `llm` chats; only `embedding` embeds by default. */
export type ModelKind = "llm" | "embedding";

/** What a header says about the size of a loaded model. Untrusted numbers: check before multiplying. */
export interface ModelHeader {
  parameterCount: number;
  tensorBytes: number;
  blockCount: number | null;
  /** Attention heads; one value for all layers, or one per layer. */
  headCount: readonly number[];
  headCountKv: readonly number[];
  /** Floats per head; null = embedding size divided by heads. */
  keyLength: number | null;
  valueLength: number | null;
  /** Tokens; null = full attention. */
  slidingWindow: number | null;
  vocabularySize: number;
  expertCount: number | null;
}

/** One model on disk that can be loaded. Sizes in bytes, times in ms since the epoch. */
export interface CatalogModel {
  /** The id clients use: `publisher/name`, or `name` when it is unambiguous. */
  key: string;
  /** `key@quant` names of the same model in several quantisations, and this file's own. */
  variant: string;
  kind: ModelKind;
  displayName: string;
  publisher: string;
  /** Absolute path of the GGUF; of the first shard when split. */
  path: string;
  /** Every shard. */
  files: readonly string[];
  sizeBytes: number;
  modifiedMs: number;
  architecture: string;
  /** For example "7B"; null when neither the header nor the name says. */
  parameters: string | null;
  quantization: string | null;
  maxContextLength: number;
  embeddingSize: number | null;
  /** The file's own Jinja template; null = ChatML. */
  chatTemplate: string | null;
  bosText: string | null;
  eosText: string | null;
  pooling: "none" | "mean" | "cls" | "last" | "rank" | null;
  /** Facts for memory estimates; absent when the model did not come from a file scan. */
  header?: ModelHeader;
  /** Where the file was found. */
  source: "models-dir" | "lm-studio" | "demo";
}

/** A file that looks like a model but cannot be used, with the reason in one sentence. */
export interface BrokenModel {
  path: string;
  reason: string;
}

/** Models on disk. Rescans by itself when a folder changed. */
export interface Catalog {
  /** Sorted by key, the built-in demo last. */
  list(): Promise<readonly CatalogModel[]>;
  broken(): Promise<readonly BrokenModel[]>;
  /**
   * Resolution order of the contract: exact key, variant, the same without case, file name, relative
   * path, alias. @returns null when nothing matches.
   */
  find(name: string): Promise<CatalogModel | null>;
}
