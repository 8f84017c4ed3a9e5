import type { Alphabet } from "./alphabet.ts";
import type { GrammarBuilder } from "./gbnf.ts";
import type { Language, Languages } from "./language.ts";
import { UnsupportedPattern } from "./regex-parse.ts";
import type { CharStyle } from "./value-style.ts";

/** A place in a text: where each letter leads, and whether the text may end there. */
interface State {
  accepts: boolean;
  /** Sets of letters as bit masks, each with the number of the next state. */
  edges: readonly (readonly [letters: bigint, next: number])[];
}

/**
 * The deterministic automaton of a language; its first state is the beginning.
 * @throws UnsupportedPattern when it has more than `maxStates`, or the budget of `languages` ends.
 */
export function automatonOf(
  start: Language,
  languages: Languages,
  alphabet: Alphabet,
  maxStates: number,
): readonly State[] {
  const numbers = new Map([[start, 0]]);
  const states: State[] = [];
  for (const language of numbers.keys()) {
    const edges = new Map<number, bigint>();
    for (const [letter, mask] of groupsAt(language, languages, alphabet)) {
      const next = languages.behind(language, letter);
      if (next === languages.none) continue;
      const number = numbers.get(next) ?? numbers.size;
      numbers.set(next, number);
      edges.set(number, (edges.get(number) ?? 0n) | mask);
    }
    if (numbers.size > maxStates) throw new UnsupportedPattern("a text of too many places");
    states.push({
      accepts: language.nullable,
      edges: [...edges].map(([next, letters]) => [letters, next] as const),
    });
  }
  return states;
}

/** Whether some text belongs to the language. @throws UnsupportedPattern as `automatonOf`. */
export function hasText(
  start: Language,
  languages: Languages,
  alphabet: Alphabet,
  maxStates: number,
): boolean {
  const reached = new Set([start]);
  for (const language of reached) {
    if (language.nullable) return true;
    for (const [letter] of groupsAt(language, languages, alphabet)) {
      const next = languages.behind(language, letter);
      if (next !== languages.none) reached.add(next);
    }
    if (reached.size > maxStates) throw new UnsupportedPattern("a text of too many places");
  }
  return false;
}

/** Letters of which each stands for those that nothing here tells apart, as a bit mask. */
function groupsAt(
  language: Language,
  languages: Languages,
  alphabet: Alphabet,
): readonly (readonly [letter: number, mask: bigint])[] {
  let groups = [(1n << BigInt(alphabet.letters.length)) - 1n];
  for (const mask of languages.firsts(language)) {
    languages.spend(Math.floor(groups.length / GROUPS_PER_STEP));
    groups = groups.flatMap((group) => [group & mask, group & ~mask].filter((part) => part !== 0n));
  }
  return groups.map((group) => [lowestBit(group), group] as const);
}

/** Groups that are split in the time of a step. */
const GROUPS_PER_STEP = 4;
/** Ranges of a class that are put together and written in the time of a step. */
const RANGES_PER_STEP = 2;

const lowestBit = (mask: bigint): number => (mask & -mask).toString(2).length - 1;

/** Whether some text belongs to the language: an end is reached from the beginning. */
export function isInhabited(states: readonly State[]): boolean {
  return states.some((state) => state.accepts);
}

/**
 * The inside of a string of these states, one rule for each: no text is read in two ways.
 * @returns null when no such text can be written in this style.
 * @throws UnsupportedPattern when the budget of `languages` ends.
 */
export function automatonGrammar(
  builder: GrammarBuilder,
  states: readonly State[],
  alphabet: Alphabet,
  text: CharStyle,
  languages: Languages,
): string | null {
  const writable = states.map(({ edges }) =>
    edges.flatMap(([letters, next]) => {
      languages.spend(Math.ceil(alphabet.rangesOf(letters) / RANGES_PER_STEP));
      const char = text.char(alphabet.charsOf(letters));
      return char === null ? [] : [{ char: builder.add("chars", char), next }];
    }),
  );
  const alive = endingStates(
    states,
    writable.map((edges) => edges.map(({ next }) => next)),
  );
  if (!alive.has(0)) return null;
  const names = states.map((_, index) => (alive.has(index) ? builder.reserve("text") : null));
  for (const [index, name] of names.entries()) {
    if (name === null) continue;
    const options = (writable[index] ?? []).flatMap(({ char, next }) => {
      const target = names[next] ?? null;
      return target === null ? [] : [`${char} ${target}`];
    });
    if (states[index]?.accepts === true) options.push('""');
    builder.define(name, options.join(" | "));
  }
  return names[0] ?? null;
}

/** The states from which a text can end. */
function endingStates(
  states: readonly State[],
  following: readonly (readonly number[])[],
): ReadonlySet<number> {
  const before = states.map((): number[] => []);
  for (const [index, nexts] of following.entries()) {
    for (const next of nexts) before[next]?.push(index);
  }
  const alive = new Set([...states.keys()].filter((index) => states[index]?.accepts));
  for (const index of alive) for (const earlier of before[index] ?? []) alive.add(earlier);
  return alive;
}
