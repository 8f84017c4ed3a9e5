/** Longest key that is kept, in characters. */
const MAX_KEY_LENGTH = 256 * 1024;

/**
 * The most recently used results of a pure function. Clients send the same tools with every turn
 * of a conversation, and their grammar takes milliseconds to make.
 */
export class RecentResults<Result> {
  readonly #results = new Map<string, Result>();
  readonly #capacity: number;

  /** @param capacity results kept; keys of more than 256 Ki characters are never kept. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#results.size;
  }

  /** The result for this key, from before or from `make`. What `make` throws is not kept. */
  get(key: string, make: () => Result): Result {
    const known = this.#results.get(key);
    const result = known ?? make();
    if (key.length > MAX_KEY_LENGTH) return result;
    this.#results.delete(key);
    this.#results.set(key, result);
    const [oldest] = this.#results.keys();
    if (this.#results.size > this.#capacity && oldest !== undefined) this.#results.delete(oldest);
    return result;
  }
}
