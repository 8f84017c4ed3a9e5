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

/** Letters of which each stands for those that nothing here tells apart, as a bit mask. */
function groupsAt(
  language: Language,
  languages: Languages,
  alphabet: Alphabet,
): Iterable<readonly [letter: number, mask: bigint]> {
  const firsts = [...languages.firsts(language)];
  const groups = new Map<string, [number, bigint]>();
  for (const letter of alphabet.letters.keys()) {
    const bit = 1n << BigInt(letter);
    const key = firsts.map((mask) => ((mask & bit) === 0n ? "0" : "1")).join("");
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [letter, bit]);
    else group[1] |= bit;
  }
  return groups.values();
}

/** Whether some text belongs to the language: an end is reached from the beginning. */
export function isInhabited(states: readonly State[]): boolean {
  return states.some((state) => state.accepts);
}

/**
 * The inside of a string of these states, one rule for each: no text is read in two ways.
 * @returns null when no such text can be written in this style.
 */
export function automatonGrammar(
  builder: GrammarBuilder,
  states: readonly State[],
  alphabet: Alphabet,
  text: CharStyle,
): string | null {
  const writable = states.map(({ edges }) =>
    edges.flatMap(([letters, next]) => {
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
