import { contains } from "./char-set.ts";
import { type GbnfElement, GbnfParser, type GbnfRule } from "./gbnf-parse.ts";
import type { WorkBudget } from "./work-budget.ts";

/** Ways to read one piece of text that the matcher may follow; each costs it under a microsecond. */
const MAX_WAYS = 2_000_000;
/** Places in the grammar where a text may stand at once. */
const MAX_PLACES = 4000;
/** For one character the matcher compares each place it comes to with each that it keeps. */
const MAX_COMPARISONS = MAX_PLACES ** 2;
/** Longest text that is tried: vocabularies have tokens of so many equal characters. */
const TEXT_LENGTH = 64;
/** Tokens of different characters are no longer. */
const WORD_LENGTH = 16;
/** Characters that are tried at one place. */
const MAX_CHARACTERS = 16;

/** Where a text may go on: the characters expected next, and what follows behind them. */
interface Place {
  readonly id: number;
  readonly position: Position;
  /** What follows when everything of this position is read; null = the end. */
  readonly parent: Place | null;
}

/** Within an alternative, or in a run of optional items. */
type Position =
  | { kind: "sequence"; elements: readonly GbnfElement[]; index: number; copy: number; at: number }
  | { kind: "run"; rule: GbnfRule; count: number };

/** A place and the number of ways that lead to it. */
type Ways = ReadonlyMap<Place, number>;

/** `unknown`: the budget did not last. */
export type WaysVerdict = "few" | "many" | "unknown";

/** Ends a walk. */
class WalkEnd extends Error {
  readonly verdict: "many" | "unknown";

  constructor(verdict: "many" | "unknown") {
    super(verdict);
    this.verdict = verdict;
  }
}

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
  const starts = startsOf(parsed.rules, search);
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

/** What it takes to make a place, or to set out for the next ones, besides looking at each. */
const STEPS_AHEAD = 4;
/** A walk may take one part in so many of the budget. */
const WALKS = 4;

/** Where to begin: at root, at the other rules, and where one rule follows another. */
function startsOf(
  rules: ReadonlyMap<string, GbnfRule>,
  search: WaysSearch,
): readonly (() => readonly Place[])[] {
  const root = rules.get("root");
  const ordered = root === undefined ? [...rules.values()] : [root, ...rules.values()];
  const starts: (() => readonly Place[])[] = [];
  for (const rule of new Set(ordered)) {
    starts.push(() => search.placesAt(rule));
    for (const elements of rule.options) {
      for (const [index, { kind }] of elements.entries()) {
        if (index > 0 && kind === "rule") starts.push(() => [search.placeIn(elements, index)]);
      }
    }
  }
  return starts;
}

class WaysSearch {
  readonly #rules: ReadonlyMap<string, GbnfRule>;
  readonly #budget: WorkBudget;
  readonly #places = new Map<string, Place>();
  readonly #names = new Map<object, number>();
  readonly #expected = new Map<Place, readonly Place[]>();
  /** Where words began before: the same walk again finds the same. */
  readonly #words = new Set<string>();
  readonly #starts = new Set<string>();
  #share = 0;

  constructor(rules: ReadonlyMap<string, GbnfRule>, budget: WorkBudget) {
    this.#rules = rules;
    this.#budget = budget;
  }

  /** @throws WalkEnd when there are too many ways, or `share` steps are spent. */
  walkFrom(start: () => readonly Place[], share: number): void {
    this.#share = share;
    const ways = onceEach(start().flatMap((place) => this.#charactersAt(place)));
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

  placesAt(rule: GbnfRule): Place[] {
    return this.#enter(rule, null).filter((place) => place !== null);
  }

  placeIn(elements: readonly GbnfElement[], index: number): Place {
    return this.#place({ kind: "sequence", elements, index, copy: 0, at: 0 }, null);
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
      const after = this.#after(place);
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
    for (const code of expectedCodes(ways)) {
      this.#spend(ways.size);
      let readers = "";
      for (const place of ways.keys()) if (accepts(place, code)) readers += `${place.id} `;
      if (!codes.has(readers)) codes.set(readers, code);
    }
    return [...codes.values()];
  }

  /** The places behind the character that `place` expects. */
  #after(place: Place): readonly Place[] {
    const { position, parent } = place;
    if (position.kind !== "sequence") return [];
    const element = position.elements[position.index];
    if (element?.kind === "text" && position.at + 1 < element.codes.length) {
      return [this.#place({ ...position, at: position.at + 1 }, parent)];
    }
    const rest = this.#rest(place);
    return rest === null ? [] : this.#charactersAt(rest);
  }

  /** All places that expect a character, from `start` without reading any. */
  #charactersAt(start: Place): readonly Place[] {
    const known = this.#expected.get(start);
    if (known !== undefined) return known;
    this.#spend(STEPS_AHEAD);
    const seen = new Set<Place>();
    const found: Place[] = [];
    const todo: (Place | null)[] = [start];
    for (let place = todo.pop(); place !== undefined; place = todo.pop()) {
      if (place === null || seen.has(place)) continue;
      seen.add(place);
      this.#spend(1);
      const { position, parent } = place;
      if (position.kind === "run") {
        todo.push(parent, this.#item(place));
        continue;
      }
      const element = position.elements[position.index];
      if (element?.kind !== "rule") {
        found.push(place);
        if (found.length > MAX_PLACES) throw new WalkEnd("many");
        continue;
      }
      const rule = this.#rules.get(element.name);
      if (rule !== undefined) todo.push(...this.#enter(rule, this.#rest(place)));
    }
    this.#expected.set(start, found);
    return found;
  }

  #enter(rule: GbnfRule, rest: Place | null): (Place | null)[] {
    if (rule.run !== undefined) return [this.#place({ kind: "run", rule, count: 0 }, rest)];
    return rule.options.map((elements) =>
      elements.length === 0
        ? rest
        : this.#place({ kind: "sequence", elements, index: 0, copy: 0, at: 0 }, rest),
    );
  }

  /** The next item of a run, behind it the rest of the run. */
  #item({ position, parent }: Place): Place | null {
    if (position.kind !== "run" || position.rule.run === undefined) return null;
    const { item, times } = position.rule.run;
    const count = times === null ? 0 : position.count + 1;
    const isLast = times !== null && count >= times;
    const rest = isLast ? parent : this.#place({ ...position, count }, parent);
    const elements = this.#alone(item);
    return this.#place({ kind: "sequence", elements, index: 0, copy: 0, at: 0 }, rest);
  }

  readonly #single = new Map<GbnfElement, readonly GbnfElement[]>();

  /** One sequence per element, so that equal places stay equal. */
  #alone(element: GbnfElement): readonly GbnfElement[] {
    const known = this.#single.get(element) ?? [element];
    this.#single.set(element, known);
    return known;
  }

  /** What follows the element a place is at; null = the end. */
  #rest({ position, parent }: Place): Place | null {
    if (position.kind === "run") return parent;
    const { elements, index, copy } = position;
    const copies = elements[index]?.copies ?? 1;
    if (copy + 1 < copies) return this.#place({ ...position, copy: copy + 1, at: 0 }, parent);
    if (index + 1 >= elements.length) return parent;
    return this.#place({ ...position, index: index + 1, copy: 0, at: 0 }, parent);
  }

  #place(position: Position, parent: Place | null): Place {
    const own =
      position.kind === "run"
        ? `${this.#name(position.rule)}r${position.count}`
        : `${this.#name(position.elements)}.${position.index}.${position.copy}.${position.at}`;
    const key = `${own}<${parent?.id ?? ""}`;
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    this.#spend(STEPS_AHEAD);
    const place = { id: this.#places.size, position, parent };
    this.#places.set(key, place);
    return place;
  }

  #name(owner: object): number {
    const known = this.#names.get(owner) ?? this.#names.size;
    this.#names.set(owner, known);
    return known;
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

function expectedBy({ position }: Place): GbnfElement | undefined {
  return position.kind === "sequence" ? position.elements[position.index] : undefined;
}

function accepts(place: Place, code: number): boolean {
  const element = expectedBy(place);
  if (element?.kind === "class") return contains(element.set, code);
  const { position } = place;
  const at = position.kind === "sequence" ? position.at : 0;
  return element?.kind === "text" && element.codes[at] === code;
}

/** Characters that stand in many classes. */
const COMMON: readonly number[] = [0x20, 0x61, 0x30];

function expectedCodes(ways: Ways): ReadonlySet<number> {
  const codes = new Set<number>();
  for (const place of ways.keys()) {
    if (codes.size >= MAX_CHARACTERS) break;
    const element = expectedBy(place);
    const { position } = place;
    if (element?.kind === "text" && position.kind === "sequence") {
      codes.add(element.codes[position.at] ?? 0);
    } else if (element?.kind === "class") {
      for (const [first] of element.set.slice(0, 2)) codes.add(first);
      for (const code of COMMON) if (contains(element.set, code)) codes.add(code);
    }
  }
  return codes;
}
