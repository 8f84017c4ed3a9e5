/** A growing list of token ids, kept as int32 so that prefixes compare fast. */
export class TokenBuffer {
  #data: Int32Array;
  #length: number;

  constructor(initial: Int32Array, spare: number) {
    this.#data = new Int32Array(initial.length + Math.max(spare, 16));
    this.#data.set(initial);
    this.#length = initial.length;
  }

  get length(): number {
    return this.#length;
  }

  /** -1 beyond the end. */
  at(index: number): number {
    return index < this.#length ? (this.#data[index] ?? -1) : -1;
  }

  push(token: number): void {
    if (this.#length === this.#data.length) {
      const grown = new Int32Array(this.#data.length * 2);
      grown.set(this.#data);
      this.#data = grown;
    }
    this.#data[this.#length++] = token;
  }

  /** Tokens [0, end) as a view; later pushes may leave it behind. */
  view(end: number = this.#length): Int32Array {
    return this.#data.subarray(0, Math.min(end, this.#length));
  }
}

/** How many leading tokens two lists share, at most `limit`. */
export function commonPrefixLength(a: Int32Array, b: Int32Array, limit: number): number {
  const end = Math.min(a.length, b.length, limit);
  let index = 0;
  while (index < end && a[index] === b[index]) index++;
  return index;
}
