import { type Pointer, ptr } from "bun:ffi";
import {
  TOKEN_DATA_ARRAY,
  TOKEN_DATA_ARRAY_SIZE,
  TOKEN_DATA_WORDS,
  writeField,
} from "./structs.ts";
import { readField } from "./structs.ts";

/** Where the entries begin; the array struct lies before them. */
const ENTRIES = 64;

/**
 * A `llama_token_data_array` over the whole vocabulary in one ArrayBuffer, whose storage never
 * moves. Samplers reorder and shorten it, so it is filled before each use.
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

  /** Every token of the vocabulary with its logit, in the order of ids. */
  fill(logits: Float32Array): void {
    this.#ids.set(this.#blank);
    const scores = this.#scores;
    for (let token = 0, at = 1; token < logits.length; token++, at += TOKEN_DATA_WORDS) {
      scores[at] = logits[token] ?? 0;
    }
    this.#reset(this.#vocabSize);
  }

  /** One token only, to ask a grammar about it. */
  fillOne(token: number): void {
    this.#ids[0] = token;
    this.#scores[1] = 1;
    this.#scores[2] = 0;
    this.#reset(1);
  }

  /** Adds to a token's logit. Only between `fill` and the first sampler: then ids are in order. */
  addBias(token: number, bias: number): void {
    const at = token * TOKEN_DATA_WORDS + 1;
    this.#scores[at] = (this.#scores[at] ?? 0) + bias;
  }

  /** Logit of the first entry. */
  get firstScore(): number {
    return this.#scores[1] ?? -Infinity;
  }

  /** The token that the last sampler of a chain selected, or null when it did not. */
  get selected(): number | null {
    const index = readField(this.#view, TOKEN_DATA_ARRAY.selected);
    if (index < 0 || readField(this.#view, TOKEN_DATA_ARRAY.selected_high) !== 0) return null;
    return this.#ids[index * TOKEN_DATA_WORDS] ?? null;
  }

  /** The token with the largest logit, the first of equals; null when all are banned. */
  best(): number | null {
    const size = readField(this.#view, TOKEN_DATA_ARRAY.size);
    let best = -Infinity;
    let token: number | null = null;
    for (let index = 0; index < size; index++) {
      const score = this.#scores[index * TOKEN_DATA_WORDS + 1] ?? -Infinity;
      if (score <= best) continue;
      best = score;
      token = this.#ids[index * TOKEN_DATA_WORDS] ?? null;
    }
    return token;
  }

  #reset(size: number): void {
    writeField(this.#view, TOKEN_DATA_ARRAY.data, this.pointer + ENTRIES);
    writeField(this.#view, TOKEN_DATA_ARRAY.size, size);
    writeField(this.#view, TOKEN_DATA_ARRAY.selected, -1);
    writeField(this.#view, TOKEN_DATA_ARRAY.selected_high, -1);
    writeField(this.#view, TOKEN_DATA_ARRAY.sorted, 0);
  }
}

/** The index of the largest value, the first of equals. NaN never wins. */
export function argmax(values: Float32Array): number {
  let best = -Infinity;
  let index = 0;
  for (let at = 0; at < values.length; at++) {
    const value = values[at] ?? -Infinity;
    if (value > best) {
      best = value;
      index = at;
    }
  }
  return index;
}
