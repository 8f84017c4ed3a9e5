import { readFileSync } from "node:fs";
import type { MetadataValue } from "./gguf-writer.ts";

/** Bytes of the fixed-size value types by their number. */
const SIZES = new Map([
  [0, 1],
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 4],
  [5, 4],
  [6, 4],
  [7, 1],
  [10, 8],
  [11, 8],
  [12, 8],
]);
const STRING = 8;
const ARRAY = 9;

/** The `tokenizer.*` entries of a GGUF, as they lie in it, and how many tokens they hold. */
export function readTokenizer(path: string): {
  entries: ReadonlyMap<string, MetadataValue>;
  tokenCount: number;
} {
  const bytes = readFileSync(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const length = () => {
    const value = Number(view.getBigUint64(at, true));
    at += 8;
    return value;
  };
  const word = () => {
    at += 4;
    return view.getUint32(at - 4, true);
  };
  const string = () => {
    const size = length();
    at += size;
    return bytes.toString("utf8", at - size, at);
  };
  /** Moves over a value; the count of an array's elements, 1 for anything else. */
  const skip = (type: number): number => {
    if (type === STRING) {
      const size = length();
      at += size;
      return 1;
    }
    if (type !== ARRAY) {
      const size = SIZES.get(type);
      if (size === undefined) throw new Error(`${path}: value type ${type} is unknown`);
      at += size;
      return 1;
    }
    const element = word();
    const count = length();
    for (let index = 0; index < count; index++) skip(element);
    return count;
  };
  if (bytes.toString("latin1", 0, 4) !== "GGUF") throw new Error(`${path} is not a GGUF`);
  at = 8;
  length();
  const entries = new Map<string, MetadataValue>();
  let tokenCount = 0;
  for (let left = length(); left > 0; left--) {
    const key = string();
    const start = at;
    const count = skip(word());
    if (!key.startsWith("tokenizer.")) continue;
    entries.set(key, { type: "raw", value: bytes.subarray(start, at) });
    if (key === "tokenizer.ggml.tokens") tokenCount = count;
  }
  if (tokenCount === 0) throw new Error(`${path} holds no vocabulary`);
  return { entries, tokenCount };
}
