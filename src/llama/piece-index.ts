import type { Vocabulary } from "./backend.ts";

/**
 * Finds tokens that spell given bytes exactly, whatever the tokenizer would make of them. Built on
 * first use: most models never need it.
 */
export class PieceIndex {
  readonly #vocabulary: Vocabulary;
  #tokens: Map<string, number> | null = null;
  #longest = 0;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  /**
   * The longest token first; control tokens count with their text, end-of-generation tokens do not.
   * @returns null when some byte is in no token of the vocabulary.
   */
  spell(bytes: Uint8Array): number[] | null {
    const tokens = (this.#tokens ??= this.#build());
    const text = latin1(bytes);
    const spelled: number[] = [];
    for (let start = 0; start < text.length;) {
      let length = Math.min(this.#longest, text.length - start);
      let token: number | undefined;
      for (; length > 0 && token === undefined; length--) {
        token = tokens.get(text.slice(start, start + length));
      }
      if (token === undefined) return null;
      spelled.push(token);
      start += length + 1;
    }
    return spelled;
  }

  #build(): Map<string, number> {
    const tokens = new Map<string, number>();
    for (let token = 0; token < this.#vocabulary.size; token++) {
      if (this.#vocabulary.isEndOfGeneration(token)) continue;
      const piece = this.#vocabulary.piece(token, true);
      // A token that begins with NUL is never accepted by a grammar.
      if (piece.length === 0 || piece[0] === 0) continue;
      const text = latin1(piece);
      if (!tokens.has(text)) tokens.set(text, token);
      this.#longest = Math.max(this.#longest, text.length);
    }
    return tokens;
  }
}

/** Bytes as a string of the same length, so that they can be a map key. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
