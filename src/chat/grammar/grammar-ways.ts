import { GbnfParser, type GbnfRule } from "./gbnf-parse.ts";
import {
  accepts,
  expectedCodes,
  GrammarPlaces,
  MAX_PLACES,
  type Place,
  STEPS_AHEAD,
  WalkEnd,
} from "./grammar-places.ts";
import type { WorkBudget } from "./work-budget.ts";

/** Ways to read one piece of text that the matcher may follow; each costs it under a microsecond. */
const MAX_WAYS = 2_000_000;
/** For one character the matcher compares each place it comes to with each that it keeps. */
const MAX_COMPARISONS = MAX_PLACES ** 2;
/** Longest text that is tried: vocabularies have tokens of so many equal characters. */
const TEXT_LENGTH = 64;
/** Tokens of different characters are no longer. */
const WORD_LENGTH = 16;

/** A place and the number of ways that lead to it. */
type Ways = ReadonlyMap<Place, number>;

/** `unknown`: the budget did not last. */
export type WaysVerdict = "few" | "many" | "unknown";

/**
 * Whether llama.cpp's matcher would follow too many ways through this grammar for some text. It
 * judges a token by every way to read it, without putting equal ones together, and one step of it
 * cannot be interrupted: `("a" | "a")*` takes twice as long with every character.
 *
 * A bounded search: from every rule, and from every place where one rule follows another, it walks
 * along the characters that keep most ways open, and along runs of the same character. Every walk
 * has its share of what is left of the budget, so that a long one hides none behind it.
 *
 * @param gbnf Without left recursion, every rule defined.
 * @param budget Every look at a place is a step.
 */
export function judgeWays(gbnf: string, budget: WorkBudget): WaysVerdict {
  const parsed = new GbnfParser(gbnf).parse();
  if ("message" in parsed) return "few";
  const search = new WaysSearch(parsed.rules, budget);
  const starts = startsOf(parsed.rules, search.places);
  let verdict: WaysVerdict = "few";
  for (const [index, start] of starts.entries()) {
    if (budget.left === 0) return "unknown";
    try {
      const others = Math.min(starts.length - index, WALKS);
      search.walkFrom(start, Math.floor(budget.left / others));
    } catch (error) {
      if (!(error instanceof WalkEnd)) throw error;
      if (error.verdict === "many") return "many";
      verdict = "unknown";
    }
  }
  return verdict;
}

/** A walk may take one part in so many of the budget. */
const WALKS = 4;

/** Where to begin: at root, at the other rules, and where one rule follows another. */
function startsOf(
  rules: ReadonlyMap<string, GbnfRule>,
  places: GrammarPlaces,
): readonly (() => readonly Place[])[] {
  const root = rules.get("root");
  const ordered = root === undefined ? [...rules.values()] : [root, ...rules.values()];
  const starts: (() => readonly Place[])[] = [];
  for (const rule of new Set(ordered)) {
    starts.push(() => places.at(rule));
    for (const elements of rule.options) {
      for (const [index, { kind }] of elements.entries()) {
        if (index > 0 && kind === "rule") starts.push(() => [places.inside(elements, index)]);
      }
    }
  }
  return starts;
}

class WaysSearch {
  readonly places: GrammarPlaces;
  readonly #budget: WorkBudget;
  /** Where words began before: the same walk again finds the same. */
  readonly #words = new Set<string>();
  readonly #starts = new Set<string>();
  #share = 0;

  constructor(rules: ReadonlyMap<string, GbnfRule>, budget: WorkBudget) {
    this.places = new GrammarPlaces(rules, (steps) => this.#spend(steps));
    this.#budget = budget;
  }

  /** @throws WalkEnd when there are too many ways, or `share` steps are spent. */
  walkFrom(start: () => readonly Place[], share: number): void {
    this.#share = share;
    const ways = onceEach(start().flatMap((place) => this.places.charactersAt(place)));
    const key = keyOf(ways);
    if (this.#starts.has(key)) return;
    this.#starts.add(key);
    // Runs first: they cost little, and most of what is ambiguous shows in them.
    for (const code of this.#candidates(ways)) this.#walkRun(ways, code);
    this.#walkWords(ways);
  }

  #spend(steps: number): void {
    this.#budget.spend(steps);
    this.#share -= steps;
    if (this.#share < 0 || this.#budget.left === 0) throw new WalkEnd("unknown");
  }

  /** Along the characters that keep most ways open, word by word. */
  #walkWords(start: Ways): void {
    let ways = start;
    for (let length = 0; length < TEXT_LENGTH && ways.size > 0; length++) {
      if (length % WORD_LENGTH === 0) {
        // Between tokens the matcher puts equal ways together.
        ways = onceEach([...ways.keys()]);
        const key = keyOf(ways);
        if (this.#words.has(key)) return;
        this.#words.add(key);
      }
      let best: Ways = NOWHERE;
      for (const code of this.#candidates(ways)) {
        const next = this.#read(ways, code);
        if (totalOf(next) > totalOf(best)) best = next;
      }
      ways = best;
    }
  }

  /** Along one character for as long as it fits. */
  #walkRun(start: Ways, code: number): void {
    let ways = start;
    for (let length = 0; length < TEXT_LENGTH && ways.size > 0; length++) {
      const next = this.#read(ways, code);
      if (areSame(ways, next)) return;
      ways = next;
    }
  }

  #read(ways: Ways, code: number): Ways {
    const next = new Map<Place, number>();
    let reached = 0;
    let total = 0;
    this.#spend(STEPS_AHEAD + ways.size);
    for (const [place, count] of ways) {
      if (!accepts(place, code)) continue;
      const after = this.places.after(place);
      this.#spend(after.length);
      reached += after.length;
      total += after.length * count;
      for (const one of after) next.set(one, (next.get(one) ?? 0) + count);
      const isTooMuch = next.size > MAX_PLACES || reached * next.size > MAX_COMPARISONS;
      if (isTooMuch || total > MAX_WAYS) throw new WalkEnd("many");
    }
    return next;
  }

  /** Characters that some place expects, a few for each class; one of those that all read alike. */
  #candidates(ways: Ways): number[] {
    const codes = new Map<string, number>();
    for (const code of expectedCodes(ways.keys())) {
      this.#spend(ways.size);
      let readers = "";
      for (const place of ways.keys()) if (accepts(place, code)) readers += `${place.id} `;
      if (!codes.has(readers)) codes.set(readers, code);
    }
    return [...codes.values()];
  }
}

const NOWHERE: Ways = new Map();

const onceEach = (places: readonly Place[]): Ways => new Map(places.map((place) => [place, 1]));

const keyOf = (ways: Ways): string =>
  [...ways.keys()]
    .map(({ id }) => id)
    .toSorted((a, b) => a - b)
    .join(" ");

const areSame = (a: Ways, b: Ways): boolean =>
  a.size === b.size && [...a].every(([place, count]) => b.get(place) === count);

function totalOf(ways: Ways): number {
  let total = 0;
  for (const count of ways.values()) total += count;
  return total;
}
