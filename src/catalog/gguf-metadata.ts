import { UnreadableFile, type FileBytes } from "./file-bytes.ts";
import * as kv from "./gguf-types.ts";

const MAX_KEY_BYTES = 256;
const MAX_STRING_BYTES = 64 * 1024 * 1024;
const MAX_HEADER_BYTES = 512 * 1024 * 1024;
const MAX_TEMPLATE_BYTES = 8 * 1024 * 1024;
/** Numeric arrays up to this length are kept: one value per layer. */
const MAX_KEPT_VALUES = 4096;
/** Names and other short texts are cut here, in characters. */
const MAX_TEXT = 256;
/** The offset of every such token is remembered, so that one can be found again. */
const TOKEN_STRIDE = 4096;

const CHAT_TEMPLATE = "tokenizer.chat_template";
const TOKENS = "tokenizer.ggml.tokens";
const HIDDEN_SEGMENTS = new Set(["__proto__", "constructor", "prototype"]);

/** `<architecture>.` keys the catalogue wants, and a few exact ones. */
const WANTED = new Set([
  "context_length",
  "embedding_length",
  "block_count",
  "feed_forward_length",
  "attention.head_count",
  "attention.head_count_kv",
  "attention.key_length",
  "attention.value_length",
  "attention.sliding_window",
  "attention.causal",
  "pooling_type",
  "expert_count",
  "expert_used_count",
  "vocab_size",
  "nextn_predict_layers",
  "attention.recurrent_layers",
  "full_attention_interval",
  "ssm.conv_kernel",
  "ssm.inner_size",
  "ssm.state_size",
  "ssm.group_count",
  "shortconv.l_cache",
  "token_shift_count",
  "wkv.head_size",
  "kda.head_dim",
]);
const WANTED_EXACT = new Set([
  "general.architecture",
  "general.type",
  "general.name",
  "general.size_label",
  "general.file_type",
  "general.alignment",
  "adapter.type",
  "tokenizer.ggml.bos_token_id",
  "tokenizer.ggml.eos_token_id",
  "split.no",
  "split.count",
  "split.tensors.count",
  CHAT_TEMPLATE,
]);

type Value = number | boolean | string | readonly number[];

/** The key-value pairs of one header that the catalogue needs; every other one is only checked. */
export class GgufMetadata {
  readonly #values = new Map<string, Value>();
  readonly #keys = new Set<string>();
  readonly #tokenOffsets: number[] = [];
  #tokenCount = 0;

  /** Entries of the vocabulary; 0 when the file has none. */
  get tokenCount(): number {
    return this.#tokenCount;
  }

  number(key: string): number | null {
    const value = this.#values.get(key);
    return typeof value === "number" ? value : null;
  }

  text(key: string): string | null {
    const value = this.#values.get(key);
    return typeof value === "string" ? value : null;
  }

  /** One value per layer; a single number counts for all of them. */
  numbers(key: string): readonly number[] | null {
    const value = this.#values.get(key);
    if (typeof value === "number") return [value];
    return Array.isArray(value) ? value : null;
  }

  /** Checks the next pair and keeps it when it is wanted. @throws UnreadableFile */
  async readPair(bytes: FileBytes): Promise<void> {
    if (bytes.position > MAX_HEADER_BYTES)
      throw new UnreadableFile("its header is larger than 512 MiB");
    const key = await this.#readKey(bytes);
    await bytes.fill(4);
    const type = bytes.u32();
    if (type === kv.KV_ARRAY) {
      await this.#readArray(bytes, key);
      return;
    }
    const value = await readValue(bytes, type, key);
    if (value !== null && isWanted(key)) this.#values.set(key, value);
  }

  /** Text of the token whose id stands under `key`. Moves the reader. */
  async tokenText(bytes: FileBytes, key: string): Promise<string | null> {
    const id = this.number(key);
    if (id === null || id >= this.#tokenCount) return null;
    const start = this.#tokenOffsets[Math.floor(id / TOKEN_STRIDE)];
    if (start === undefined) return null;
    bytes.seek(start);
    for (let skipped = id % TOKEN_STRIDE; skipped > 0; skipped -= 1) {
      bytes.skip(await stringLength(bytes));
    }
    return keepText(bytes, await stringLength(bytes), MAX_TEXT);
  }

  /** Forgets what only reading needed. */
  finish(): void {
    this.#keys.clear();
    this.#tokenOffsets.length = 0;
  }

  async #readKey(bytes: FileBytes): Promise<string> {
    await bytes.fill(8);
    const length = bytes.u64();
    if (length === 0) throw new UnreadableFile("a metadata entry has an empty name");
    if (length > MAX_KEY_BYTES)
      throw new UnreadableFile(`a metadata name of ${length} bytes is too long`);
    const key = await bytes.text(length);
    if (key.split(".").some((segment) => HIDDEN_SEGMENTS.has(segment)))
      throw new UnreadableFile("a metadata entry has a name that is not allowed");
    if (this.#keys.has(key)) throw new UnreadableFile("a metadata entry occurs twice");
    this.#keys.add(key);
    return key;
  }

  async #readArray(bytes: FileBytes, key: string): Promise<void> {
    await bytes.fill(12);
    const type = bytes.u32();
    const count = bytes.u64();
    if (type === kv.KV_STRING) {
      await this.#readStrings(bytes, key, count);
      return;
    }
    if (type === kv.KV_ARRAY) throw new UnreadableFile("it nests arrays in its metadata");
    const width = kv.KV_BYTES.get(type);
    if (width === undefined) throw new UnreadableFile(`metadata type ${type} is not known`);
    checkArray(count, width, bytes);
    if (!isWanted(key) || count > MAX_KEPT_VALUES) {
      bytes.skip(count * width);
      return;
    }
    const values: number[] = [];
    for (let index = 0; index < count; index += 1) {
      const value = await readValue(bytes, type, key);
      values.push(Number(value));
    }
    this.#values.set(key, values);
  }

  async #readStrings(bytes: FileBytes, key: string, count: number): Promise<void> {
    checkArray(count, 8, bytes);
    const isTokens = key === TOKENS;
    if (isTokens) this.#tokenCount = count;
    for (let index = 0; index < count; index += 1) {
      if (isTokens && index % TOKEN_STRIDE === 0) this.#tokenOffsets.push(bytes.position);
      // Only waits when the buffer ran out: vocabularies have hundreds of thousands of entries.
      if (!bytes.has(8)) await bytes.fill(8);
      const length = bytes.u64();
      checkString(length, bytes);
      bytes.skip(length);
      if (bytes.position > MAX_HEADER_BYTES)
        throw new UnreadableFile("its header is larger than 512 MiB");
    }
  }
}

async function readValue(bytes: FileBytes, type: number, key: string): Promise<Value | null> {
  if (type === kv.KV_STRING) {
    const length = await stringLength(bytes);
    if (key === CHAT_TEMPLATE) return readTemplate(bytes, length);
    if (!isWanted(key)) {
      bytes.skip(length);
      return null;
    }
    return keepText(bytes, length, MAX_TEXT);
  }
  const width = kv.KV_BYTES.get(type);
  if (width === undefined) throw new UnreadableFile(`metadata type ${type} is not known`);
  if (!bytes.has(width)) await bytes.fill(width);
  return readNumber(bytes, type);
}

function readNumber(bytes: FileBytes, type: number): number | boolean {
  switch (type) {
    case kv.KV_U8:
      return bytes.u8();
    case kv.KV_I8:
      return (bytes.u8() << 24) >> 24;
    case kv.KV_U16:
      return bytes.u16();
    case kv.KV_I16:
      return (bytes.u16() << 16) >> 16;
    case kv.KV_U32:
      return bytes.u32();
    case kv.KV_I32:
      return bytes.i32();
    case kv.KV_F32:
      return bytes.f32();
    case kv.KV_BOOL:
      return bytes.u8() !== 0;
    case kv.KV_U64:
      return bytes.u64();
    case kv.KV_I64:
      return bytes.i64();
    default:
      return bytes.f64();
  }
}

async function readTemplate(bytes: FileBytes, length: number): Promise<string> {
  if (length > MAX_TEMPLATE_BYTES)
    throw new UnreadableFile("its chat template is larger than 8 MiB");
  return bytes.text(length);
}

async function stringLength(bytes: FileBytes): Promise<number> {
  await bytes.fill(8);
  const length = bytes.u64();
  checkString(length, bytes);
  return length;
}

/** Reads at most `characters`, passes over the rest. */
async function keepText(bytes: FileBytes, length: number, characters: number): Promise<string> {
  const kept = Math.min(length, characters * 4);
  const text = await bytes.text(kept);
  bytes.skip(length - kept);
  return Array.from(text).slice(0, characters).join("");
}

function checkString(length: number, bytes: FileBytes): void {
  if (length > bytes.left) throw new UnreadableFile("a text in its header is longer than the file");
  if (length > MAX_STRING_BYTES)
    throw new UnreadableFile("a text in its header is larger than 64 MiB");
}

function checkArray(count: number, width: number, bytes: FileBytes): void {
  if (count * width > bytes.left)
    throw new UnreadableFile("a list in its header is longer than the file");
}

function isWanted(key: string): boolean {
  if (WANTED_EXACT.has(key)) return true;
  const dot = key.indexOf(".");
  return dot > 0 && WANTED.has(key.slice(dot + 1));
}
