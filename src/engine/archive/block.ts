import { createHash } from "node:crypto";

/** Tokens that a block's head names: only blocks with this very beginning are looked at closer. */
export const HEAD_TOKENS = 8;

/**
 * What is known of a piece of a sequence without reading it. Its key names its tokens and all
 * tokens before it: two sequences that begin alike have the same blocks.
 */
export interface BlockFacts {
  /** 32 hexadecimal digits. */
  readonly key: string;
  /** Key of the block before it; of the scope's root for the first. */
  readonly parent: string;
  /** Hash of its first tokens, 8 hexadecimal digits. */
  readonly head: string;
  /** Tokens, at least HEAD_TOKENS. */
  readonly count: number;
  /** Bytes that it takes where it is kept. */
  readonly bytes: number;
}

export interface Block {
  readonly facts: BlockFacts;
  readonly tokens: Int32Array;
  /** As the library gave it. */
  readonly state: Uint8Array;
}

/** The key that the blocks of a scope begin with. @param fingerprint see model-identity.ts. */
export function rootKey(fingerprint: string, scope: string): string {
  return digest(JSON.stringify([fingerprint, scope]));
}

export function blockKey(parent: string, tokens: Int32Array): string {
  return digest(parent, bytesOf(tokens));
}

/** @returns null when there are too few tokens for a block. */
export function headOf(tokens: Int32Array): string | null {
  if (tokens.length < HEAD_TOKENS) return null;
  const hash = Bun.hash.crc32(bytesOf(tokens.subarray(0, HEAD_TOKENS)));
  return hash.toString(16).padStart(8, "0");
}

export function factsOf(parent: string, tokens: Int32Array, bytes: number): BlockFacts {
  const head = headOf(tokens) ?? "";
  return { key: blockKey(parent, tokens), parent, head, count: tokens.length, bytes };
}

export function bytesOf(tokens: Int32Array): Uint8Array {
  return new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
}

function digest(text: string, bytes: Uint8Array = new Uint8Array(0)): string {
  return createHash("sha256").update(text).update(bytes).digest("hex").slice(0, 32);
}
