/**
 * The end of an endless byte stream in bounded memory. Newlines are not needed: a stream without
 * any keeps its last bytes too.
 */
export class TailBuffer {
  readonly #ring: Uint8Array;
  #end = 0;
  #total = 0;

  constructor(capacityBytes: number) {
    this.#ring = new Uint8Array(capacityBytes);
  }

  push(bytes: Uint8Array): void {
    const capacity = this.#ring.length;
    const kept = bytes.length > capacity ? bytes.subarray(bytes.length - capacity) : bytes;
    const first = Math.min(kept.length, capacity - this.#end);
    this.#ring.set(kept.subarray(0, first), this.#end);
    this.#ring.set(kept.subarray(first), 0);
    this.#end = (this.#end + kept.length) % capacity;
    this.#total += bytes.length;
  }

  /** The bytes kept, as text; invalid UTF-8 becomes U+FFFD. */
  text(): string {
    const decoder = new TextDecoder();
    if (this.#total < this.#ring.length) return decoder.decode(this.#ring.subarray(0, this.#end));
    const ordered = new Uint8Array(this.#ring.length);
    ordered.set(this.#ring.subarray(this.#end), 0);
    ordered.set(this.#ring.subarray(0, this.#end), this.#ring.length - this.#end);
    return decoder.decode(ordered);
  }
}
