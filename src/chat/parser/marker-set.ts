export interface MarkerHit {
  at: number;
  marker: string;
}

/** Finds the first of several literal texts, also where a text may go on with the next chunk. */
export class MarkerSet {
  readonly #pattern: RegExp | null;
  readonly #markers: readonly string[];
  readonly #firsts: ReadonlySet<string>;
  readonly #longest: number;

  /** The set of these markers, remembered: formats ask for the same few again and again. */
  static of(...markers: readonly string[]): MarkerSet {
    const key = markers.join("\0");
    const known = remembered.get(key);
    if (known !== undefined) return known;
    if (remembered.size >= MEMORY) remembered.clear();
    const set = new MarkerSet(markers);
    remembered.set(key, set);
    return set;
  }

  constructor(markers: readonly string[]) {
    this.#markers = [...new Set(markers)].filter((marker) => marker !== "").sort(longestFirst);
    this.#firsts = new Set(this.#markers.map((marker) => marker.slice(0, 1)));
    this.#longest = this.#markers[0]?.length ?? 0;
    const alternatives = this.#markers.map((marker) => RegExp.escape(marker)).join("|");
    this.#pattern = alternatives === "" ? null : new RegExp(alternatives, "g");
  }

  /** The earliest marker at or after `from`, the longest of those that begin there. */
  find(text: string, from: number): MarkerHit | null {
    if (this.#pattern === null) return null;
    this.#pattern.lastIndex = from;
    const match = this.#pattern.exec(text);
    return match === null ? null : { at: match.index, marker: match[0] };
  }

  /** Whether a chunk holds a character with which a marker begins. */
  mayTouch(chunk: string): boolean {
    for (let at = 0; at < chunk.length; at++) if (this.#firsts.has(chunk.charAt(at))) return true;
    return false;
  }

  /** The earliest index from which `text` ends like the beginning of a marker; its length if none. */
  partialFrom(text: string, from: number): number {
    const first = Math.max(from, text.length - this.#longest + 1);
    for (let at = first; at < text.length; at++) {
      if (!this.#firsts.has(text.charAt(at))) continue;
      const tail = text.slice(at);
      if (this.#markers.some((marker) => marker.length > tail.length && marker.startsWith(tail))) {
        return at;
      }
    }
    return text.length;
  }
}

const MEMORY = 256;
const remembered = new Map<string, MarkerSet>();

const longestFirst = (a: string, b: string): number => b.length - a.length;
