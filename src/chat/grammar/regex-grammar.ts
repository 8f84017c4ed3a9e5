import { choice, GrammarBuilder, sequence } from "./gbnf.ts";
import { findGrammarProblem } from "./grammar-check.ts";
import { judgeWays } from "./grammar-ways.ts";
import { parseRegex, readingSteps, UnsupportedPattern, type RegexNode } from "./regex-parse.ts";
import { repeat } from "./repeat.ts";
import type { CharStyle } from "./value-style.ts";
import type { WorkBudget } from "./work-budget.ts";

/** Bounds of a string's length in code points; `max` null = none. */
export interface LengthRange {
  min: number;
  max: number | null;
}

export interface PatternGrammar {
  /** The characters between the delimiters. */
  expression: string;
  /** Whether every string of the expression has a length in the wanted range. */
  lengthHolds: boolean;
}

/** Where rules go, and how characters are written. */
interface Writer {
  builder: GrammarBuilder;
  text: CharStyle;
}

/**
 * The inside of a string that matches an ECMA-262 pattern, which may match anywhere unless it
 * is anchored.
 * @throws UnsupportedPattern for what no grammar can express, or none that the matcher can bear.
 */
export function patternGrammar(
  builder: GrammarBuilder,
  pattern: string,
  length: LengthRange,
  text: CharStyle,
): PatternGrammar {
  const budget = builder.budgets.patterns;
  if (budget.left === 0) throw new UnsupportedPattern(TOO_COMPLEX);
  budget.spend(readingSteps(pattern));
  const alone = new GrammarBuilder((message) => new UnsupportedPattern(`the pattern ${message}`));
  const { expression } = writtenPattern(alone, pattern, length, text);
  requireFit(alone.text(expression), budget);
  return writtenPattern(builder, pattern, length, text);
}

/** What writing, reading and checking a character of a pattern's grammar takes. */
const STEPS_PER_CHARACTER = 4;

const TOO_COMPLEX = "the patterns are too complex";

/** @throws UnsupportedPattern when the matcher could not bear this grammar, or `budget` ends first. */
function requireFit(gbnf: string, budget: WorkBudget): void {
  if (budget.passed.has(gbnf)) return;
  budget.spend(lengthToRead(gbnf, budget) * STEPS_PER_CHARACTER);
  const problem = findGrammarProblem(gbnf);
  if (problem !== null) throw new UnsupportedPattern(`the pattern ${problem.message}`);
  // The matcher would follow each way to read a text through `(a|a)*`.
  const ways = judgeWays(gbnf, budget);
  if (ways === "unknown") throw new UnsupportedPattern(TOO_COMPLEX);
  if (ways === "many") {
    throw new UnsupportedPattern("the pattern reads the same text in too many ways");
  }
  budget.passed.add(gbnf);
}

/** Characters of a grammar without those of its long classes that were read before. */
function lengthToRead(gbnf: string, { passed }: WorkBudget): number {
  let length = gbnf.length;
  for (const line of gbnf.split("\n")) {
    const [name = "", chars = ""] = line.split(" ::= ", 2);
    if (!name.startsWith("chars-")) continue;
    if (passed.has(chars)) length -= chars.length;
    passed.add(chars);
  }
  return length;
}

/** As `patternGrammar`, for patterns of ours. */
export function writtenPattern(
  builder: GrammarBuilder,
  pattern: string,
  length: LengthRange,
  text: CharStyle,
): PatternGrammar {
  const writer: Writer = { builder, text };
  const root = parseRegex(pattern);
  // Known before anything is written.
  if (looksAhead(root)) throw new UnsupportedPattern("look-ahead");
  const bounded = withLength(root, length);
  if (bounded !== null) return { expression: anchored(writer, bounded), lengthHolds: true };
  const actual = lengthOf(root);
  const lengthHolds =
    actual.min >= length.min &&
    (length.max === null || (actual.max !== null && actual.max <= length.max));
  const options = root.kind === "choice" ? root.options : [root];
  return { expression: choice(options.map((option) => anchored(writer, option))), lengthHolds };
}

function looksAhead(node: RegexNode): boolean {
  switch (node.kind) {
    case "look":
      return true;
    case "sequence":
      return node.items.some(looksAhead);
    case "choice":
      return node.options.some(looksAhead);
    case "repeat":
      return looksAhead(node.item);
    default:
      return false;
  }
}

/** One top-level alternative; a missing anchor lets any text stand there. */
function anchored(writer: Writer, node: RegexNode): string {
  const items = node.kind === "sequence" ? node.items : [node];
  const starts = items[0]?.kind === "start";
  const ends = items.length > (starts ? 1 : 0) && items.at(-1)?.kind === "end";
  const core = items.slice(starts ? 1 : 0, ends ? -1 : undefined);
  const anything = starts && ends ? "" : `${writer.text.any(writer.builder)}*`;
  const inside = core.map((item) => render(writer, item));
  return sequence(starts ? "" : anything, ...inside, ends ? "" : anything);
}

function render(writer: Writer, node: RegexNode): string {
  writer.builder.spend(1);
  switch (node.kind) {
    case "set": {
      const char = writer.text.char(node.set);
      if (char === null) throw new UnsupportedPattern("a class of control characters");
      return char.length < LONG_CLASS ? char : writer.builder.add("chars", char);
    }
    case "sequence":
      return sequence(...node.items.map((item) => render(writer, item)));
    case "choice":
      return choice(node.options.map((option) => render(writer, option)));
    case "repeat":
      return repeated(writer, node);
    default:
      throw new UnsupportedPattern("an anchor inside the pattern");
  }
}

/** A class of so many characters is a rule, so that it is written and read once. */
const LONG_CLASS = 64;

function repeated(writer: Writer, node: RegexNode & { kind: "repeat" }): string {
  const unit = nonEmpty(node.item);
  if (node.max === 0 || unit === null) return "";
  const item = render(writer, unit);
  const name = /^(\[[^\]]*\]|chars-\w+)$/.test(item) ? item : writer.builder.add("unit", item);
  return repeat(writer.builder, name, unit === node.item ? node.min : 0, node.max);
}

/**
 * The node without its empty match, which a repetition must not hold: `(a*)*` becomes `(a+)*`.
 * Null when it matches nothing else.
 */
function nonEmpty(node: RegexNode): RegexNode | null {
  if (measure(node).min > 0) return node;
  switch (node.kind) {
    case "repeat": {
      const item = nonEmpty(node.item);
      if (item === null || node.max === 0) return null;
      return { ...node, item, min: 1 };
    }
    case "choice": {
      const options = node.options.map(nonEmpty).filter((option) => option !== null);
      return options.length === 0 ? null : { kind: "choice", options };
    }
    case "sequence":
      if (node.items.length === 0) return null;
      throw new UnsupportedPattern("a repeated group that can be empty");
    default:
      throw new UnsupportedPattern("a repeated anchor");
  }
}

/** Shortest and longest text that a pattern may match. @throws UnsupportedPattern */
export function patternLength(pattern: string): LengthRange {
  return lengthOf(parseRegex(pattern));
}

/** `^class{a,b}$` with the wanted length put into its quantifier; null for any other pattern. */
function withLength(root: RegexNode, length: LengthRange): RegexNode | null {
  if (root.kind !== "sequence" || root.items.length !== 3) return null;
  const [start, middle, end] = root.items;
  if (start?.kind !== "start" || middle?.kind !== "repeat" || end?.kind !== "end") return null;
  if (middle.item.kind !== "set") return null;
  const min = Math.max(middle.min, length.min);
  const max = middle.max === null ? length.max : Math.min(middle.max, length.max ?? middle.max);
  if (max !== null && max < min) return null;
  return { ...root, items: [start, { ...middle, min, max }, end] };
}

/** Shortest and longest text with a match; without both anchors there is no longest. */
function lengthOf(root: RegexNode): LengthRange {
  const options = root.kind === "choice" ? root.options : [root];
  const anchors = options.every(
    (option) =>
      option.kind === "sequence" &&
      option.items[0]?.kind === "start" &&
      option.items.at(-1)?.kind === "end",
  );
  return anchors ? measure(root) : { min: measure(root).min, max: null };
}

/** Shortest and longest text that a part of a pattern reads. */
export function measure(node: RegexNode): LengthRange {
  switch (node.kind) {
    case "set":
      return { min: 1, max: 1 };
    case "sequence":
      return node.items.map(measure).reduce(
        (sum, item) => ({
          min: sum.min + item.min,
          max: sum.max === null || item.max === null ? null : sum.max + item.max,
        }),
        { min: 0, max: 0 },
      );
    case "choice": {
      const options = node.options.map(measure);
      const longest = options.map((option) => option.max ?? Number.POSITIVE_INFINITY);
      const max = Math.max(...longest);
      return {
        min: Math.min(...options.map((option) => option.min)),
        max: Number.isFinite(max) ? max : null,
      };
    }
    case "repeat": {
      const item = measure(node.item);
      const max = node.max === null || item.max === null ? null : node.max * item.max;
      return { min: node.min * item.min, max: item.max === 0 ? 0 : max };
    }
    default:
      return { min: 0, max: 0 };
  }
}
