import { type Pointer, ptr } from "bun:ffi";
import { assert } from "../lib/assert.ts";
import {
  readField,
  TOKEN_DATA_ARRAY,
  TOKEN_DATA_ARRAY_SIZE,
  TOKEN_DATA_WORDS,
  writeField,
} from "./structs.ts";
import { indicesAtLeast, topBound } from "./top-bound.ts";

/** Where the entries begin; the array struct lies before them. */
const ENTRIES = 64;

/** Added to the logits of tokens; -Infinity bans. */
export type Biases = ReadonlyMap<number, number>;

/**
 * A `llama_token_data_array` with room for the whole vocabulary in one ArrayBuffer, whose storage
 * never moves. Samplers reorder and shorten it, so it is filled before each use.
 */
export class Candidates {
  /** Address of the array struct; valid as long as this object. */
  readonly pointer: Pointer;
  readonly #view: DataView;
  readonly #ids: Int32Array;
  readonly #scores: Float32Array;
  /** Every id with score 0, as the entries look before scores are written. */
  readonly #blank: Int32Array;
  readonly #vocabSize: number;
  /** How many of the first entries `fillBest` chose by their logit alone. */
  #plain = 0;

  constructor(vocabSize: number) {
    const words = vocabSize * TOKEN_DATA_WORDS;
    const buffer = new ArrayBuffer(ENTRIES + 4 * words);
    this.pointer = ptr(buffer);
    this.#view = new DataView(buffer, 0, TOKEN_DATA_ARRAY_SIZE);
    this.#ids = new Int32Array(buffer, ENTRIES, words);
    this.#scores = new Float32Array(buffer, ENTRIES, words);
    this.#blank = new Int32Array(words);
    this.#vocabSize = vocabSize;
    for (let token = 0; token < vocabSize; token++) {
      this.#blank[token * TOKEN_DATA_WORDS] = token;
    }
  }

  /** Every token of the vocabulary, in the order of ids. */
  fillAll(logits: Float32Array, biases: Biases): void {
    this.#ids.set(this.#blank);
    const scores = this.#scores;
    for (let token = 0, at = 1; token < logits.length; token++, at += TOKEN_DATA_WORDS) {
      scores[at] = logits[token] as number;
    }
    for (const [token, bias] of biases) {
      scores[token * TOKEN_DATA_WORDS + 1] = (logits[token] ?? 0) + bias;
    }
    this.#reset(this.#vocabSize);
  }

  /**
   * Only tokens that can be among the `count` best once `biases` are added and samplers have
   * changed no other tokens than `touched`: for a chain that keeps the best `count`. Many times
   * cheaper than `fillAll` for a large vocabulary.
   * @returns false, and does nothing, when it would not pay.
   */
  fillBest(
    logits: Float32Array,
    count: number,
    biases: Biases,
    touched: ReadonlyMap<number, unknown>,
  ): boolean {
    const top = topBound(logits, count + biases.size + touched.size);
    // Without a finite bound some block holds nothing but banned tokens or NaN.
    if (top === null || top.bound === -Infinity) return false;
    let size = 0;
    const add = (token: number, score: number) => {
      this.#ids[size * TOKEN_DATA_WORDS] = token;
      this.#scores[size * TOKEN_DATA_WORDS + 1] = score;
      this.#scores[size * TOKEN_DATA_WORDS + 2] = 0;
      size++;
    };
    for (const token of indicesAtLeast(logits, top)) {
      if (!biases.has(token) && !touched.has(token)) add(token, logits[token] ?? 0);
    }
    this.#plain = size;
    for (const [token, bias] of biases) add(token, (logits[token] ?? 0) + bias);
    for (const token of touched.keys()) if (!biases.has(token)) add(token, logits[token] ?? 0);
    this.#reset(size);
    return true;
  }

  /** These tokens only, in this order. */
  fillTokens(tokens: ArrayLike<number>, logits: Float32Array, biases: Biases): void {
    for (let index = 0, at = 0; index < tokens.length; index++, at += TOKEN_DATA_WORDS) {
      const token = tokens[index] as number;
      this.#ids[at] = token;
      this.#scores[at + 1] = (logits[token] as number) + (biases.get(token) ?? 0);
      this.#scores[at + 2] = 0;
    }
    this.#reset(tokens.length);
  }

  /** These tokens with a score of 0, to ask a grammar about them. */
  fillBlank(tokens: ArrayLike<number>): void {
    for (let index = 0, at = 0; index < tokens.length; index++, at += TOKEN_DATA_WORDS) {
      this.#ids[at] = tokens[index] as number;
      this.#scores[at + 1] = 0;
      this.#scores[at + 2] = 0;
    }
    this.#reset(tokens.length);
  }

  /** Each token, and whether the grammar allows it; the entries must not change meanwhile. */
  *answers(): Generator<[token: number, isAllowed: boolean]> {
    const { first, size } = this.#left();
    for (let index = 0, at = first; index < size; index++, at += TOKEN_DATA_WORDS) {
      yield [this.#ids[at] as number, this.#scores[at + 1] !== -Infinity];
    }
  }

  /**
   * Removes what a grammar refused after `fillBest`.
   * @returns how many are left of those chosen by their logit alone: the best so many allowed
   * tokens of the vocabulary are among them, but for those with biases and the touched ones.
   */
  dropRefused(): number {
    const { size } = this.#left();
    let kept = 0;
    let plain = 0;
    for (let index = 0, at = 0; index < size; index++, at += TOKEN_DATA_WORDS) {
      if (this.#scores[at + 1] === -Infinity) continue;
      this.#ids.copyWithin(kept * TOKEN_DATA_WORDS, at, at + TOKEN_DATA_WORDS);
      kept++;
      if (index < this.#plain) plain++;
    }
    this.#reset(kept);
    return plain;
  }

  /** One token only, to ask a grammar about it. */
  fillOne(token: number): void {
    this.#ids[0] = token;
    this.#scores[1] = 1;
    this.#scores[2] = 0;
    this.#reset(1);
  }

  /** Logit of the first entry. */
  get firstScore(): number {
    return this.#scores[1] ?? -Infinity;
  }

  /** The token that the last sampler of a chain selected, or null when it did not. */
  get selected(): number | null {
    const index = readField(this.#view, TOKEN_DATA_ARRAY.selected);
    const { first, size } = this.#left();
    return index < 0 || index >= size
      ? null
      : (this.#ids[first + index * TOKEN_DATA_WORDS] ?? null);
  }

  /** The token with the largest logit, the smallest id of equals; null when all are banned. */
  best(): number | null {
    const { first, size } = this.#left();
    let best = -Infinity;
    let token: number | null = null;
    for (let index = 0, at = first; index < size; index++, at += TOKEN_DATA_WORDS) {
      const score = this.#scores[at + 1] ?? -Infinity;
      const id = this.#ids[at] ?? 0;
      if (score < best || score === -Infinity || (score === best && id > (token ?? id))) continue;
      best = score;
      token = id;
    }
    return token;
  }

  /** What the samplers left: they may drop entries at the end, and move the beginning on. */
  #left(): { first: number; size: number } {
    const offset = readField(this.#view, TOKEN_DATA_ARRAY.data) - this.pointer - ENTRIES;
    const size = readField(this.#view, TOKEN_DATA_ARRAY.size);
    const first = offset / 4;
    assert(
      first >= 0 && first + size * TOKEN_DATA_WORDS <= this.#ids.length,
      "samplers stay within the candidates they are given",
    );
    return { first, size };
  }

  #reset(size: number): void {
    writeField(this.#view, TOKEN_DATA_ARRAY.data, this.pointer + ENTRIES);
    writeField(this.#view, TOKEN_DATA_ARRAY.size, size);
    writeField(this.#view, TOKEN_DATA_ARRAY.selected, -1);
    writeField(this.#view, TOKEN_DATA_ARRAY.selected_high, -1);
    writeField(this.#view, TOKEN_DATA_ARRAY.sorted, 0);
  }
}
