/** What a model can be asked to do. Only `llm` chats; only `embedding` embeds by default. */
export type ModelKind = "llm" | "embedding";

/** What a header says about the size of a loaded model. Untrusted numbers: check before multiplying. */
export interface ModelHeader {
  parameterCount: number;
  tensorBytes: number;
  blockCount: number | null;
  /** Attention heads; one value for all layers, or one per layer. */
  headCount: readonly number[];
  /** The same of keys and values; 0 = the layer keeps none. */
  headCountKv: readonly number[];
  /** Floats per head; null = embedding size divided by heads. */
  keyLength: number | null;
  valueLength: number | null;
  /** Width of the widest feed-forward layer; null = the header does not say. */
  feedForwardLength: number | null;
  /** Tokens; null = full attention. */
  slidingWindow: number | null;
  /** Some layers or all keep a state in place of keys and values. */
  isRecurrent: boolean;
  /** Layers that keep a state, and the floats that one sequence has in each. */
  stateLayers: number;
  stateFloats: number;
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
  /** Facts for memory estimates. */
  header: ModelHeader;
  /** Where the file was found; all but `models-dir` belong to others and are only read. */
  source: ModelOrigin;
  /** What the store it comes from recommends; absent when it says nothing. */
  defaults?: ModelDefaults;
  /** Paths of the same content in other stores, which are not listed. */
  copies?: readonly string[];
}

export type ModelOrigin =
  "models-dir" | "lm-studio" | "hugging-face" | "ollama" | "llama.cpp" | "demo";

/** What an Ollama model brings beside its weights. */
export interface ModelDefaults {
  /** In Go's template language; translated where the file has no template. null = none. */
  goTemplate: string | null;
  system: string | null;
  /** Sampling by our names, such as `temperature` or `topP`. */
  sampling: Readonly<Record<string, number>>;
  stop: readonly string[];
  /** Tokens; null = not said. */
  contextLength: number | null;
}

/** A LoRA adapter on disk: small weights that change a model of its architecture. */
export interface CatalogAdapter {
  /** The id that loads and requests use. */
  key: string;
  displayName: string;
  /** Absolute path of the GGUF. */
  path: string;
  sizeBytes: number;
  modifiedMs: number;
  /** Of the models it fits. */
  architecture: string;
  source: ModelOrigin;
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
  /** Sorted by path. */
  adapters(): Promise<readonly CatalogAdapter[]>;
  /**
   * Resolution order of the contract: exact key, variant, the same without case, file name, relative
   * path, alias. @returns null when nothing matches.
   * @param how "exactly" = by key or variant as they are written, and by nothing else.
   */
  find(name: string, how?: "exactly"): Promise<CatalogModel | null>;
}
