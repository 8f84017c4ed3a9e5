import { type Block, type BlockFacts, blockKey, bytesOf } from "./block.ts";

/**
 * A block as a file: magic, token count and checksum (three 8-byte words), the tokens, the state. Numbers are
 * little-endian. The name carries what the index needs, so that opening a folder reads no file.
 */
const MAGIC = "lmkv0001";
const HEADER_BYTES = 24;
const NAME = /^([0-9a-f]{32})-([0-9a-f]{32})-([0-9a-f]{8})-(\d{1,7})\.kv$/;

export function fileName({ key, parent, head, count }: BlockFacts): string {
  return `${key}-${parent}-${head}-${count}.kv`;
}

/** @returns null for a file that is no block. */
export function readFileName(name: string, bytes: number): BlockFacts | null {
  const match = NAME.exec(name);
  if (match === null) return null;
  const [, key = "", parent = "", head = "", count = ""] = match;
  return { key, parent, head, count: Number(count), bytes };
}

/** Bytes of the file of a block. */
export function fileBytes(tokenCount: number, stateBytes: number): number {
  return HEADER_BYTES + 4 * tokenCount + stateBytes;
}

/** Bytes at the beginning of a file that hold its tokens. */
export function tokenBytes({ count }: BlockFacts): number {
  return HEADER_BYTES + 4 * count;
}

/** The parts of a file, in order. */
export function encodeBlock({ tokens, state }: Block): Uint8Array[] {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  header.set(new TextEncoder().encode(MAGIC));
  view.setBigUint64(8, BigInt(tokens.length), true);
  view.setBigUint64(16, checksum(bytesOf(tokens), state), true);
  return [header, bytesOf(tokens), state];
}

/** The tokens of a file from its first bytes. @returns null unless they are those of the name. */
export function decodeTokens(bytes: Uint8Array, facts: BlockFacts): Int32Array | null {
  if (bytes.length < tokenBytes(facts)) return null;
  const magic = new TextDecoder().decode(bytes.subarray(0, MAGIC.length));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (magic !== MAGIC || view.getBigUint64(8, true) !== BigInt(facts.count)) return null;
  // A copy: the file's bytes need not lie at a multiple of four.
  const copy = new Uint8Array(bytes.subarray(HEADER_BYTES, tokenBytes(facts)));
  const tokens = new Int32Array(copy.buffer);
  return blockKey(facts.parent, tokens) === facts.key ? tokens : null;
}

/** @returns null when anything is not as it was written. */
export function decodeBlock(bytes: Uint8Array, facts: BlockFacts): Block | null {
  const tokens = decodeTokens(bytes, facts);
  if (tokens === null) return null;
  const from = tokenBytes(facts);
  const state = new Uint8Array(bytes.buffer, bytes.byteOffset + from, bytes.length - from);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isWhole = view.getBigUint64(16, true) === checksum(bytesOf(tokens), state);
  return isWhole ? { facts, tokens, state } : null;
}

/** Against damage, not against forgers: the folder is the user's own. */
function checksum(tokens: Uint8Array, state: Uint8Array): bigint {
  return Bun.hash.xxHash64(state, Bun.hash.xxHash64(tokens));
}
