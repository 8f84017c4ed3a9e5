import { literal, type GrammarBuilder } from "./gbnf.ts";
import { branches, markerSearch, textUntil, type MarkerSearch } from "./until-grammar.ts";

/** Bounds of a number of characters; `max` null = none. */
export interface TextLength {
  min: number;
  max: number | null;
}

/** Rules for one text: its marker's characters for each character that is counted. */
const MAX_RULES = 4000;

/** The part of `length` that `countedUntil` counts for this marker. */
export function countable(marker: string, { min, max }: TextLength): TextLength {
  const most = Math.floor(MAX_RULES / Array.from(marker).length);
  return { min: min > most ? 0 : min, max: max !== null && max > most ? null : max };
}

/**
 * As `textUntil`, where the text before the marker has a length of `countable` bounds. The beginning
 * of a marker that is not finished counts once it is known to be text.
 *
 * @param matched characters of the marker that were read already and count as nothing yet.
 * @returns null when no text is that long.
 */
export function countedUntil(
  builder: GrammarBuilder,
  marker: string,
  length: TextLength,
  matched = 0,
): string | null {
  const whole = textUntil(builder, marker);
  if (length.min === 0 && length.max === null) return matched === 0 ? whole : `${whole}-${matched}`;
  if (length.max !== null && length.max < length.min) return null;
  const counter = new Counter(builder, marker);
  counter.define(length);
  return counter.next(length, 0, matched);
}

/** What is known of a text from one of its places on. */
interface Place {
  /** Characters that must and may still be counted. */
  left: TextLength;
  /** Characters of the marker that were just read. */
  matched: number;
}

class Counter {
  readonly #builder: GrammarBuilder;
  readonly #search: MarkerSearch;
  readonly #whole: string;
  readonly #prefix: string;
  /** Places from which the text cannot end any more. */
  readonly #dead = new Set<string>();

  constructor(builder: GrammarBuilder, marker: string) {
    this.#builder = builder;
    this.#search = markerSearch(marker);
    this.#whole = textUntil(builder, marker);
    // Unlike other rules with hints of their own, so that no name occurs twice.
    this.#prefix = builder.add("close", `( ${literal(marker)} )`);
  }

  /** Defines the rules of all places that a text of this length comes to, from its end on. */
  define({ min, max }: TextLength): void {
    for (let counted = max ?? min; counted >= 0; counted--) {
      const left = {
        min: Math.max(0, min - counted),
        max: max === null ? null : max - counted,
      };
      if (left.min === 0 && left.max === null) continue;
      // Texts that have no minimum left are the same behind every beginning.
      if (left.min === 0 && this.#builder.has(this.#name({ left, matched: 0 }))) continue;
      for (let matched = this.#search.length - 1; matched >= 0; matched--) {
        this.#place({ left, matched });
      }
    }
  }

  /** The rule of the place that `counted` more characters lead to; null when it is dead. */
  next(left: TextLength, counted: number, matched: number): string | null {
    if (left.max !== null && counted > left.max) return null;
    const min = Math.max(0, left.min - counted);
    const max = left.max === null ? null : left.max - counted;
    const name = this.#name({ left: { min, max }, matched });
    return this.#dead.has(name) ? null : name;
  }

  #place(place: Place): void {
    const { left, matched } = place;
    const options: string[] = [];
    for (const { set, target } of branches(this.#builder, this.#search, matched)) {
      if (target === this.#search.length) {
        if (left.min === 0) options.push(set);
        continue;
      }
      const rule = this.next(left, matched + 1 - target, target);
      if (rule !== null) options.push(`${set} ${rule}`);
    }
    const name = this.#name(place);
    if (options.length === 0) this.#dead.add(name);
    else if (this.#builder.has(name)) this.#builder.spend(1);
    else this.#builder.define(name, options.join(" | "));
  }

  #name({ left: { min, max }, matched }: Place): string {
    if (min === 0 && max === null) return matched === 0 ? this.#whole : `${this.#whole}-${matched}`;
    const least = min === 0 ? "" : `${min}`;
    return `${this.#prefix}-${least}to${max ?? ""}-${matched}`;
  }
}
