import type { GbnfRule } from "./gbnf-parse.ts";

/** One rule may end where another ends. */
interface End {
  from: string;
  to: string;
  /** Whether something that may be empty stands behind it. */
  hasTail: boolean;
}

/**
 * A rule that holds itself and, behind that, nothing but what may be empty: `a ::= "x" a "y"? | "z"`.
 * Where it ends, every level it is in can go on, and there are as many as the model likes: the
 * matcher takes the cube of their number, after 2,000 levels half a minute for one character.
 *
 * @returns its name, or null.
 */
export function findEndRecursion(
  rules: ReadonlyMap<string, GbnfRule>,
  empty: ReadonlySet<string>,
): string | null {
  const ends = [...rules].flatMap(([name, rule]) => endsOf(name, rule, empty));
  if (!ends.some(({ hasTail }) => hasTail)) return null;
  const cycles = cyclesOf(ends);
  const found = ends.find(
    ({ from, to, hasTail }) => hasTail && cycles.get(from) === cycles.get(to),
  );
  return found?.from ?? null;
}

function endsOf(from: string, rule: GbnfRule, empty: ReadonlySet<string>): End[] {
  const ends: End[] = [];
  for (const option of rule.options) {
    let hasTail = false;
    for (const element of option.toReversed()) {
      if (element.kind !== "rule") break;
      ends.push({ from, to: element.name, hasTail });
      if (!empty.has(element.name)) break;
      hasTail = true;
    }
  }
  return ends;
}

/** A name for each set of rules that lead to each other. Kosaraju's algorithm, without recursion. */
function cyclesOf(ends: readonly End[]): ReadonlyMap<string, string> {
  const forth = Map.groupBy(ends, ({ from }) => from);
  const back = Map.groupBy(ends, ({ to }) => to);
  const left: string[] = [];
  const seen = new Set<string>();
  for (const start of forth.keys()) {
    const stack = [{ name: start, leaving: false }];
    for (let frame = stack.pop(); frame !== undefined; frame = stack.pop()) {
      if (frame.leaving) left.push(frame.name);
      if (frame.leaving || seen.has(frame.name)) continue;
      seen.add(frame.name);
      stack.push({ name: frame.name, leaving: true });
      for (const { to } of forth.get(frame.name) ?? []) stack.push({ name: to, leaving: false });
    }
  }
  const cycles = new Map<string, string>();
  for (const start of left.toReversed()) {
    const stack = [start];
    for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
      if (cycles.has(name)) continue;
      cycles.set(name, start);
      for (const { from } of back.get(name) ?? []) stack.push(from);
    }
  }
  return cycles;
}
