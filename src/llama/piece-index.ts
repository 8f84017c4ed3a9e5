import type { Vocabulary } from "./backend.ts";

const encoder = new TextEncoder();

/** Finds tokens that spell a text exactly, which the tokenizer alone does not promise. */
export class PieceIndex {
  readonly #vocabulary: Vocabulary;
  #tokens: Map<string, number> | null = null;
  #longest = 0;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  /**
   * Control tokens count with their text, end-of-generation tokens do not.
   * @returns null when some byte is in no token of the vocabulary.
   */
  spell(text: string): readonly number[] | null {
    const bytes = encoder.encode(text);
    const tokens = [...this.#vocabulary.tokenize(text, false, true)];
    return this.#spells(tokens, bytes) ? tokens : this.#byLongest(bytes);
  }

  /** Not so where the tokenizer puts a space in front, as those of SentencePiece do. */
  #spells(tokens: readonly number[], bytes: Uint8Array): boolean {
    if (tokens.some((token) => !this.#isUsable(token))) return false;
    const pieces = tokens.map((token) => this.#vocabulary.piece(token, true));
    return Buffer.concat(pieces).equals(bytes);
  }

  /** A grammar takes end-of-generation tokens for the end, and none that begin with NUL. */
  #isUsable(token: number): boolean {
    if (this.#vocabulary.isEndOfGeneration(token)) return false;
    const piece = this.#vocabulary.piece(token, true);
    return piece.length > 0 && piece[0] !== 0;
  }

  /** The longest token first. Its index of the whole vocabulary is built on first use. */
  #byLongest(bytes: Uint8Array): number[] | null {
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
      if (!this.#isUsable(token)) continue;
      const text = latin1(this.#vocabulary.piece(token, true));
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
