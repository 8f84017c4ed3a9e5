export const QUOTE = 34;
export const BACKSLASH = 92;
const LEFT_BRACKET = 91;
const RIGHT_BRACKET = 93;
const LEFT_BRACE = 123;
const RIGHT_BRACE = 125;
const LESS = 60;
const BACKTICK = 96;

/** Follows an object, list or string of JSON to its end, chunk by chunk. */
export class ValueScanner {
  /** `broken`: a character came that cannot be part of the value. */
  state: "open" | "done" | "broken" = "open";
  #depth = 0;
  #inString = false;
  #isEscaped = false;

  /** How many characters of `text` belong to the value. */
  scan(text: string): number {
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (this.#inString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (code === BACKSLASH) this.#isEscaped = true;
        else if (code === QUOTE) {
          this.#inString = false;
          if (this.#depth === 0) return this.#finish("done", at + 1);
        }
      } else if (code === QUOTE) this.#inString = true;
      else if (code === LEFT_BRACE || code === LEFT_BRACKET) this.#depth++;
      else if (code === RIGHT_BRACE || code === RIGHT_BRACKET) {
        if (--this.#depth <= 0) return this.#finish("done", at + 1);
      } else if (code === LESS || code === BACKTICK) return this.#finish("broken", at);
    }
    return text.length;
  }

  /** Scans a chunk that ends nothing; otherwise false, as if the chunk had not been seen. */
  staysOpen(chunk: string): boolean {
    const depth = this.#depth;
    const inString = this.#inString;
    const isEscaped = this.#isEscaped;
    this.scan(chunk);
    if (this.state === "open") return true;
    this.state = "open";
    this.#depth = depth;
    this.#inString = inString;
    this.#isEscaped = isEscaped;
    return false;
  }

  #finish(state: "done" | "broken", count: number): number {
    this.state = state;
    return count;
  }
}
