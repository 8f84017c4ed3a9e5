import { type Pointer, ptr } from "bun:ffi";
import { assert } from "../lib/assert.ts";
import type { Batch } from "./backend.ts";
import { BATCH, BATCH_SIZE, writeField } from "./structs.ts";

/** Bytes before the arrays: the struct, rounded up. */
const HEADER = 64;
/** Per row: the pointer to its sequence ids (8), token, position, id count, id (4 each), flag (1). */
const ROW = 8 + 4 * 4 + 1;

/**
 * A `llama_batch` in one ArrayBuffer allocated up front. The storage of an ArrayBuffer never moves
 * while it is referenced, so its address is taken once; that of a small typed array may.
 */
export class FfiBatch implements Batch {
  readonly capacity: number;
  /** Address of the `llama_batch`; valid as long as this object. */
  readonly pointer: Pointer;
  readonly #view: DataView;
  readonly #tokens: Int32Array;
  readonly #positions: Int32Array;
  readonly #sequences: Int32Array;
  readonly #outputs: Int8Array;
  readonly #limits: { vocabSize: number; positions: number; sequences: number };
  /** Every row is an output: pooled embeddings need all of them. */
  readonly #allOutputs: boolean;
  #length = 0;

  constructor(
    capacity: number,
    limits: { vocabSize: number; positions: number; sequences: number },
    allOutputs: boolean,
  ) {
    this.capacity = capacity;
    this.#limits = limits;
    this.#allOutputs = allOutputs;
    const buffer = new ArrayBuffer(HEADER + ROW * capacity);
    this.pointer = ptr(buffer);
    const idPointers = new BigUint64Array(buffer, HEADER, capacity);
    let offset = HEADER + 8 * capacity;
    const words = (): Int32Array => {
      const array = new Int32Array(buffer, offset, capacity);
      offset += 4 * capacity;
      return array;
    };
    this.#tokens = words();
    this.#positions = words();
    const idCounts = words();
    this.#sequences = words();
    this.#outputs = new Int8Array(buffer, offset, capacity);
    idCounts.fill(1);
    for (let row = 0; row < capacity; row++) {
      idPointers[row] = BigInt(this.pointer + this.#sequences.byteOffset + 4 * row);
    }
    this.#view = new DataView(buffer, 0, BATCH_SIZE);
    const address = (array: { byteOffset: number }) => this.pointer + array.byteOffset;
    writeField(this.#view, BATCH.token, address(this.#tokens));
    writeField(this.#view, BATCH.embd, 0);
    writeField(this.#view, BATCH.pos, address(this.#positions));
    writeField(this.#view, BATCH.n_seq_id, address(idCounts));
    writeField(this.#view, BATCH.seq_id, address(idPointers));
    writeField(this.#view, BATCH.logits, address(this.#outputs));
    this.clear();
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
    writeField(this.#view, BATCH.n_tokens, 0);
  }

  add(token: number, position: number, sequence: number, output: boolean): number {
    const row = this.#length;
    const { vocabSize, positions, sequences } = this.#limits;
    assert(row < this.capacity, `batch is full at ${this.capacity} tokens`);
    assert(token >= 0 && token < vocabSize, `token ${token} is outside the vocabulary`);
    assert(position >= 0 && position < positions, `position ${position} is not below ${positions}`);
    assert(sequence >= 0 && sequence < sequences, `sequence ${sequence} is not below ${sequences}`);
    this.#tokens[row] = token;
    this.#positions[row] = position;
    this.#sequences[row] = sequence;
    this.#outputs[row] = output || this.#allOutputs ? 1 : 0;
    this.#length = row + 1;
    writeField(this.#view, BATCH.n_tokens, row + 1);
    return row;
  }

  isOutput(row: number): boolean {
    return row >= 0 && row < this.#length && this.#outputs[row] === 1;
  }

  sequenceOf(row: number): number {
    return this.#sequences[row] ?? -1;
  }
}
