import { literal, type GrammarBuilder } from "./gbnf.ts";
import { nearText } from "./near-text.ts";
import {
  branches,
  markerSearch,
  textUntil,
  type MarkerSearch,
  type TextLength,
} from "./until-grammar.ts";

/** Rules for one text: its marker's characters for each character that is counted. */
const MAX_RULES = 400;

/**
 * As `textUntil`, where the text before the marker has this length. The beginning of a marker that
 * is not finished counts once it is known to be text. Where counting every character would take
 * many rules, beginnings of the marker are counted only nearly: no text of this length is lost.
 *
 * @param matched 1 = the marker's first character was read already and counts as nothing yet.
 * @returns null when no text is that long.
 */
export function countedUntil(
  builder: GrammarBuilder,
  marker: string,
  length: TextLength,
  matched: 0 | 1 = 0,
): string | null {
  const { min, max } = length;
  const whole = textUntil(builder, marker);
  if (min === 0 && max === null) return matched === 0 ? whole : `${whole}-${matched}`;
  if (max !== null && max < min) return null;
  const counter = new Counter(builder, marker);
  const rules = counter.cost(length);
  if (rules > builder.places.left) return nearText(builder, marker, length, matched);
  builder.places.spend(rules);
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

  /** Rules that `define` would add; Infinity = too many for one text. */
  cost({ min, max }: TextLength): number {
    const most = max ?? min;
    if ((most + 1) * this.#search.length > MAX_RULES) return Infinity;
    const lengths = Array.from({ length: most + 1 }, (_, counted) => ({
      min: Math.max(0, min - counted),
      max: max === null ? null : max - counted,
    }));
    const names = lengths.map((left) => this.#name({ left, matched: 0 }));
    return names.filter((name) => !this.#builder.has(name)).length * this.#search.length;
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
