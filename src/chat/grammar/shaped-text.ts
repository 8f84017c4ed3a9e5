import { Alphabet } from "./alphabet.ts";
import { automatonGrammar, automatonOf, hasText, isInhabited } from "./automaton.ts";
import { charSet, keyOf, type CharSet } from "./char-set.ts";
import type { GrammarBuilder } from "./gbnf.ts";
import { Languages, type Language } from "./language.ts";
import { patternGrammar, writtenPattern, type LengthRange } from "./regex-grammar.ts";
import { regexLanguage, setsOf } from "./regex-language.ts";
import { parseRegex, readingSteps, UnsupportedPattern } from "./regex-parse.ts";
import { STRING_FORMATS, type StringFormat } from "./string-formats.ts";
import type { CharStyle } from "./value-style.ts";
import { WorkBudget } from "./work-budget.ts";

/** What the inside of a string keeps. */
export interface TextShape {
  patterns: readonly string[];
  /** Only such as are in `STRING_FORMATS`. */
  formats: readonly string[];
  /** null = any. */
  length: LengthRange | null;
  /** Texts that it is not. */
  except: readonly string[];
}

const TOO_COMPLEX = "the patterns are too complex";

/** Rules for one text. */
const MAX_STATES = 1200;
/** Longest `maxLength` that is counted in an automaton. */
const MAX_COUNTED = 400;
/** Steps for one text, and its share of what a request has left. */
const MAX_STEPS = 20_000;
const SHARES = 4;
/** What reading a character of a pattern takes. */
const STEPS_PER_CHARACTER = 4;

/**
 * The inside of a string that keeps all of a shape, which holds a pattern or a format, and that is
 * read as a text; null when there is none. A single pattern or format is written as it stands; several, or one with a length
 * that it does not keep by itself, become an automaton.
 *
 * @throws UnsupportedPattern for what no grammar expresses, or none that is small enough.
 */
export function shapedText(
  builder: GrammarBuilder,
  text: CharStyle,
  shape: TextShape,
): string | null {
  const key = JSON.stringify([text.char(EVERY), text.any(builder), text.unlike, shape]);
  const texts = WRITTEN.get(builder) ?? new Map<string, Written>();
  WRITTEN.set(builder, texts);
  const known = texts.get(key);
  if (known instanceof UnsupportedPattern) throw known;
  if (known !== undefined) return known;
  try {
    const made = plain(builder, text, shape) ?? intersected(builder, text, shape);
    texts.set(key, made);
    return made;
  } catch (error) {
    if (error instanceof UnsupportedPattern) texts.set(key, error);
    throw error;
  }
}

type Written = string | UnsupportedPattern | null;

/** What was written before, or why it was not, by what it keeps. */
const WRITTEN = new WeakMap<GrammarBuilder, Map<string, Written>>();

/** How it is written tells the ways to write characters apart. */
const EVERY: CharSet = [[0, 0x10ffff]];

/** A shape that comes down to one pattern or one format; null for any other. */
function plain(builder: GrammarBuilder, text: CharStyle, shape: TextShape): string | null {
  const { patterns, formats, except } = shape;
  if (except.length > 0 || patterns.length > 1) return null;
  const length = shape.length ?? ANY_LENGTH;
  const [pattern] = patterns;
  const [format] = formats;
  try {
    if (
      pattern !== undefined &&
      !formats.every((each) => implies(builder, pattern, formatOf(each).wide))
    ) {
      return null;
    }
    if (pattern === undefined) {
      if (format === undefined || formats.length > 1) return null;
      const { usual } = formatOf(format);
      if (!isRead(builder, usual, text)) return null;
      const { expression, lengthHolds } = writtenPattern(builder, usual, length, text);
      return lengthHolds ? expression : null;
    }
    if (!isRead(builder, pattern, text)) return null;
    const { expression, lengthHolds } = patternGrammar(builder, pattern, length, text);
    return lengthHolds ? expression : null;
  } catch (error) {
    if (error instanceof UnsupportedPattern) return null;
    throw error;
  }
}

const ANY_LENGTH: LengthRange = { min: 0, max: null };

function formatOf(name: string): StringFormat {
  const format = STRING_FORMATS.get(name);
  if (format === undefined) throw new UnsupportedPattern(`the format ${name}`);
  return format;
}

/** Whether every text of a pattern is read as a text. */
const isRead = (builder: GrammarBuilder, pattern: string, { unlike }: CharStyle): boolean =>
  unlike === undefined || implies(builder, pattern, unlike, true);

/** Whether every text that matches one pattern matches the other, or does not where it is `negated`. */
function implies(
  { budgets }: GrammarBuilder,
  pattern: string,
  other: string,
  negated = false,
): boolean {
  const key = JSON.stringify([pattern, other, negated]);
  if (budgets.texts.passed.has(key)) return true;
  return spending(budgets.texts, (budget) => {
    const { languages, alphabet, of } = readPatterns([pattern, other], [], budget, budgets.texts);
    const refused = negated ? of(other) : languages.not(of(other));
    const others = languages.both(of(pattern), refused);
    const holds = !hasText(others, languages, alphabet, MAX_STATES);
    if (holds) budgets.texts.passed.add(key);
    return holds;
  });
}

/** Formats are kept in the first of their forms of which there is a text. */
function intersected(builder: GrammarBuilder, text: CharStyle, shape: TextShape): string | null {
  for (const form of formsOf(shape)) {
    const written = automaton(builder, text, form);
    if (written !== null) return written;
  }
  return null;
}

/** The shapes to try, with the formats as patterns, the best first. */
function formsOf({ patterns, formats, length, except }: TextShape): readonly TextShape[] {
  const known = formats.map(formatOf);
  const maxima = [length?.max, ...known.map(({ max }) => max)].filter((max) => max != null);
  const bounded = { min: length?.min ?? 0, max: maxima.length === 0 ? null : Math.min(...maxima) };
  const form = (name: "usual" | "short" | "wide" | "full"): TextShape => {
    // A pattern alone says how long its texts are.
    const isCapped = name === "short" || (name === "wide" && length !== null);
    return {
      patterns: [...patterns, ...known.map((each) => each[name])],
      formats: [],
      length: isCapped && maxima.length > 0 ? bounded : length,
      except,
    };
  };
  if (known.length === 0) return [form("usual")];
  // Only a pattern says that an unusual form is meant.
  const forms =
    patterns.length === 0 ? [form("short")] : [form("wide"), form("usual"), form("full")];
  return [...new Map(forms.map((each) => [JSON.stringify(each), each])).values()];
}

/** @param shape Without formats. */
function automaton(builder: GrammarBuilder, text: CharStyle, shape: TextShape): string | null {
  const { patterns, length, except } = shape;
  if (length?.max != null && length.max > MAX_COUNTED) {
    throw new UnsupportedPattern("a length that is counted in too many places");
  }
  return spending(builder.budgets.texts, (budget) => {
    const unlike = text.unlike === undefined ? [] : [text.unlike];
    const read = readPatterns([...patterns, ...unlike], except, budget, builder.budgets.texts);
    const { languages, alphabet, of, literal } = read;
    const whole = languages.both(
      ...patterns.map(of),
      ...unlike.map((each) => languages.not(of(each))),
      ...except.map((each) => languages.not(literal(each))),
      length === null ? languages.anything : languages.times(languages.any, length.min, length.max),
    );
    const most = Math.min(MAX_STATES, builder.states.left);
    const states = automatonOf(whole, languages, alphabet, most);
    if (!isInhabited(states)) return null;
    builder.states.spend(states.length);
    const written = automatonGrammar(builder, states, alphabet, text, languages);
    if (written === null) throw new UnsupportedPattern("characters that cannot be written here");
    return written;
  });
}

interface ReadPatterns {
  languages: Languages;
  alphabet: Alphabet;
  /** The language of one of the patterns. */
  of: (pattern: string) => Language;
  /** The language of one text. */
  literal: (text: string) => Language;
}

function readPatterns(
  patterns: readonly string[],
  texts: readonly string[],
  budget: WorkBudget,
  request: WorkBudget,
): ReadPatterns {
  const read = patterns.map(readingSteps).reduce((sum, steps) => sum + steps, 0);
  budget.spend((read + texts.join("").length) * STEPS_PER_CHARACTER);
  if (budget.left === 0) throw new UnsupportedPattern(TOO_COMPLEX);
  const nodes = new Map(patterns.map((pattern) => [pattern, parseRegex(pattern)]));
  const chars = [...new Set(texts.join(""))].map(charOf);
  const sets = [...nodes.values()].flatMap(setsOf);
  const alphabet = alphabetOf([...sets, ...chars], budget, request);
  const languages = new Languages(alphabet.letters.length, budget);
  return {
    languages,
    alphabet,
    of: (pattern) => regexLanguage(nodes.get(pattern) ?? NOTHING, languages, alphabet),
    literal: (text) =>
      languages.sequence(
        Array.from(text, (char) => languages.letter(alphabet.maskOf(charOf(char)))),
      ),
  };
}

/** The alphabets of a request, by the sets that they are of. */
const ALPHABETS = new WeakMap<WorkBudget, Map<string, Alphabet>>();
/** Ranges of characters that are sorted in the time of a step. */
const RANGES_PER_STEP = 2;

function alphabetOf(sets: readonly CharSet[], budget: WorkBudget, request: WorkBudget): Alphabet {
  const known = ALPHABETS.get(request) ?? new Map<string, Alphabet>();
  ALPHABETS.set(request, known);
  const distinct = new Map(sets.map((set) => [keyOf(set), set]));
  const key = [...distinct.keys()].join(" ");
  const found = known.get(key);
  if (found !== undefined) return found;
  const all = [...distinct.values()];
  budget.spend(Math.ceil(all.reduce((sum, set) => sum + set.length, 0) / RANGES_PER_STEP));
  if (budget.left === 0) throw new UnsupportedPattern(TOO_COMPLEX);
  const made = new Alphabet(all);
  known.set(key, made);
  return made;
}

const NOTHING = { kind: "sequence", items: [] } as const;

const charOf = (char: string) => {
  const code = char.codePointAt(0) ?? 0;
  return charSet([code, code]);
};

/** Runs `work` with a share of what a request may spend, and takes what it needed. */
function spending<T>(request: WorkBudget, work: (budget: WorkBudget) => T): T {
  const share = Math.min(MAX_STEPS, Math.floor(request.left / SHARES));
  const budget = new WorkBudget(share);
  try {
    return work(budget);
  } finally {
    request.spend(share - budget.left);
  }
}
