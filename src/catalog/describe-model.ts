import { FILE_TYPES } from "./gguf-types.ts";
import type { GgufHeader } from "./gguf-scan.ts";
import { UnreadableFile } from "./file-bytes.ts";
import type { CatalogModel, ModelHeader } from "./model.ts";
import { recurrentState } from "./recurrent-state.ts";
import {
  displayNameOf,
  modelName,
  parametersFromCount,
  parametersInName,
  printable,
  shardOf,
  splitQuant,
  stemOf,
} from "./model-names.ts";

/** Architectures whose only output is a vector. Source: llama.cpp, llama-arch.cpp. */
const EMBEDDING_ARCHITECTURES = new Set([
  "bert",
  "modern-bert",
  "nomic-bert",
  "nomic-bert-moe",
  "neo-bert",
  "jina-bert-v2",
  "jina-bert-v3",
  "eurobert",
  "gemma-embedding",
  "t5encoder",
]);

/** By the number in `<architecture>.pooling_type`. Source: llama.h, `enum llama_pooling_type`. */
const POOLING = ["none", "mean", "cls", "last", "rank"] as const;

/** Longest architecture name kept; real ones have at most 20 characters. */
const MAX_ARCHITECTURE = 64;

/** One model before its key is known: keys depend on the other models. */
export type ModelDraft = Omit<CatalogModel, "key" | "variant"> & {
  /** The name without publisher and quantisation; prefixed for embedding models. */
  name: string;
  /** Path below its models folder, with `/` between the parts. */
  relativePath: string;
};

export interface DraftFile {
  path: string;
  relativePath: string;
  files: readonly string[];
  modifiedMs: number;
  source: CatalogModel["source"];
}

/** What a header says that is not a language or embedding model at all. */
export function isProjector(header: GgufHeader): boolean {
  const { metadata } = header;
  return (
    metadata.text("general.type") === "mmproj" || metadata.text("general.architecture") === "clip"
  );
}

/**
 * Facts of one model out of the headers of its shards, first shard first.
 * @throws UnreadableFile when the file is no model.
 */
export function describeModel(
  file: DraftFile,
  shards: readonly [GgufHeader, ...GgufHeader[]],
): ModelDraft {
  const [{ metadata, bosText, eosText }] = shards;
  const architecture = metadata.text("general.architecture");
  if (architecture === null)
    throw new UnreadableFile("it names no architecture, so it is not a model");
  const kindOfFile = metadata.text("general.type");
  if (kindOfFile !== null && kindOfFile !== "model")
    throw new UnreadableFile(`it is of type "${printable(kindOfFile)}", not a model`);
  if (shards.every((shard) => shard.tensorCount === 0))
    throw new UnreadableFile("it holds no weights, only metadata");
  const maxContextLength = metadata.number(`${architecture}.context_length`);
  if (maxContextLength === null || !Number.isInteger(maxContextLength) || maxContextLength < 1)
    throw new UnreadableFile("it does not say its context length");

  const folders = file.relativePath.split("/").slice(0, -1);
  const stem = stemOf(file.relativePath.slice(file.relativePath.lastIndexOf("/") + 1));
  const poolingNumber = metadata.number(`${architecture}.pooling_type`);
  const kind =
    EMBEDDING_ARCHITECTURES.has(architecture) || (poolingNumber ?? 0) > 0 ? "embedding" : "llm";
  const name = modelName(stem, folders.at(-1) ?? null);
  const header = headerFacts(architecture, shards);
  const label = metadata.text("general.size_label");
  const title = metadata.text("general.name");
  return {
    name:
      kind === "embedding" && !name.startsWith("text-embedding-") ? `text-embedding-${name}` : name,
    kind,
    displayName: (title === null ? "" : printable(title)) || displayNameOf(name),
    publisher: file.source === "demo" ? "lmserver" : printable(folders[0] ?? "") || "local",
    path: file.path,
    relativePath: file.relativePath,
    files: file.files,
    sizeBytes: shards.reduce((sum, shard) => sum + shard.sizeBytes, 0),
    modifiedMs: file.modifiedMs,
    architecture: printable(architecture).slice(0, MAX_ARCHITECTURE),
    parameters:
      (label === null ? null : parametersInName(label)) ??
      parametersInName(name) ??
      parametersFromCount(header.parameterCount),
    quantization: quantizationOf(stem, shards),
    maxContextLength,
    embeddingSize: metadata.number(`${architecture}.embedding_length`),
    chatTemplate: metadata.text("tokenizer.chat_template"),
    bosText,
    eosText,
    pooling: poolingNumber === null ? null : (POOLING[poolingNumber] ?? null),
    header,
    source: file.source,
  };
}

/** The file name's own words first: they tell apart what `general.file_type` calls the same. */
function quantizationOf(
  stem: string,
  shards: readonly [GgufHeader, ...GgufHeader[]],
): string | null {
  const named = splitQuant(shardOf(stem)?.stem ?? stem).quant;
  if (named !== null) return named;
  const fileType = shards[0].metadata.number("general.file_type");
  return (fileType === null ? null : FILE_TYPES.get(fileType)) ?? shards[0].mainTensorType;
}

function headerFacts(
  architecture: string,
  shards: readonly [GgufHeader, ...GgufHeader[]],
): ModelHeader {
  const { metadata } = shards[0];
  const number = (key: string): number | null => metadata.number(`${architecture}.${key}`);
  const numbers = (key: string): readonly number[] =>
    metadata.numbers(`${architecture}.${key}`) ?? [];
  const headCount = numbers("attention.head_count");
  const headCountKv = numbers("attention.head_count_kv");
  const state = recurrentState({ architecture, number, numbers });
  return {
    parameterCount: shards.reduce((sum, shard) => sum + shard.parameterCount, 0),
    tensorBytes: shards.reduce((sum, shard) => sum + shard.tensorBytes, 0),
    blockCount: number("block_count"),
    headCount,
    headCountKv: state?.headCountKv ?? (headCountKv.length > 0 ? headCountKv : headCount),
    keyLength: number("attention.key_length"),
    valueLength: number("attention.value_length"),
    feedForwardLength: numbers("feed_forward_length").reduce<number | null>(
      (widest, length) => Math.max(widest ?? 0, length),
      null,
    ),
    slidingWindow: number("attention.sliding_window"),
    isRecurrent: state !== null,
    stateLayers: state?.layers ?? 0,
    stateFloats: state?.floats ?? 0,
    vocabularySize: metadata.tokenCount,
    expertCount: number("expert_count"),
  };
}
