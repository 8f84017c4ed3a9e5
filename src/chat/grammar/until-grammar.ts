import { charSet, classOf, complement, type CharSet } from "./char-set.ts";
import type { GrammarBuilder } from "./gbnf.ts";

/** Bounds of a number of characters; `max` null = none. */
export interface TextLength {
  min: number;
  max: number | null;
}

/** The automaton that looks for a marker. */
export interface MarkerSearch {
  /** Characters of the marker. */
  readonly length: number;
  /** Of each state: where each character of the marker leads; all others lead to the start. */
  readonly states: readonly ReadonlyMap<string, number>[];
}

/**
 * Any text up to and including the first `marker`: one rule for each state of the automaton that
 * looks for it, so that a matcher follows a single path. A marker of any length is found exactly.
 */
export function textUntil(builder: GrammarBuilder, marker: string): string {
  const name = `until-${Buffer.from(marker).toString("hex").slice(0, 80)}`;
  if (builder.has(name)) return name;
  const search = markerSearch(marker);
  for (const state of search.states.keys()) {
    const options = branches(builder, search, state).map(({ set, target }) =>
      target === search.length ? set : `${set} ${stateName(name, target)}`,
    );
    builder.define(stateName(name, state), options.join(" | "));
  }
  return name;
}

/** The characters that tell apart where the next one leads, the last of them to the start. */
export function branches(
  builder: GrammarBuilder,
  { states }: MarkerSearch,
  state: number,
): { set: string; target: number }[] {
  const targets = states[state] ?? new Map<string, number>();
  const classes = [...Map.groupBy(targets, ([, target]) => target)].map(([target, entries]) => ({
    set: classOf(entries.map(([char]) => rangeOf(char))),
    target,
  }));
  const others = complement(charSet(...NO_CHARACTERS, ...[...targets.keys()].map(rangeOf)));
  return [...classes, { set: builder.add("char", classOf(others)), target: 0 }];
}

/** What llama.cpp's matcher would let pass although it is no text: NUL and lone surrogates. */
export const NO_CHARACTERS: CharSet = [
  [0, 0],
  [0xd800, 0xdfff],
];

function stateName(name: string, state: number): string {
  return state === 0 ? name : `${name}-${state}`;
}

export function markerSearch(marker: string): MarkerSearch {
  const chars = Array.from(marker);
  const alphabet = new Set(chars);
  const states: Map<string, number>[] = [];
  // The state reached by the marker without its first character: where a mismatch falls back to.
  let fallback = 0;
  for (const [index, expected] of chars.entries()) {
    const targets = new Map<string, number>();
    for (const char of alphabet) {
      const target = char === expected ? index + 1 : (states[fallback]?.get(char) ?? 0);
      if (target > 0) targets.set(char, target);
    }
    states.push(targets);
    if (index > 0) fallback = states[fallback]?.get(expected) ?? 0;
  }
  return { length: chars.length, states };
}

function rangeOf(char: string): readonly [number, number] {
  const code = char.codePointAt(0) ?? 0;
  return [code, code];
}
