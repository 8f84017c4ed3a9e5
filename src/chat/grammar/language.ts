import { UnsupportedPattern } from "./regex-parse.ts";
import type { WorkBudget } from "./work-budget.ts";

/**
 * A set of texts over an alphabet of at most a few dozen letters, each of them a class of
 * characters that nothing tells apart. The same expression is the same object.
 */
export type Language = {
  readonly id: number;
  /** Whether the empty text belongs to it. */
  readonly nullable: boolean;
} & (
  | { readonly kind: "none" | "empty" }
  | { readonly kind: "letter"; readonly letters: bigint }
  | { readonly kind: "then"; readonly first: Language; readonly rest: Language }
  | { readonly kind: "either" | "both"; readonly parts: readonly Language[] }
  | { readonly kind: "not"; readonly of: Language }
  | {
      readonly kind: "times";
      readonly item: Language;
      readonly min: number;
      readonly max: number | null;
    }
);

type Shape<Kind> = Kind extends unknown ? Omit<Kind, "id" | "nullable"> : never;

const TOO_COMPLEX = "the patterns are too complex";

/**
 * Makes languages, and what is left of one behind a letter. Source: Brzozowski, Derivatives of
 * Regular Expressions, 1964.
 */
export class Languages {
  readonly none: Language;
  readonly empty: Language;
  readonly anything: Language;
  /** Bit mask of the whole alphabet. */
  readonly #all: bigint;
  readonly #budget: WorkBudget;
  readonly #known = new Map<string, Language>();
  readonly #behind = new Map<string, Language>();
  readonly #firsts = new Map<Language, ReadonlySet<bigint>>();

  /** @param budget Each language made or looked at is a step. */
  constructor(letters: number, budget: WorkBudget) {
    this.#budget = budget;
    this.#all = (1n << BigInt(letters)) - 1n;
    this.none = this.#make("none", { kind: "none" }, false);
    this.empty = this.#make("empty", { kind: "empty" }, true);
    this.anything = this.times(this.letter(this.#all), 0, null);
  }

  letter(letters: bigint): Language {
    return letters === 0n
      ? this.none
      : this.#make(`l${letters}`, { kind: "letter", letters }, false);
  }

  get any(): Language {
    return this.letter(this.#all);
  }

  /** Each text of the first, followed by each of the other. */
  joined(first: Language, rest: Language): Language {
    if (first === this.none || rest === this.none) return this.none;
    if (first === this.empty) return rest;
    if (rest === this.empty) return first;
    if (first.kind === "then") return this.joined(first.first, this.joined(first.rest, rest));
    const nullable = first.nullable && rest.nullable;
    return this.#make(`t${first.id}.${rest.id}`, { kind: "then", first, rest }, nullable);
  }

  sequence(parts: readonly Language[]): Language {
    return parts.reduceRight((rest, first) => this.joined(first, rest), this.empty);
  }

  either(...options: readonly Language[]): Language {
    const parts = this.#flat("either", options).filter((part) => part !== this.none);
    if (parts.includes(this.anything)) return this.anything;
    let letters = 0n;
    const others: Language[] = [];
    for (const part of parts) {
      if (part.kind === "letter") letters |= part.letters;
      else others.push(part);
    }
    if (letters !== 0n) others.push(this.letter(letters));
    return this.#combined("either", others, this.none);
  }

  both(...all: readonly Language[]): Language {
    const parts = this.#flat("both", all).filter((part) => part !== this.anything);
    if (parts.includes(this.none)) return this.none;
    if (parts.includes(this.empty)) {
      return parts.every((part) => part.nullable) ? this.empty : this.none;
    }
    return this.#combined("both", parts, this.anything);
  }

  not(of: Language): Language {
    if (of.kind === "not") return of.of;
    if (of === this.none) return this.anything;
    if (of === this.anything) return this.none;
    return this.#make(`n${of.id}`, { kind: "not", of }, !of.nullable);
  }

  times(item: Language, min: number, max: number | null): Language {
    if (max === 0 || item === this.empty) return this.empty;
    if (item === this.none) return min === 0 ? this.empty : this.none;
    if (min === 1 && max === 1) return item;
    const shape = { kind: "times", item, min, max } as const;
    return this.#make(`r${item.id}.${min}.${max}`, shape, min === 0 || item.nullable);
  }

  /** The rests of those texts that begin with this letter. */
  behind(language: Language, letter: number): Language {
    const key = `${language.id}.${letter}`;
    const known = this.#behind.get(key);
    if (known !== undefined) return known;
    this.spend(1);
    const found = this.#derive(language, letter);
    this.#behind.set(key, found);
    return found;
  }

  /** Sets of letters: those that lie in the same ones lead to the same rest. */
  firsts(language: Language): ReadonlySet<bigint> {
    const known = this.#firsts.get(language);
    if (known !== undefined) return known;
    const found = this.#firstsOf(language);
    this.spend(1 + found.size);
    this.#firsts.set(language, found);
    return found;
  }

  #derive(language: Language, letter: number): Language {
    switch (language.kind) {
      case "none":
      case "empty":
        return this.none;
      case "letter":
        return (language.letters >> BigInt(letter)) & 1n ? this.empty : this.none;
      case "then": {
        const { first, rest } = language;
        const here = this.joined(this.behind(first, letter), rest);
        return first.nullable ? this.either(here, this.behind(rest, letter)) : here;
      }
      case "not":
        return this.not(this.behind(language.of, letter));
      case "times": {
        const { item, min, max } = language;
        const left = this.times(item, Math.max(0, min - 1), max === null ? null : max - 1);
        return this.joined(this.behind(item, letter), left);
      }
      default: {
        const parts = language.parts.map((part) => this.behind(part, letter));
        return language.kind === "either" ? this.either(...parts) : this.both(...parts);
      }
    }
  }

  #firstsOf(language: Language): ReadonlySet<bigint> {
    switch (language.kind) {
      case "none":
      case "empty":
        return new Set();
      case "letter":
        return new Set([language.letters]);
      case "then": {
        const first = this.firsts(language.first);
        return language.first.nullable ? first.union(this.firsts(language.rest)) : first;
      }
      case "not":
        return this.firsts(language.of);
      case "times":
        return this.firsts(language.item);
      default:
        return new Set(language.parts.flatMap((part) => [...this.firsts(part)]));
    }
  }

  #flat(kind: "either" | "both", parts: readonly Language[]): Language[] {
    return parts.flatMap((part) => (part.kind === kind ? part.parts : [part]));
  }

  #combined(kind: "either" | "both", all: readonly Language[], neutral: Language): Language {
    const parts = [...new Set(all)].toSorted((a, b) => a.id - b.id);
    const [only, ...others] = parts;
    if (only === undefined) return neutral;
    if (others.length === 0) return only;
    this.spend(parts.length);
    const nullable =
      kind === "either"
        ? parts.some((part) => part.nullable)
        : parts.every((part) => part.nullable);
    const key = `${kind}${parts.map(({ id }) => id).join(".")}`;
    return this.#make(key, { kind, parts }, nullable);
  }

  #make(key: string, shape: Shape<Language>, nullable: boolean): Language {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.spend(1);
    const made = { ...shape, id: this.#known.size, nullable } as Language;
    this.#known.set(key, made);
    return made;
  }

  /** Takes work on languages from the budget. @throws UnsupportedPattern when that ends. */
  spend(steps: number): void {
    this.#budget.spend(steps);
    if (this.#budget.left === 0) throw new UnsupportedPattern(TOO_COMPLEX);
  }
}
