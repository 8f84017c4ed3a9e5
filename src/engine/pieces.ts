import type { Vocabulary } from "../llama/backend.ts";

/** One token as text: `text` is null when its bytes are not complete UTF-8 by themselves. */
export interface Piece {
  readonly bytes: Uint8Array;
  readonly text: string | null;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/** Bytes as text; broken UTF-8 becomes U+FFFD. */
export function decodeLenient(bytes: Uint8Array): string {
  return lenient.decode(bytes);
}

function describe(bytes: Uint8Array): Piece {
  let text: string | null;
  try {
    text = strict.decode(bytes);
  } catch {
    text = null;
  }
  return { bytes, text };
}

/** Token texts of one vocabulary, decoded once each. Control tokens have their text here. */
export class PieceTable {
  readonly #vocabulary: Vocabulary;
  readonly #pieces: (Piece | undefined)[] = [];
  readonly #endOfGeneration: ReadonlySet<number>;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
    this.#endOfGeneration = new Set(vocabulary.endOfGeneration);
  }

  get(token: number): Piece {
    return (this.#pieces[token] ??= describe(this.#vocabulary.piece(token, true)));
  }

  /** Text for display, with U+FFFD where the token alone is not valid UTF-8. */
  text(token: number): string {
    const piece = this.get(token);
    return piece.text ?? decodeLenient(piece.bytes);
  }

  isControl(token: number): boolean {
    return this.#vocabulary.isControl(token);
  }

  isEndOfGeneration(token: number): boolean {
    return this.#endOfGeneration.has(token);
  }
}
