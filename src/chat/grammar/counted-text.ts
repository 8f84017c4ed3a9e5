import { literal, type GrammarBuilder } from "./gbnf.ts";
import { markerPieces } from "./marker-pieces.ts";
import { nearText } from "./near-text.ts";
import {
  branches,
  markerSearch,
  textUntil,
  type MarkerSearch,
  type TextLength,
} from "./until-grammar.ts";

/** Texts up to this length are counted exactly, however many there are. */
const EXACT = 15;
/** Beginnings of the marker up to this length are counted exactly in longer texts. */
const COUNTED_BEGINNING = 3;

/**
 * As `textUntil`, where the text before the marker has this length. The beginning of a marker that
 * is not finished counts once it is known to be text. In longer texts a beginning of more than
 * `COUNTED_BEGINNING` characters counts as the least it may be, and behind it no minimum is asked
 * for; where even that would take many rules, they are counted as `nearText` does. No text of this
 * length is lost, and where others are possible, the builder is told.
 *
 * @param matched Characters of the marker that were read already and count as nothing yet.
 * @returns null when no text is that long.
 */
export function countedUntil(
  builder: GrammarBuilder,
  marker: string,
  length: TextLength,
  matched: 0 | 1 | 2 = 0,
): string | null {
  const { min, max } = length;
  const whole = textUntil(builder, marker);
  if (min === 0 && max === null) return matched === 0 ? whole : `${whole}-${matched}`;
  if (max !== null && max < min) return null;
  const isShort = (max ?? min) <= EXACT;
  const counter = counterOf(builder, marker, isShort ? Infinity : COUNTED_BEGINNING);
  if (!isShort) {
    const rules = counter.cost(length);
    // One text leaves as much to the others as it takes.
    if (rules > builder.places.left / 2) {
      if (matched < 2) return nearText(builder, marker, length, matched === 0 ? 0 : 1);
      // Not counted at all, so that it may end at once.
      builder.countNearly();
      return min === 0 ? `${whole}-${matched}` : null;
    }
    builder.places.spend(rules);
    if (!counter.isExact) builder.countNearly();
  }
  counter.define(length);
  return counter.next(length, 0, matched);
}

/** What counts up to a marker in this grammar; made once, however many texts it ends. */
function counterOf(builder: GrammarBuilder, marker: string, depth: number): Counter {
  const known = COUNTERS.getOrInsertComputed(builder, () => new Map<string, Counter>());
  return known.getOrInsertComputed(`${depth} ${marker}`, () => {
    return new Counter(builder, marker, depth);
  });
}

const COUNTERS = new WeakMap<GrammarBuilder, Map<string, Counter>>();

/** What is known of a text from one of its places on. */
interface Place {
  /** Characters that must and may still be counted. */
  left: TextLength;
  /** Characters of the marker that were just read. */
  matched: number;
}

class Counter {
  readonly #builder: GrammarBuilder;
  readonly #marker: string;
  readonly #search: MarkerSearch;
  /** Of each state of the search. */
  readonly #branches: readonly ReturnType<typeof branches>[];
  readonly #whole: string;
  readonly #prefix: string;
  /** The longest beginning of the marker that has places of its own. */
  readonly #depth: number;
  /** Places from which the text cannot end any more. */
  readonly #dead = new Set<string>();

  /** @param depth Longer beginnings of the marker have no places of their own. */
  constructor(builder: GrammarBuilder, marker: string, depth: number) {
    this.#builder = builder;
    this.#marker = marker;
    this.#search = markerSearch(marker);
    this.#branches = this.#search.states.map((_, state) => branches(builder, this.#search, state));
    this.#whole = textUntil(builder, marker);
    this.#depth = Math.min(depth, this.#search.length - 1);
    // Unlike other rules with hints of their own, so that no name occurs twice.
    this.#prefix = builder.add("n", `( ${literal(marker)} ) ${literal(`${depth}`)}`);
  }

  /** Whether every text is counted exactly. */
  get isExact(): boolean {
    return this.#depth === this.#search.length - 1;
  }

  /** Rules that `define` would add. */
  cost(length: TextLength): number {
    const most = length.max ?? length.min;
    if (most > this.#builder.places.left) return Infinity;
    const names = this.#lengths(length).map((left) => this.#name({ left, matched: 0 }));
    return names.filter((name) => !this.#builder.has(name)).length * (this.#depth + 1);
  }

  /** Defines the rules of all places that a text of this length comes to, from its end on. */
  define(length: TextLength): void {
    for (const left of this.#lengths(length)) {
      // Texts that have no minimum left are the same behind every beginning.
      if (left.min === 0 && this.#builder.has(this.#name({ left, matched: 0 }))) continue;
      for (let matched = this.#depth; matched >= 0; matched--) this.#place({ left, matched });
    }
  }

  /** What may be left of such a text, the least first. */
  #lengths({ min, max }: TextLength): TextLength[] {
    // Long beginnings of the marker end the minimum anywhere.
    const free = max === null ? 0 : (this.isExact ? max - min : max) + 1;
    const ends = Array.from({ length: free }, (_, most) => ({ min: 0, max: most }));
    const others = Array.from({ length: min }, (_, counted) => ({
      min: counted + 1,
      max: max === null ? null : max - min + counted + 1,
    }));
    return [...ends, ...others];
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
    const options = (this.#branches[matched] ?? []).flatMap(({ set, target }) => {
      if (target === this.#search.length) return left.min === 0 ? [set] : [];
      if (target > this.#depth) return this.#within(left).map((rest) => `${set} ${rest}`);
      const rule = this.next(left, matched + 1 - target, target);
      return rule === null ? [] : [`${set} ${rule}`];
    });
    const name = this.#name(place);
    if (options.length === 0) this.#dead.add(name);
    else if (this.#builder.has(name)) this.#builder.spend(1);
    else this.#builder.define(name, options.join(" | "));
  }

  /** What may follow a beginning of the marker that is longer than those with places. */
  #within({ min, max }: TextLength): string[] {
    const from = this.#depth + 1;
    const { to, close, late } = markerPieces(this.#builder, this.#marker, {
      from,
      above: this.#depth,
    });
    const ends = [min === 0 ? close : max === 0 ? null : late].filter((end) => end !== null);
    const texts = to.flatMap((piece, matched) => {
      const rule = piece === null ? null : this.next({ min: 0, max }, from + 1 - matched, matched);
      return piece === null || rule === null ? [] : [`${piece} ${rule}`];
    });
    return [...ends, ...texts];
  }

  #name({ left: { min, max }, matched }: Place): string {
    if (min === 0 && max === null) return matched === 0 ? this.#whole : `${this.#whole}-${matched}`;
    const least = min === 0 ? "" : min.toString(36);
    return `${this.#prefix}-${least}-${max?.toString(36) ?? ""}-${matched}`;
  }
}
