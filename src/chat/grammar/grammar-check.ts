import { MAX_GRAMMAR_BYTES } from "../../lib/limits.ts";
import { GbnfParser, type GbnfElement, type GbnfRule } from "./gbnf-parse.ts";
import { longestEmptyRun } from "./empty-runs.ts";

export interface GrammarProblem {
  /** Continues "the grammar ..."; without a full stop. */
  message: string;
  /** 1-based line in the grammar text; null when no single line is at fault. */
  line: number | null;
}

/**
 * Ways to begin with one rule that the matcher may have to follow at once. llama.cpp walks every
 * one when it loads a grammar and before every token.
 */
const MAX_OPENINGS = 50_000;
/**
 * Elements in a row that may be empty. So many cost the matcher some milliseconds a character;
 * what they cost with long tokens is for `judgeWays`.
 */
const MAX_EMPTY_RUN = 64;
/** Rules that begin with one another: llama.cpp follows them by recursion on its stack. */
const MAX_CHAIN = 4000;

/** Why llama.cpp would refuse this grammar, or choke on it; null when it is fit for use. */
export function findGrammarProblem(
  gbnf: string,
  maxBytes: number = MAX_GRAMMAR_BYTES,
): GrammarProblem | null {
  if (Buffer.byteLength(gbnf) > maxBytes) {
    return { message: `is larger than ${maxBytes / 1024} KiB`, line: null };
  }
  const parsed = new GbnfParser(gbnf).parse();
  if ("message" in parsed) return parsed;
  const rules = parsed.rules;
  if (!rules.has("root")) return { message: "has no rule named root", line: null };
  const empty = emptyRules(rules);
  return (
    undefinedRule(rules) ?? leftRecursion(rules, empty) ?? emptyRun(rules) ?? unfinishable(rules)
  );
}

function undefinedRule(rules: ReadonlyMap<string, GbnfRule>): GrammarProblem | null {
  for (const { line, options } of rules.values()) {
    for (const element of options.flat()) {
      if (element.kind === "rule" && !rules.has(element.name)) {
        return { message: `refers to ${element.name}, which is not defined`, line };
      }
    }
  }
  return null;
}

/** Names of the rules that can match nothing at all. */
function emptyRules(rules: ReadonlyMap<string, GbnfRule>): ReadonlySet<string> {
  return fixpoint(rules, (element, known) =>
    element.kind === "rule" ? known.has(element.name) : false,
  );
}

/** Rules of which some alternative consists of elements that `holds` accepts. */
function fixpoint(
  rules: ReadonlyMap<string, GbnfRule>,
  holds: (element: GbnfElement, known: ReadonlySet<string>) => boolean,
): ReadonlySet<string> {
  const known = new Set<string>();
  const users = new Map<string, string[]>();
  for (const [name, { options }] of rules) {
    for (const element of options.flat()) {
      if (element.kind !== "rule") continue;
      const list = users.get(element.name);
      if (list === undefined) users.set(element.name, [name]);
      else list.push(name);
    }
  }
  const todo = [...rules.keys()];
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    const rule = rules.get(name);
    if (rule === undefined || known.has(name)) continue;
    if (!rule.options.some((option) => option.every((element) => holds(element, known)))) continue;
    known.add(name);
    todo.push(...(users.get(name) ?? []));
  }
  return known;
}

/** Left recursion, and beginnings too many to follow, found in one walk without recursion. */
function leftRecursion(
  rules: ReadonlyMap<string, GbnfRule>,
  empty: ReadonlySet<string>,
): GrammarProblem | null {
  const openings = new Map<string, number>();
  const chains = new Map<string, number>();
  const active = new Set<string>();
  for (const start of rules.keys()) {
    const stack: { name: string; leaving: boolean }[] = [{ name: start, leaving: false }];
    for (let frame = stack.pop(); frame !== undefined; frame = stack.pop()) {
      const { name, leaving } = frame;
      const rule = rules.get(name);
      if (rule === undefined) continue;
      if (leaving) {
        const count = countOpenings(rule, empty, openings);
        if (count > MAX_OPENINGS) {
          return { message: `lets ${name} begin in too many ways at once`, line: rule.line };
        }
        const chain = longestChain(rule, empty, chains);
        if (chain > MAX_CHAIN) {
          return {
            message: `nests ${name} too deeply in rules that begin with it`,
            line: rule.line,
          };
        }
        openings.set(name, count);
        chains.set(name, chain);
        active.delete(name);
        continue;
      }
      if (openings.has(name)) continue;
      if (active.has(name)) {
        return { message: `is left-recursive: ${name} begins with itself`, line: rule.line };
      }
      active.add(name);
      stack.push({ name, leaving: true });
      for (const { name: first } of leftmost(rule, empty)) {
        if (active.has(first)) {
          return { message: `is left-recursive: ${first} begins with itself`, line: rule.line };
        }
        if (!openings.has(first)) stack.push({ name: first, leaving: false });
      }
    }
  }
  return null;
}

/** The rules an alternative may begin with, and how many copies of each. */
function leftmost(rule: GbnfRule, empty: ReadonlySet<string>): { name: string; copies: number }[] {
  const found: { name: string; copies: number }[] = [];
  for (const option of rule.options) {
    for (const element of option) {
      if (element.kind !== "rule") break;
      const mayBeEmpty = empty.has(element.name);
      found.push({ name: element.name, copies: mayBeEmpty ? element.copies : 1 });
      if (!mayBeEmpty) break;
    }
  }
  return found;
}

function countOpenings(
  rule: GbnfRule,
  empty: ReadonlySet<string>,
  openings: ReadonlyMap<string, number>,
): number {
  let count = rule.options.length;
  for (const { name, copies } of leftmost(rule, empty)) count += copies * (openings.get(name) ?? 0);
  return count;
}

function longestChain(
  rule: GbnfRule,
  empty: ReadonlySet<string>,
  chains: ReadonlyMap<string, number>,
): number {
  const lengths = leftmost(rule, empty).map(({ name, copies }) => copies + (chains.get(name) ?? 0));
  return lengths.reduce((a, b) => Math.max(a, b), 0);
}

/** Rows of what may be empty. */
function emptyRun(rules: ReadonlyMap<string, GbnfRule>): GrammarProblem | null {
  const { length, line } = longestEmptyRun(rules);
  if (length <= MAX_EMPTY_RUN) return null;
  return { message: `has more than ${MAX_EMPTY_RUN} elements in a row that may be empty`, line };
}

/** A rule that could never come to an end traps the model in it. */
function unfinishable(rules: ReadonlyMap<string, GbnfRule>): GrammarProblem | null {
  const finite = fixpoint(rules, (element, known) =>
    element.kind === "rule" ? known.has(element.name) : true,
  );
  for (const [name, { line }] of rules) {
    if (!finite.has(name)) return { message: `has a rule that never ends: ${name}`, line };
  }
  return null;
}
