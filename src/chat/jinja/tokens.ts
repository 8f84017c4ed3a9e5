import { tokenize } from "@huggingface/jinja";

type Token = ReturnType<typeof tokenize>[number];

/** What a call of a tuple's items names: no template can write it. */
export const TUPLE_NAME = "a tuple of";
const TEST = /^is (not )?(\w+)$/;

/** Tests that were written with an argument, which are filters by names that no template can write. */
export function testOf(filterName: string): { name: string; isNegated: boolean } | null {
  const [, negation, name] = TEST.exec(filterName) ?? [];
  return name === undefined ? null : { name, isNegated: negation !== undefined };
}

/** Words that no operand ends with, and no argument of a test begins with. */
const KEYWORDS = new Set(["and", "or", "not", "in", "is", "if", "elif", "else", "set"]);
const ARGUMENTS = new Set([
  "Identifier",
  "StringLiteral",
  "NumericLiteral",
  "OpenParen",
  "OpenSquareBracket",
  "OpenCurlyBracket",
]);
const OPERAND_ENDS = new Set(["CloseParen", "CloseSquareBracket", "CloseCurlyBracket"]);
const OPENING = new Set(["OpenParen", "OpenSquareBracket", "OpenCurlyBracket"]);

const isWord = (token: Token | undefined, word: string): boolean =>
  token?.type === "Identifier" && token.value === word;
const isKeyword = (token: Token): boolean =>
  token.type === "Identifier" && KEYWORDS.has(token.value);

/**
 * The tokens of a template, with what Jinja knows and the parser of `@huggingface/jinja` does not in a
 * shape that it reads: `a is eq 1` as a filter, `(1,)` and `()` as calls, `1e3` as one number.
 */
export function tokensOf(source: string): Token[] {
  // Jinja reads every end of a line as a newline, before blocks are trimmed.
  const text = source.replace(/\r\n?/g, "\n");
  return new Rewriter(tokenize(text, { lstrip_blocks: true, trim_blocks: true })).run();
}

class Rewriter {
  readonly #tokens: readonly Token[];
  /** Of each bracket's index the index of its partner. */
  readonly #partners: ReadonlyMap<number, number>;
  readonly #closeBefore: number[] = [];
  readonly #result: Token[] = [];

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
    this.#partners = partnersOf(tokens);
  }

  run(): Token[] {
    let index = 0;
    for (;;) {
      while (this.#closeBefore.at(-1) === index) {
        this.#closeBefore.pop();
        this.#push("CloseParen", ")");
      }
      const token = this.#tokens[index];
      if (token === undefined) return this.#result;
      index = this.#test(index) ?? this.#number(index) ?? this.#plain(token, index);
    }
  }

  #push(type: Token["type"], value: string): void {
    this.#result.push({ type, value });
  }

  #plain(token: Token, index: number): number {
    if (token.type === "OpenParen" && this.#isTuple(index)) this.#push("Identifier", TUPLE_NAME);
    this.#result.push(token);
    return index + 1;
  }

  /** A test with an argument; returns what follows its name, or null when there is none. */
  #test(index: number): number | null {
    if (!isWord(this.#tokens[index], "is") || !endsOperand(this.#tokens[index - 1])) return null;
    const isNegated =
      isWord(this.#tokens[index + 1], "not") && this.#tokens[index + 2]?.type === "Identifier";
    const at = index + (isNegated ? 2 : 1);
    const name = this.#tokens[at];
    const first = this.#tokens[at + 1];
    if (name?.type !== "Identifier" || first === undefined) return null;
    if (!ARGUMENTS.has(first.type) || isKeyword(first)) return null;
    this.#push("Pipe", "|");
    this.#push("Identifier", `is ${isNegated ? "not " : ""}${name.value}`);
    if (first.type === "OpenParen") return at + 1;
    this.#push("OpenParen", "(");
    this.#closeBefore.push(this.#operandEnd(at + 1));
    return at + 1;
  }

  /** The index behind an operand and its members, items and calls. */
  #operandEnd(start: number): number {
    let end = (this.#partners.get(start) ?? start) + 1;
    for (;;) {
      const type = this.#tokens[end]?.type;
      if (type === "Dot") end += 2;
      else if (type === "OpenParen" || type === "OpenSquareBracket")
        end = (this.#partners.get(end) ?? end) + 1;
      else return Math.min(end, this.#tokens.length);
    }
  }

  /** A number with an exponent, which was read as a number and a name. */
  #number(index: number): number | null {
    const [number, letter, sign, digits] = this.#tokens.slice(index, index + 4);
    if (number?.type !== "NumericLiteral" || letter?.type !== "Identifier") return null;
    const isSigned =
      /^e$/i.test(letter.value) &&
      /^[+-]$/.test(sign?.value ?? "") &&
      digits?.type === "NumericLiteral";
    if (!isSigned && !/^e\d+$/i.test(letter.value)) return null;
    const exponent = isSigned ? `e${sign?.value}${digits?.value}` : letter.value;
    const point = number.value.includes(".") ? "" : ".0";
    this.#push("NumericLiteral", number.value + point + exponent);
    return index + (isSigned ? 4 : 2);
  }

  /** Parentheses that call nothing, and are empty or end with a comma. */
  #isTuple(index: number): boolean {
    const end = this.#partners.get(index);
    if (end === undefined || endsOperand(this.#tokens[index - 1])) return false;
    return end === index + 1 || this.#tokens[end - 1]?.type === "Comma";
  }
}

const endsOperand = (token: Token | undefined): boolean =>
  token !== undefined &&
  (OPERAND_ENDS.has(token.type) || (ARGUMENTS.has(token.type) && !OPENING.has(token.type))) &&
  !isKeyword(token);

function partnersOf(tokens: readonly Token[]): Map<number, number> {
  const partners = new Map<number, number>();
  const open: number[] = [];
  for (const [index, { type }] of tokens.entries()) {
    if (OPENING.has(type)) open.push(index);
    if (!OPERAND_ENDS.has(type)) continue;
    const start = open.pop();
    if (start !== undefined) partners.set(start, index);
  }
  return partners;
}
