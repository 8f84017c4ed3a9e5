/** A quantisation in a file name, such as Q4_K_M, IQ3_XXS, UD-Q4_K_XL, BF16, MXFP4_MOE. */
const QUANT_TAG =
  /^(?:ud-)?(?:i?q[1-8](?:_[a-z0-9]{1,4}){0,3}|tq[12]_0|f16|f32|bf16|fp16|fp32|mxfp4(?:_moe)?|nvfp4)$/i;
const SHARD = /-(\d{5})-of-(\d{5})$/;
const SIZE_WORD = /^(\d{1,4}x)?\d{1,5}(?:\.\d{1,3})?[bmk](?:-a\d{1,4}(?:\.\d{1,3})?b)?$/i;

/** File stems that say nothing about the model: its folder names it instead. */
const NAMELESS = new Set(["", "model", "ggml-model", "weights", "main"]);

/** Longest name shown or used as an id, in characters. */
const MAX_NAME = 256;

export interface ShardNumber {
  /** From 1. */
  index: number;
  count: number;
  /** The file name without extension and shard number: equal for all shards. */
  stem: string;
}

/** `name-00002-of-00005` split into its parts; null when the file is not a shard. */
export function shardOf(stem: string): ShardNumber | null {
  const match = SHARD.exec(stem);
  if (match === null) return null;
  const index = Number(match[1]);
  const count = Number(match[2]);
  return { index, count, stem: stem.slice(0, match.index) };
}

/** The file name without folder and `.gguf`. */
export function stemOf(fileName: string): string {
  return fileName.replace(/\.gguf$/i, "");
}

/** Splits the quantisation off a file stem: `Qwen2.5-7B-Instruct-Q4_K_M`, `nomic.Q8_0`. */
export function splitQuant(stem: string): { name: string; quant: string | null } {
  for (const separator of ["-", "."]) {
    for (const parts of [2, 1]) {
      const pieces = stem.split(separator);
      if (pieces.length <= parts) continue;
      const tag = pieces.slice(-parts).join(separator);
      if (QUANT_TAG.test(tag))
        return { name: pieces.slice(0, -parts).join(separator), quant: tag.toUpperCase() };
    }
  }
  return QUANT_TAG.test(stem)
    ? { name: "", quant: stem.toUpperCase() }
    : { name: stem, quant: null };
}

/**
 * The name of a model as clients write it: lower case, without quantisation, shard number and the
 * `-GGUF` that repositories append. `folder` is used when the file itself has no telling name.
 */
export function modelName(stem: string, folder: string | null): string {
  const own = splitQuant(shardOf(stem)?.stem ?? stem).name;
  const telling = NAMELESS.has(own.toLowerCase()) && folder !== null ? folder : own;
  return cleanId(telling.replace(/[-_.]gguf$/i, "")) || "model";
}

/** Lower case letters, digits, dots, dashes and underscores; anything else becomes a dash. */
export function cleanId(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}._-]/gu, "-")
    .replaceAll(/^[-.]+|[-.]+$/g, "")
    .slice(0, MAX_NAME);
}

/** Where a file lies below its models folder, as clients write it: the last name left to a model. */
export function pathId(relativePath: string): string {
  return relativePath
    .replace(/\.gguf$/i, "")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}./_-]/gu, "-")
    .slice(0, MAX_NAME);
}

/** "7B", "26B-A4B", "8x7B" from a name whose words are joined by dashes, underscores or spaces. */
export function parametersInName(name: string): string | null {
  const words = name.split(/[-_ ]/);
  for (const [index, word] of words.entries()) {
    const next = words[index + 1];
    const joined = next === undefined ? word : `${word}-${next}`;
    if (joined !== word && SIZE_WORD.test(joined)) return joined.toUpperCase().replace("X", "x");
    if (SIZE_WORD.test(word)) return word.toUpperCase().replace("X", "x");
  }
  return null;
}

/** "7.6B", "125M" from a count of elements. */
export function parametersFromCount(count: number): string | null {
  if (count >= 1e9) return `${trim(count / 1e9)}B`;
  if (count >= 1e6) return `${trim(count / 1e6)}M`;
  return count >= 1e3 ? `${trim(count / 1e3)}K` : null;
}

const trim = (value: number): string =>
  (value < 10 ? value.toFixed(1) : value.toFixed(0)).replace(/\.0$/, "");

/** A line of text without control and direction characters, cut at 256 characters. */
export function printable(text: string): string {
  const clean = text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, " ").trim();
  return Array.from(clean).slice(0, MAX_NAME).join("");
}

/** A name for people out of a file name: `qwen2.5-7b-instruct` becomes `Qwen2.5 7B Instruct`. */
export function displayNameOf(name: string): string {
  const words = name.split(/[-_ ]+/).filter((word) => word !== "");
  return words.map((word) => (SIZE_WORD.test(word) ? word.toUpperCase() : capital(word))).join(" ");
}

const capital = (word: string): string => word.slice(0, 1).toUpperCase() + word.slice(1);
