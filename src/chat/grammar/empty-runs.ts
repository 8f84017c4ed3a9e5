import type { GbnfElement, GbnfRule } from "./gbnf-parse.ts";

/**
 * How many elements that may be empty can stand in a row, wherever they stand: in one alternative,
 * in groups inside it, at the end of one rule and the beginning of the next.
 */
interface Runs {
  /** Before the first element that must read something. */
  first: number;
  /** Behind the last such element. */
  last: number;
  /** Through all of it; null = it reads something. */
  through: number | null;
  /** Anywhere inside. */
  longest: number;
}

const NONE: Runs = { first: 0, last: 0, through: null, longest: 0 };

/**
 * The rule with the most elements in a row that may be empty. Each of them can be left out, so that
 * a character may be read by all and go on in all behind: the matcher compares about the cube of
 * their number, and follows a token of k equal characters in more ways than that to the power of k.
 *
 * What a rule adds by referring to itself grows with the text, which the engine watches.
 *
 * @param rules Without left recursion.
 */
export function longestEmptyRun(rules: ReadonlyMap<string, GbnfRule>): {
  length: number;
  line: number;
} {
  const known = new Map<string, Runs>();
  let worst = { length: 0, line: 1 };
  for (const start of rules.keys()) {
    const stack: { name: string; leaving: boolean }[] = [{ name: start, leaving: false }];
    for (let frame = stack.pop(); frame !== undefined; frame = stack.pop()) {
      const rule = rules.get(frame.name);
      if (rule === undefined) continue;
      if (frame.leaving) {
        const runs = runsOf(rule, known);
        known.set(frame.name, runs);
        if (runs.longest > worst.length) worst = { length: runs.longest, line: rule.line };
        continue;
      }
      if (known.has(frame.name)) continue;
      known.set(frame.name, NONE);
      stack.push({ name: frame.name, leaving: true });
      for (const element of rule.options.flat()) {
        if (element.kind === "rule") stack.push({ name: element.name, leaving: false });
      }
    }
  }
  return worst;
}

function runsOf(rule: GbnfRule, known: ReadonlyMap<string, Runs>): Runs {
  const options = rule.options.map((option) =>
    option.map((element) => ofElement(element, known)).reduce(followed, EMPTY),
  );
  const through = options.map((option) => option.through).filter((count) => count !== null);
  const all = {
    first: greatest(options.map(({ first }) => first)),
    last: greatest(options.map(({ last }) => last)),
    longest: greatest(options.map(({ longest }) => longest)),
  };
  if (through.length === 0) return { ...all, through: null };
  // What may be empty counts at least once, whatever it holds.
  const count = Math.max(1, greatest(through));
  return {
    first: Math.max(all.first, count),
    last: Math.max(all.last, count),
    longest: Math.max(all.longest, count),
    through: count,
  };
}

const EMPTY: Runs = { first: 0, last: 0, through: 0, longest: 0 };

function ofElement(element: GbnfElement, known: ReadonlyMap<string, Runs>): Runs {
  const one = element.kind === "rule" ? (known.get(element.name) ?? NONE) : NONE;
  if (element.copies === 1) return one;
  if (one.through === null) return followed(one, one);
  const through = one.through * element.copies;
  return { first: through, last: through, through, longest: Math.max(one.longest, through) };
}

/** `b` behind `a`. */
function followed(a: Runs, b: Runs): Runs {
  return {
    first: a.through === null ? a.first : Math.max(a.first, a.through + b.first),
    last: b.through === null ? b.last : Math.max(b.last, a.last + b.through),
    through: a.through === null || b.through === null ? null : a.through + b.through,
    longest: Math.max(a.longest, b.longest, a.last + b.first),
  };
}

const greatest = (numbers: readonly number[]): number =>
  numbers.reduce((most, number) => Math.max(most, number), 0);
