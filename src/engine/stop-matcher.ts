/** One stop string with its Knuth-Morris-Pratt table and the length matched so far. */
interface Pattern {
  readonly text: string;
  readonly fallback: Int32Array;
  matched: number;
}

function compile(text: string): Pattern {
  const fallback = new Int32Array(text.length);
  let length = 0;
  for (let index = 1; index < text.length; index++) {
    while (length > 0 && text[index] !== text[length]) length = fallback[length - 1] ?? 0;
    if (text[index] === text[length]) length++;
    fallback[index] = length;
  }
  return { text, fallback, matched: 0 };
}

/** Advances by one UTF-16 unit; true when the whole pattern has matched. */
function advance(pattern: Pattern, unit: string): boolean {
  let { matched } = pattern;
  while (matched > 0 && pattern.text[matched] !== unit)
    matched = pattern.fallback[matched - 1] ?? 0;
  if (pattern.text[matched] === unit) matched++;
  pattern.matched = matched;
  return matched === pattern.text.length;
}

/**
 * Finds stop strings in text that arrives in pieces. The first stop to be complete wins, the longest
 * of those that end together; the answer does not depend on how the text is split. Text that could
 * still become a stop is held back. Time is linear in the text for a fixed list of stops.
 */
export class StopMatcher {
  readonly #patterns: Pattern[];
  #held = "";

  constructor(stops: readonly string[]) {
    // Text never holds half a surrogate pair; a stop that did would cut one in two.
    this.#patterns = stops.map((stop) => compile(stop.toWellFormed()));
  }

  /**
   * @returns the text that is safe to send, the stop that matched, and the text after it. Push
   * nothing more after a hit.
   */
  push(text: string): { text: string; hit: string | null; rest: string } {
    if (this.#patterns.length === 0) return { text, hit: null, rest: "" };
    const whole = this.#held + text;
    for (let index = 0; index < text.length; index++) {
      const unit = text.charAt(index);
      let hit: Pattern | null = null;
      for (const pattern of this.#patterns) {
        if (!advance(pattern, unit)) continue;
        if (hit === null || pattern.text.length > hit.text.length) hit = pattern;
      }
      if (hit === null) continue;
      const end = this.#held.length + index + 1;
      this.#held = "";
      const before = whole.slice(0, end - hit.text.length);
      return { text: before, hit: hit.text, rest: whole.slice(end) };
    }
    let hold = 0;
    for (const pattern of this.#patterns) hold = Math.max(hold, pattern.matched);
    this.#held = whole.slice(whole.length - hold);
    return { text: whole.slice(0, whole.length - hold), hit: null, rest: "" };
  }

  /** The text held back, when no more will come. */
  flush(): string {
    const text = this.#held;
    this.#held = "";
    return text;
  }
}
