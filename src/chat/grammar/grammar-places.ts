import { contains } from "./char-set.ts";
import type { GbnfElement, GbnfRule } from "./gbnf-parse.ts";

/** Places in the grammar where a text may stand at once. */
export const MAX_PLACES = 4000;
/** Characters that are tried at one place. */
const MAX_CHARACTERS = 16;
/** What it takes to make a place, or to set out for the next ones, besides looking at each. */
export const STEPS_AHEAD = 4;

/** Where a text may go on: the characters expected next, and what follows behind them. */
export interface Place {
  readonly id: number;
  readonly position: Position;
  /** What follows when everything of this position is read; null = the end. */
  readonly parent: Place | null;
}

/** Within an alternative, or in a run of optional items. */
type Position =
  | { kind: "sequence"; elements: readonly GbnfElement[]; index: number; copy: number; at: number }
  | { kind: "run"; rule: GbnfRule; count: number };

/** Ends a walk. */
export class WalkEnd extends Error {
  readonly verdict: "many" | "unknown";

  constructor(verdict: "many" | "unknown") {
    super(verdict);
    this.verdict = verdict;
  }
}

/** The places of one grammar: one object for each, however it is reached. */
export class GrammarPlaces {
  readonly #rules: ReadonlyMap<string, GbnfRule>;
  readonly #spend: (steps: number) => void;
  readonly #places = new Map<string, Place>();
  readonly #names = new Map<object, number>();
  readonly #expected = new Map<Place, readonly Place[]>();
  readonly #single = new Map<GbnfElement, readonly GbnfElement[]>();

  /** @param spend Told of every step; may end the walk. */
  constructor(rules: ReadonlyMap<string, GbnfRule>, spend: (steps: number) => void) {
    this.#rules = rules;
    this.#spend = spend;
  }

  /** Where the text of a rule may begin. */
  at(rule: GbnfRule): Place[] {
    return this.#enter(rule, null).filter((place) => place !== null);
  }

  /** In front of an element of an alternative. */
  inside(elements: readonly GbnfElement[], index: number): Place {
    return this.#place({ kind: "sequence", elements, index, copy: 0, at: 0 }, null);
  }

  /** The places behind the character that `place` expects. */
  after(place: Place): readonly Place[] {
    const { position, parent } = place;
    if (position.kind !== "sequence") return [];
    const element = position.elements[position.index];
    if (element?.kind === "text" && position.at + 1 < element.codes.length) {
      return [this.#place({ ...position, at: position.at + 1 }, parent)];
    }
    const rest = this.#rest(place);
    return rest === null ? [] : this.charactersAt(rest);
  }

  /** All places that expect a character, from `start` without reading any. */
  charactersAt(start: Place): readonly Place[] {
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

function expectedBy({ position }: Place): GbnfElement | undefined {
  return position.kind === "sequence" ? position.elements[position.index] : undefined;
}

/** Whether a character may stand at a place. */
export function accepts(place: Place, code: number): boolean {
  const element = expectedBy(place);
  if (element?.kind === "class") return contains(element.set, code);
  const { position } = place;
  const at = position.kind === "sequence" ? position.at : 0;
  return element?.kind === "text" && element.codes[at] === code;
}

/** Characters that stand in many classes. */
const COMMON: readonly number[] = [0x20, 0x61, 0x30];

/** Characters that some of the places expect, a few for each class. */
export function expectedCodes(places: Iterable<Place>): ReadonlySet<number> {
  const codes = new Set<number>();
  for (const place of places) {
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
