import { Alphabet } from "./alphabet.ts";
import { charSet, keyOf, type CharSet } from "./char-set.ts";
import { Languages, type Language } from "./language.ts";
import { regexLanguage, setsOf } from "./regex-language.ts";
import { parseRegex, readingSteps, UnsupportedPattern } from "./regex-parse.ts";
import { WorkBudget } from "./work-budget.ts";

const TOO_COMPLEX = "the patterns are too complex";

/** Steps for one text, and its share of what a request has left. */
const MAX_STEPS = 20_000;
const SHARES = 4;
/** What reading a character of a pattern takes. */
const STEPS_PER_CHARACTER = 4;

/** Patterns as languages over the letters that they tell apart. */
export interface ReadPatterns {
  languages: Languages;
  alphabet: Alphabet;
  /** The language of one of the patterns. */
  of: (pattern: string) => Language;
  /** The language of one text. */
  literal: (text: string) => Language;
}

/**
 * @param texts Whose characters are told apart too.
 * @param budget What may be spent; `request` knows what the request has read before.
 * @throws UnsupportedPattern
 */
export function readPatterns(
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
export function spending<T>(request: WorkBudget, work: (budget: WorkBudget) => T): T {
  const share = Math.min(MAX_STEPS, Math.floor(request.left / SHARES));
  const budget = new WorkBudget(share);
  try {
    return work(budget);
  } finally {
    request.spend(share - budget.left);
  }
}
