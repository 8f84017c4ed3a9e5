/** The distinct tokens among the last ones: those that a penalty can touch. */
export class RecentTokens {
  readonly #ring: Int32Array;
  readonly #counts = new Map<number, number>();
  #next = 0;
  #length = 0;

  /** `window` is how many tokens back it reaches; 0 remembers nothing. */
  constructor(window: number) {
    this.#ring = new Int32Array(window);
  }

  get distinct(): ReadonlyMap<number, number> {
    return this.#counts;
  }

  push(token: number): void {
    if (this.#ring.length === 0) return;
    if (this.#length === this.#ring.length) this.#forget(this.#ring[this.#next] ?? 0);
    else this.#length++;
    this.#ring[this.#next] = token;
    this.#next = (this.#next + 1) % this.#ring.length;
    this.#counts.set(token, (this.#counts.get(token) ?? 0) + 1);
  }

  #forget(token: number): void {
    const count = (this.#counts.get(token) ?? 1) - 1;
    if (count === 0) this.#counts.delete(token);
    else this.#counts.set(token, count);
  }
}
