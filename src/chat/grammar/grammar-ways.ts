import { contains } from "./char-set.ts";
import { type GbnfElement, GbnfParser, type GbnfRule } from "./gbnf-parse.ts";

/** Ways to read one piece of text that the matcher may follow; each costs it under a microsecond. */
const MAX_WAYS = 2_000_000;
/** Places in the grammar where a text may stand at once; the matcher compares each with each. */
const MAX_PLACES = 4000;
/** Longest text that is tried: vocabularies have tokens of so many equal characters. */
const TEXT_LENGTH = 64;
/** Tokens of different characters are no longer. */
const WORD_LENGTH = 16;
/** Characters that are tried at one place. */
const MAX_CHARACTERS = 16;
/** Steps of all walks together, about 50 ms: what was not looked at counts as fine. */
const MAX_STEPS = 50_000;

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

/**
 * Whether llama.cpp's matcher would follow too many ways through this grammar for some text. It
 * judges a token by every way to read it, without putting equal ones together, and one step of it
 * cannot be interrupted: `("a" | "a")*` takes twice as long with every character.
 *
 * A bounded search: from every rule, and from every place where one rule follows another, it walks
 * along the characters that keep most ways open, and along runs of the same character.
 *
 * @param gbnf Without left recursion, every rule defined.
 */
export function hasTooManyWays(gbnf: string): boolean {
  const parsed = new GbnfParser(gbnf).parse();
  if ("message" in parsed) return false;
  const { rules } = parsed;
  const search = new WaysSearch(rules);
  const root = rules.get("root");
  const ordered = root === undefined ? [...rules.values()] : [root, ...rules.values()];
  for (const rule of ordered) {
    if (search.isExhausted) return false;
    if (search.explodesFrom(search.startsOf(rule))) return true;
    for (const elements of rule.options) {
      for (const [index, { kind }] of elements.entries()) {
        if (index === 0 || kind !== "rule") continue;
        if (search.explodesFrom([search.placeIn(elements, index)])) return true;
      }
    }
  }
  return false;
}

class WaysSearch {
  readonly #rules: ReadonlyMap<string, GbnfRule>;
  readonly #places = new Map<string, Place>();
  readonly #names = new Map<object, number>();
  readonly #expected = new Map<Place, readonly Place[]>();
  #steps = 0;

  constructor(rules: ReadonlyMap<string, GbnfRule>) {
    this.#rules = rules;
  }

  get isExhausted(): boolean {
    return this.#steps > MAX_STEPS;
  }

  startsOf(rule: GbnfRule): Place[] {
    return this.#enter(rule, null).filter((place) => place !== null);
  }

  placeIn(elements: readonly GbnfElement[], index: number): Place {
    return this.#place({ kind: "sequence", elements, index, copy: 0, at: 0 }, null);
  }

  explodesFrom(starts: readonly Place[]): boolean {
    const ways = counted(starts.flatMap((start) => this.#charactersAt(start)).map(once));
    if (this.#explodesInWords(ways)) return true;
    return candidates(ways).some((code) => this.#explodesInRun(ways, code));
  }

  /** Along the characters that keep most ways open, word by word. */
  #explodesInWords(start: Ways): boolean {
    let ways = start;
    for (let length = 0; length < TEXT_LENGTH && !this.isExhausted; length++) {
      // Between tokens the matcher puts equal ways together.
      if (length % WORD_LENGTH === 0) ways = counted([...ways.keys()].map(once));
      const options = candidates(ways).map((code) => this.#read(ways, code));
      const [best] = options.toSorted((x, y) => totalOf(y) - totalOf(x));
      if (best === undefined || best.size === 0) return false;
      if (isTooMuch(best)) return true;
      ways = best;
    }
    return false;
  }

  /** Along one character for as long as it fits. */
  #explodesInRun(start: Ways, code: number): boolean {
    let ways = start;
    for (let length = 0; length < TEXT_LENGTH && !this.isExhausted; length++) {
      ways = this.#read(ways, code);
      if (isTooMuch(ways)) return true;
      if (ways.size === 0) return false;
    }
    return false;
  }

  #read(ways: Ways, code: number): Ways {
    const next: [Place, number][] = [];
    for (const [place, count] of ways) {
      this.#steps += 1;
      if (!accepts(place, code)) continue;
      for (const after of this.#after(place)) next.push([after, count]);
    }
    return counted(next);
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
    const seen = new Set<Place>();
    const found: Place[] = [];
    const todo: (Place | null)[] = [start];
    for (let place = todo.pop(); place !== undefined; place = todo.pop()) {
      if (place === null || seen.has(place)) continue;
      seen.add(place);
      this.#steps += 1;
      const { position, parent } = place;
      if (position.kind === "run") {
        todo.push(parent, this.#item(place));
        continue;
      }
      const element = position.elements[position.index];
      if (element?.kind !== "rule") {
        found.push(place);
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

const once = (place: Place): readonly [Place, number] => [place, 1];

function counted(found: readonly (readonly [Place, number])[]): Ways {
  const ways = new Map<Place, number>();
  for (const [place, count] of found) ways.set(place, (ways.get(place) ?? 0) + count);
  return ways;
}

const isTooMuch = (ways: Ways): boolean => ways.size > MAX_PLACES || totalOf(ways) > MAX_WAYS;

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

/** Characters that some place expects, a few for each class. */
function candidates(ways: Ways): number[] {
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
  return [...codes];
}
