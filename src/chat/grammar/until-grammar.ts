import { classChar, type GrammarBuilder } from "./gbnf.ts";

/**
 * Any text up to and including the first `marker`: one rule for each state of the automaton that
 * looks for it, so that a matcher follows a single path. A marker of any length is found exactly.
 */
export function textUntil(builder: GrammarBuilder, marker: string): string {
  const name = `until-${Buffer.from(marker).toString("hex").slice(0, 80)}`;
  if (builder.has(name)) return name;
  const chars = Array.from(marker);
  const states = automaton(chars);
  for (const [state, targets] of states.entries()) {
    const options: string[] = [];
    const known = [...targets.keys()].map(escaped).join("");
    const charsByTarget = Map.groupBy(targets, ([, target]) => target);
    for (const [target, entries] of charsByTarget) {
      const set = entries.map(([char]) => escaped(char)).join("");
      options.push(target === chars.length ? `[${set}]` : `[${set}] ${stateName(name, target)}`);
    }
    builder.define(stateName(name, state), [...options, `[^${known}] ${name}`].join(" | "));
  }
  return name;
}

function stateName(name: string, state: number): string {
  return state === 0 ? name : `${name}-${state}`;
}

/** Of each state: where each character of the marker leads; all others lead to the start. */
function automaton(chars: readonly string[]): Map<string, number>[] {
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
  return states;
}

function escaped(char: string): string {
  return classChar(char.codePointAt(0) ?? 0);
}
