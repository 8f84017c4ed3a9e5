import { automatonGrammar, automatonOf, hasText, isInhabited } from "./automaton.ts";
import type { CharSet } from "./char-set.ts";
import type { GrammarBuilder } from "./gbnf.ts";
import { readPatterns, spending } from "./read-patterns.ts";
import { patternGrammar, writtenPattern, type LengthRange } from "./regex-grammar.ts";
import { UnsupportedPattern } from "./regex-parse.ts";
import { STRING_FORMATS, type StringFormat } from "./string-formats.ts";
import type { CharStyle } from "./value-style.ts";

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

/** Rules for one text. */
const MAX_STATES = 1200;
/** Longest `maxLength` that is counted in an automaton. */
const MAX_COUNTED = 400;
/**
 * The inside of a string that keeps all of a shape, which holds a pattern or a format, and that is
 * read as a text; null when there is none. A single pattern or format is written as it stands;
 * several, or one with a length that it does not keep by itself, become an automaton.
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
