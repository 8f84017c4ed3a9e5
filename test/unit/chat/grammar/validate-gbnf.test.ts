import { expect, test } from "bun:test";
import { validateGbnf } from "../../../../src/chat/grammar/validate-gbnf.ts";
import { LmError } from "../../../../src/lib/errors.ts";

function refusal(gbnf: string): string | null {
  try {
    validateGbnf(gbnf, "grammar");
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(LmError);
    expect((error as LmError).details).toEqual({ param: "grammar", reason: "invalid_grammar" });
    return (error as LmError).message;
  }
}

/** n rules, each of which begins with the next in two ways. */
const doubling = (count: number) =>
  Array.from(
    { length: count },
    (_, index) => `r${index} ::= r${index + 1} | r${index + 1} "x"\n`,
  ).join("") + `root ::= r0\nr${count} ::= "a"\n`;

const JSON_WITH_SPACE = `root ::= object
value ::= object | array | string | ("true" | "null") ws
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws
array ::= "[" ws (value ("," ws value)*)? "]" ws
string ::= "\\"" [^"]* "\\"" ws
ws ::= | " " | "\\n" [ \\t]{0,20}
`;

const names = (count: number): string =>
  Array.from({ length: count }, (_, index) => `"item-${index}"`).join(" | ");

/** Each begins with another character, so that none is ambiguous. */
const sixtyFour = (): string =>
  Array.from({ length: 64 }, (_, index) => `"${String.fromCodePoint(0x100 + index)}"?`).join(" ");

const fine: [name: string, gbnf: string][] = [
  ["a literal", 'root ::= "a"'],
  [
    "comments, blank lines, Windows line ends",
    '# one\r\n\r\nroot ::= "a" # two\r\n  b\r\nb ::= "#"\r\n'.replace("  b\r\n", ""),
  ],
  ["alternatives over several lines", 'root ::= (\n "a" | # first\n "b"\n)\n'],
  ["classes and escapes", 'root ::= [a-z\\]\\[\\-\\\\] [^"\\x41\\u00e9\\U0001f600-] "\\n\\"" .'],
  ["repetitions", 'root ::= "a"* "b"+ "c"? [d]{2} [e]{2,} [f]{2,3} ("g" "h"){0,4}'],
  ["right recursion", 'root ::= "a" root | "b"'],
  ["recursion behind something", 'root ::= "(" root ")" | ""'],
  ["tokens by name and by id", "root ::= <[3]> !<|end|> <think>"],
  ["whitespace beside whitespace", "root ::= ws ws ws [a] ws ws\nws ::= [ \\t\\n]*"],
  ["nested JSON with whitespace behind each value", JSON_WITH_SPACE],
  ["a long run of one class", "root ::= [a-z]{1,1000}"],
  ["three thousand names with one beginning", `root ::= ${names(3000)}`],
  ["sixty-four elements that may be empty", `root ::= ${sixtyFour()}`],
  // As in a language with an optional else; what it costs grows with the text and is watched then.
  ["recursion before what may be empty", 'root ::= "a" root "b"? | "c"'],
  ["recursion at the end of a repetition", 'root ::= "a" ("," root)?'],
  ["recursion between brackets", 'root ::= "(" root? ")" [ ]*'],
  ["an empty inner loop", 'root ::= "b" ("a"* "c")*'],
];

test.each(fine)("accepted: %s", (_, gbnf) => {
  expect(refusal(gbnf)).toBeNull();
});

const MANY_EMPTY = /more than 64 elements in a row that may be empty/;

const refused: [name: string, gbnf: string, message: RegExp][] = [
  ["no root", 'start ::= "a"', /no rule named root/],
  ["nothing", "", /no rule named root/],
  ["an undefined rule, with its line", 'root ::= "a" b\n\nb ::= c\n', /refers to c.*\(line 3\)/],
  ["a literal that is not closed", 'root ::= "a', /string that is not closed \(line 1\)/],
  ["a class that is not closed", 'root ::= "a"\nb ::= [a', /class that is not closed \(line 2\)/],
  ["a group that is not closed", 'root ::= ("a"', /needs \)/],
  ["an unknown escape", 'root ::= "\\q"', /unknown escape/],
  ["a rule without ::=", "root = 1", /needs ::=/],
  ["a stray character", 'root ::= "a" %', /cannot be read at "%"/],
  ["NUL", 'root ::= "a\0b"', /NUL/],
  ["257 KiB", `root ::= "${"a".repeat(257 * 1024)}"`, /256 KiB/],
  ["left recursion", 'root ::= root "a" | "a"', /left-recursive: root/],
  ["left recursion through others", 'root ::= a\na ::= b "x"\nb ::= a | "y"', /left-recursive/],
  [
    "left recursion behind something empty",
    'root ::= ws root | "a"\nws ::= " "?',
    /left-recursive/,
  ],
  ["an empty loop", 'root ::= ("a"?)*', /left-recursive/],
  ["two equal alternatives in a loop", 'root ::= ("a" | "a")*', /too many ways/],
  ["loops one in the other", 'root ::= ([a-z]+ " "?)+', /too many ways/],
  [
    "a hundred that share a text",
    `root ::= ${"x ".repeat(100)}\nx ::= "a"{1,200}`,
    /too many ways/,
  ],
  ["ambiguity behind a long text", `root ::= "${"x".repeat(500)}" ([ ]+ [ ])*`, /too many ways/],
  ["what may be left out thirty times", 'root ::= ("a"? "b"?){1,30}', /too many ways/],
  ["many copies of what may be empty", 'root ::= ("a"?){1,600}', MANY_EMPTY],
  ["a thousand elements that may be empty", `root ::= ${'"a"? '.repeat(1000)}"b"`, MANY_EMPTY],
  ["loops in a row", `root ::= ${"[a-z]* ".repeat(65)}"1"`, MANY_EMPTY],
  [
    "elements that may be empty at the ends of nested groups",
    `root ::= ${"( ".repeat(70)}"b" ${'"a"? ) '.repeat(70)}"c"`,
    MANY_EMPTY,
  ],
  [
    "elements that may be empty at the beginnings of nested rules",
    `root ::= r0 "b"\n${Array.from({ length: 70 }, (_, index) => `r${index} ::= "a"? r${index + 1}\n`).join("")}r70 ::= "a"`,
    MANY_EMPTY,
  ],
  [
    "elements that may be empty in rules side by side",
    `root ::= x x "c"\nx ::= "b" | ${'"a"? '.repeat(40)}`,
    MANY_EMPTY,
  ],
  [
    "alternatives of five hundred lengths in a loop",
    `root ::= (${Array.from({ length: 500 }, (_, index) => `"${"a".repeat(index + 1)}"`).join(" | ")})* "b"`,
    /too many ways/,
  ],
  ["eight long runs in a row", `root ::= ${'"a"{0,2000} '.repeat(8)}"c"`, /too many ways/],
  [
    "ambiguity in the last of many rules",
    `root ::= ${Array.from({ length: 40 }, (_, index) => `r${index} | `).join("")}x\n${Array.from({ length: 40 }, (_, index) => `r${index} ::= "${index}" [a-z]{1,60} "-" ([0-9]{2,9} "/"){0,20}\n`).join("")}x ::= ("a" | "a")* "b"`,
    /too many ways/,
  ],
  ["a rule without an end", 'root ::= "a" b | "c"\nb ::= "x" b', /never ends: b/],
  ["nothing to repeat", 'root ::= * "a"', /repeats nothing/],
  ["too many repetitions", "root ::= [a]{2001}", /more than 2000/],
  ["too many repetitions of repetitions", "root ::= ([a]{1,100}){1,100}", /more than 2000/],
  ["repetitions of many things", `root ::= ${'"a"{2000} '.repeat(20_000)}`, /500,000 elements/],
  ["2^40 ways to begin", doubling(40), /begin in too many ways/],
  [
    "parentheses 100,000 deep",
    `root ::= ${"(".repeat(100_000)}"a"${")".repeat(100_000)}`,
    /100 deep/,
  ],
  [
    "a chain of 10,000 rules",
    `root ::= r0\n${Array.from({ length: 10_000 }, (_, index) => `r${index} ::= r${index + 1}\n`).join("")}r10000 ::= "a"`,
    /too deeply/,
  ],
];

test.each(refused)("refused with a reason: %s", (_, gbnf, message) => {
  expect(refusal(gbnf)).toMatch(message);
});
