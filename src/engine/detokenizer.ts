import { decodeLenient, type Piece } from "./pieces.ts";

/** Bytes a UTF-8 sequence takes, by its first byte; 1 for what can start none. */
function sequenceLength(lead: number): number {
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  return 1;
}

/** How many bytes at the end begin a code point that is not complete yet: 0 to 3. */
export function incompleteTail(bytes: Uint8Array): number {
  const start = Math.max(0, bytes.length - 3);
  for (let index = bytes.length - 1; index >= start; index--) {
    const byte = bytes[index] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const have = bytes.length - index;
    return sequenceLength(byte) > have ? have : 0;
  }
  return 0;
}

const NOTHING = new Uint8Array(0);

/**
 * Joins token pieces into text. Bytes of an unfinished code point are held until it is complete;
 * however the bytes are split, the text is that of all bytes together.
 */
export class Detokenizer {
  #held: Uint8Array = NOTHING;

  /** Bytes wait for the rest of their code point. */
  get isHolding(): boolean {
    return this.#held.length > 0;
  }

  push(piece: Piece): string {
    if (this.#held.length === 0 && piece.text !== null) return piece.text;
    const bytes = new Uint8Array(this.#held.length + piece.bytes.length);
    bytes.set(this.#held);
    bytes.set(piece.bytes, this.#held.length);
    const complete = bytes.length - incompleteTail(bytes);
    this.#held = bytes.subarray(complete);
    return decodeLenient(bytes.subarray(0, complete));
  }

  /** What is still held, as U+FFFD. */
  flush(): string {
    const text = decodeLenient(this.#held);
    this.#held = NOTHING;
    return text;
  }
}
