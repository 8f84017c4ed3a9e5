import { assert } from "../lib/assert.ts";
import type { Vocabulary } from "./backend.ts";
import type { LlamaLibrary } from "./library.ts";
import type { NativePointer } from "./native-pointer.ts";

const encoder = new TextEncoder();
const NO_BYTES = new Uint8Array(0);

/** The vocabulary of a loaded model. Valid as long as the model. */
export class FfiVocabulary implements Vocabulary {
  readonly size: number;
  readonly bos: number;
  readonly eos: number;
  readonly addsBos: boolean;
  readonly infill: Vocabulary["infill"];
  readonly endOfGeneration: readonly number[];
  readonly #library: LlamaLibrary;
  readonly #pointer: NativePointer;
  readonly #alive: () => boolean;
  readonly #endOfGeneration: ReadonlySet<number>;
  readonly #plainPieces: (Uint8Array | undefined)[] = [];
  readonly #specialPieces: (Uint8Array | undefined)[] = [];

  /** `alive` says whether the model that holds `pointer` is still loaded. */
  constructor(library: LlamaLibrary, pointer: NativePointer, alive: () => boolean) {
    const { llama } = library;
    this.#library = library;
    this.#pointer = pointer;
    this.#alive = alive;
    this.size = llama.llama_vocab_n_tokens(pointer);
    this.bos = llama.llama_vocab_bos(pointer);
    this.eos = llama.llama_vocab_eos(pointer);
    this.addsBos = llama.llama_vocab_get_add_bos(pointer);
    const prefix = llama.llama_vocab_fim_pre(pointer);
    const suffix = llama.llama_vocab_fim_suf(pointer);
    const middle = llama.llama_vocab_fim_mid(pointer);
    this.infill = prefix < 0 || suffix < 0 || middle < 0 ? null : { prefix, suffix, middle };
    const ids = Array.from({ length: this.size }, (_, token) => token);
    this.endOfGeneration = ids.filter((token) => llama.llama_vocab_is_eog(pointer, token));
    this.#endOfGeneration = new Set(this.endOfGeneration);
  }

  /** The native vocabulary, for calls that take it. */
  get pointer(): NativePointer {
    assert(this.#alive(), "vocabulary used after its model was disposed");
    return this.#pointer;
  }

  tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): Int32Array {
    const { llama } = this.#library;
    const { pointer } = this;
    const bytes = encoder.encode(text);
    // A token covers at least a byte; the rest is for BOS, EOS and a space put in front.
    let tokens = new Int32Array(bytes.length + 8);
    const run = () =>
      llama.llama_tokenize(
        pointer,
        bytes.length === 0 ? new Uint8Array(1) : bytes,
        bytes.length,
        tokens,
        tokens.length,
        addSpecial,
        parseSpecial,
      );
    let count = run();
    if (count < 0) {
      tokens = new Int32Array(-count);
      count = run();
    }
    assert(count >= 0, "llama_tokenize fits the size it asked for");
    return tokens.slice(0, count);
  }

  piece(token: number, special: boolean): Uint8Array {
    this.assertToken(token);
    const cache = special ? this.#specialPieces : this.#plainPieces;
    return (cache[token] ??= this.#readPiece(token, special));
  }

  isEndOfGeneration(token: number): boolean {
    return this.#endOfGeneration.has(token);
  }

  isControl(token: number): boolean {
    this.assertToken(token);
    return this.#library.llama.llama_vocab_is_control(this.pointer, token);
  }

  assertToken(token: number): void {
    assert(
      Number.isInteger(token) && token >= 0 && token < this.size,
      `token ${token} is outside the vocabulary of ${this.size}`,
    );
  }

  #readPiece(token: number, special: boolean): Uint8Array {
    const { llama } = this.#library;
    const read = (buffer: Uint8Array) =>
      llama.llama_token_to_piece(this.pointer, token, buffer, buffer.length, 0, special);
    let buffer = new Uint8Array(64);
    let length = read(buffer);
    if (length < 0) {
      buffer = new Uint8Array(-length);
      length = read(buffer);
    }
    return length <= 0 ? NO_BYTES : buffer.slice(0, length);
  }
}
