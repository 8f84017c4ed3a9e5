import { expect, test } from "bun:test";
import fc from "fast-check";
import { Alphabet } from "../../../../src/chat/grammar/alphabet.ts";
import { automatonOf } from "../../../../src/chat/grammar/automaton.ts";
import { contains } from "../../../../src/chat/grammar/char-set.ts";
import { Languages } from "../../../../src/chat/grammar/language.ts";
import { regexLanguage, setsOf } from "../../../../src/chat/grammar/regex-language.ts";
import { parseRegex, UnsupportedPattern } from "../../../../src/chat/grammar/regex-parse.ts";
import { WorkBudget } from "../../../../src/chat/grammar/work-budget.ts";

interface Wanted {
  patterns: readonly string[];
  refused: readonly string[];
  min: number;
  max: number | null;
}

/** Which of `texts` the automaton of all patterns together accepts. */
function accepted({ patterns, refused, min, max }: Wanted, texts: readonly string[]): string[] {
  const nodes = [...patterns, ...refused].map(parseRegex);
  const alphabet = new Alphabet(nodes.flatMap(setsOf));
  const languages = new Languages(alphabet.letters.length, new WorkBudget(200_000));
  const all = nodes.map((node) => regexLanguage(node, languages, alphabet));
  const whole = languages.both(
    ...all.slice(0, patterns.length),
    ...all.slice(patterns.length).map((each) => languages.not(each)),
    languages.times(languages.any, min, max),
  );
  const states = automatonOf(whole, languages, alphabet, 3000);
  return texts.filter((text) => {
    let at: number | undefined = 0;
    for (const char of text) {
      const code = char.codePointAt(0) ?? 0;
      const edges: (readonly [bigint, number])[] = [...(states[at]?.edges ?? [])];
      at = edges.find(([letters]) => contains(alphabet.charsOf(letters), code))?.[1];
      if (at === undefined) return false;
    }
    return states[at]?.accepts ?? false;
  });
}

/** Every text of up to four of three letters. */
const TEXTS = [1, 2, 3, 4].reduce<string[]>(
  (texts) => [...new Set(texts.flatMap((text) => ["", "a", "b", "c"].map((char) => text + char)))],
  [""],
);

const pattern = fc.letrec<{ part: string; whole: string }>((tie) => ({
  part: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom("a", "b", ".", "[ab]", "[^a]", "\\w", "^", "$"),
    tie("part").map((inner) => `(?:${inner})*`),
    tie("part").map((inner) => `(?:${inner})?`),
    tie("part").map((inner) => `(?:${inner}){1,2}`),
    tie("part").map((inner) => `(?=${inner})`),
    tie("part").map((inner) => `(?!${inner})`),
    fc.constantFrom("(?:(?!a)[ab])*", "(?:(?=a|bb)\\w\\w)+", "(?!^)(?:a(?!b)[abc])?"),
    fc.tuple(tie("part"), tie("part")).map((both) => both.join("")),
    fc.tuple(tie("part"), tie("part")).map((both) => `(?:${both.join("|")})`),
  ),
  whole: tie("part"),
})).whole;

test("an automaton accepts what JavaScript matches: all patterns, none of the others, the length", () => {
  const wanted = fc.record<Wanted>({
    patterns: fc.array(pattern, { minLength: 1, maxLength: 2 }),
    refused: fc.array(pattern, { maxLength: 1 }),
    min: fc.nat(2),
    max: fc.option(fc.integer({ min: 2, max: 4 })),
  });
  let compared = 0;
  fc.assert(
    fc.property(wanted, (each) => {
      const { patterns, refused, min, max } = each;
      try {
        const found = accepted(each, TEXTS);
        const expected = TEXTS.filter(
          (text) =>
            patterns.every((one) => new RegExp(one, "u").test(text)) &&
            !refused.some((one) => new RegExp(one, "u").test(text)) &&
            text.length >= min &&
            text.length <= (max ?? text.length),
        );
        expect(found).toEqual(expected);
        compared += 1;
      } catch (error) {
        if (!(error instanceof UnsupportedPattern)) throw error;
      }
    }),
    { numRuns: 1000, seed: 1, endOnFailure: true },
  );
  expect(compared).toBeGreaterThan(400);
});

test.each([
  ["many places", "(a|b)*a(a|b){14}$"],
  ["nested counts", "^((a{0,999}){0,999}){0,999}$"],
  ["many options", `^${"(a|b)?".repeat(600)}c$`],
  ["a long text", "x".repeat(4000)],
])("an automaton of %s is given up in bounded work", (_, hostile) => {
  expect(() => accepted({ patterns: [hostile], refused: [], min: 0, max: null }, [])).toThrow(
    UnsupportedPattern,
  );
});
