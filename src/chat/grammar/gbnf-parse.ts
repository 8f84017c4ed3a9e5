import { charSet, type CharSet, complement } from "./char-set.ts";
import { MAX_REPETITIONS } from "./gbnf.ts";

/** One element of an alternative. `copies`: how often it stands there in a row. */
export type GbnfElement = { copies: number } & (
  | { kind: "text"; codes: readonly number[] }
  | { kind: "class"; set: CharSet }
  | { kind: "token" }
  | { kind: "rule"; name: string }
);

export interface GbnfRule {
  /** 1-based line of its definition. */
  line: number;
  options: readonly (readonly GbnfElement[])[];
  /** The rule is a run of up to `times` items, any of which may be the last; null = no limit. */
  run?: { item: GbnfElement; times: number | null };
}

/** Groups inside groups; llama.cpp parses them by recursion on its stack. */
const MAX_GROUP_DEPTH = 100;
/** Elements after llama.cpp has written out every repetition. */
const MAX_ELEMENTS = 500_000;

const ANY_CHARACTER = complement([]);
const WORD = /[a-zA-Z0-9-]/;

class GbnfError extends Error {}

/** An alternative under construction, and the item a repetition would apply to. */
interface Sequence {
  elements: GbnfElement[];
  /** Index of the last item's first element. */
  itemStart: number;
  /** Rules that llama.cpp makes for the last item. */
  itemRules: number;
}

/**
 * Reads GBNF as llama.cpp does and reduces it to what decides about left recursion and size.
 * Repetitions and groups become rules of their own. Source: llama-grammar.cpp.
 */
export class GbnfParser {
  readonly #text: string;
  readonly #rules = new Map<string, GbnfRule>();
  /** Names llama.cpp would have given an id by now. */
  readonly #symbols = new Set<string>();
  #at = 0;
  #depth = 0;
  #elements = 0;
  #generated = 0;
  #lineAt = 0;
  #lineNumber = 1;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): { rules: ReadonlyMap<string, GbnfRule> } | { message: string; line: number } {
    try {
      if (this.#text.includes("\0")) {
        this.#at = this.#text.indexOf("\0");
        throw new GbnfError("contains a NUL character");
      }
      this.#space(true);
      while (this.#at < this.#text.length) this.#rule();
    } catch (error) {
      if (!(error instanceof GbnfError)) throw error;
      return { message: error.message, line: this.#line() };
    }
    return { rules: this.#rules };
  }

  /** The current line, counted on from the last call. */
  #line(): number {
    for (; this.#lineAt < this.#at; this.#lineAt++) {
      if (this.#text[this.#lineAt] === "\n") this.#lineNumber += 1;
    }
    return this.#lineNumber;
  }

  #char(): string {
    return this.#text[this.#at] ?? "";
  }

  #space(newlines: boolean): void {
    for (;;) {
      const char = this.#char();
      if (char === "#") {
        while (this.#at < this.#text.length && !/[\r\n]/.test(this.#char())) this.#at += 1;
      } else if (char === " " || char === "\t" || (newlines && (char === "\n" || char === "\r"))) {
        this.#at += 1;
      } else return;
    }
  }

  #name(): string {
    const start = this.#at;
    while (WORD.test(this.#char())) this.#at += 1;
    if (this.#at === start) throw new GbnfError(`needs a rule name at ${this.#here()}`);
    const name = this.#text.slice(start, this.#at);
    this.#symbols.add(name);
    return name;
  }

  #here(): string {
    const text = this.#text.slice(this.#at, this.#at + 20).split("\n")[0] ?? "";
    return text === "" ? "the end of the line" : JSON.stringify(text);
  }

  #rule(): void {
    const line = this.#line();
    const name = this.#name();
    this.#space(false);
    if (!this.#text.startsWith("::=", this.#at)) {
      throw new GbnfError(`needs ::= at ${this.#here()}`);
    }
    this.#at += 3;
    this.#space(true);
    const options = this.#alternatives(false);
    const char = this.#char();
    if (char !== "" && char !== "\n" && char !== "\r") {
      throw new GbnfError(`cannot be read at ${this.#here()}`);
    }
    this.#rules.set(name, { line, options });
    this.#space(true);
  }

  #alternatives(nested: boolean): GbnfElement[][] {
    const options = [this.#sequence(nested)];
    while (this.#char() === "|") {
      this.#at += 1;
      this.#space(true);
      options.push(this.#sequence(nested));
    }
    return options;
  }

  #sequence(nested: boolean): GbnfElement[] {
    const sequence: Sequence = { elements: [], itemStart: 0, itemRules: 1 };
    for (;;) {
      const char = this.#char();
      if (char === '"') this.#literal(sequence);
      else if (char === "[") this.#class(sequence);
      else if (char === "<" || char === "!") this.#token(sequence);
      else if (char === ".") {
        this.#at += 1;
        this.#item(sequence, [{ kind: "class", set: ANY_CHARACTER, copies: 1 }], 1);
      } else if (char === "(") this.#group(sequence);
      else if (WORD.test(char)) {
        this.#item(sequence, [{ kind: "rule", name: this.#name(), copies: 1 }], 1);
      } else if (char === "*" || char === "+" || char === "?" || char === "{") {
        this.#repetition(sequence, char, nested);
      } else return sequence.elements;
      this.#space(nested);
    }
  }

  #item(sequence: Sequence, elements: readonly GbnfElement[], rules: number): void {
    sequence.itemStart = sequence.elements.length;
    sequence.itemRules = rules;
    sequence.elements.push(...elements);
    this.#count(elements.length);
  }

  #count(elements: number): void {
    this.#elements += elements;
    if (this.#elements > MAX_ELEMENTS) {
      throw new GbnfError("repeats too much: it grows beyond 500,000 elements");
    }
  }

  #literal(sequence: Sequence): void {
    this.#at += 1;
    const start = this.#at;
    const codes: number[] = [];
    while (this.#char() !== '"') codes.push(this.#literalChar("string", start));
    this.#at += 1;
    this.#count(codes.length);
    this.#item(sequence, codes.length === 0 ? [] : [{ kind: "text", codes, copies: 1 }], 1);
  }

  #class(sequence: Sequence): void {
    this.#at += 1;
    const start = this.#at;
    const isNegated = this.#char() === "^";
    if (isNegated) this.#at += 1;
    const ranges: [number, number][] = [];
    while (this.#char() !== "]") {
      const from = this.#literalChar("character class", start);
      const isRange = this.#char() === "-" && this.#text[this.#at + 1] !== "]";
      if (isRange) this.#at += 1;
      const to = isRange ? this.#literalChar("character class", start) : from;
      ranges.push([Math.min(from, to), Math.max(from, to)]);
      this.#count(isRange ? 2 : 1);
    }
    if (ranges.length === 0) throw new GbnfError("has an empty character class");
    this.#at += 1;
    const set = charSet(...ranges);
    this.#item(sequence, [{ kind: "class", set: isNegated ? complement(set) : set, copies: 1 }], 1);
  }

  /** The code point of a character as it stands in a string or class. */
  #literalChar(where: string, start: number): number {
    const char = this.#char();
    if (char === "") {
      this.#at = start;
      throw new GbnfError(`has a ${where} that is not closed`);
    }
    if (char !== "\\") {
      const code = this.#text.codePointAt(this.#at) ?? 0;
      this.#at += code > 0xffff ? 2 : 1;
      return code;
    }
    const rest = this.#text.slice(this.#at, this.#at + 10);
    const escape = ESCAPE.exec(rest);
    if (escape === null) throw new GbnfError(`has an unknown escape at ${this.#here()}`);
    this.#at += escape[0].length;
    const kind = rest.charAt(1);
    return escape[0].length > 2
      ? Number.parseInt(escape[0].slice(2), 16)
      : (NAMED_ESCAPES.get(kind) ?? kind.charCodeAt(0));
  }

  #token(sequence: Sequence): void {
    if (this.#char() === "!") this.#at += 1;
    const end = this.#text.indexOf(">", this.#at);
    if (this.#char() !== "<" || end < 0) throw new GbnfError(`needs a token at ${this.#here()}`);
    this.#at = end + 1;
    this.#item(sequence, [{ kind: "token", copies: 1 }], 1);
  }

  #group(sequence: Sequence): void {
    this.#depth += 1;
    if (this.#depth > MAX_GROUP_DEPTH) throw new GbnfError("has groups more than 100 deep");
    this.#at += 1;
    this.#space(true);
    const before = this.#symbols.size;
    const name = this.#generate();
    const line = this.#line();
    const options = this.#alternatives(true);
    if (this.#char() !== ")") throw new GbnfError(`needs ) at ${this.#here()}`);
    this.#at += 1;
    this.#depth -= 1;
    this.#rules.set(name, { line, options });
    this.#item(sequence, [{ kind: "rule", name, copies: 1 }], this.#symbols.size - before);
  }

  /** A name that no grammar can spell. */
  #generate(): string {
    this.#generated += 1;
    const name = `(group ${this.#generated})`;
    this.#symbols.add(name);
    return name;
  }

  #repetition(sequence: Sequence, char: string, nested: boolean): void {
    const { min, max } = char === "{" ? this.#braces(nested) : this.#shorthand(char);
    const item = sequence.elements.slice(sequence.itemStart);
    const [first] = item;
    if (first === undefined) throw new GbnfError("repeats nothing");
    const total = max !== null && max > 0 ? max : Math.max(1, min);
    if (sequence.itemRules * total > MAX_REPETITIONS) {
      throw new GbnfError(`repeats more than ${MAX_REPETITIONS} times`);
    }
    sequence.itemRules *= total;
    const optional = max === null ? 1 : max - min;
    if (optional < 0) throw new GbnfError("has a repetition whose maximum is below its minimum");
    this.#count(item.length * (min + 2 * optional));
    const head = min === 0 ? [] : times(item, min);
    sequence.elements.splice(sequence.itemStart, item.length, ...head);
    if (optional === 0) return;
    const name = this.#generate();
    for (let index = 1; index < optional; index++) this.#generate();
    const tail: GbnfElement[] = times(item, optional);
    if (max === null) tail.push({ kind: "rule", name, copies: 1 });
    const run = { item: first, times: max === null ? null : optional };
    this.#rules.set(name, { line: this.#line(), options: [tail, []], run });
    sequence.elements.push({ kind: "rule", name, copies: 1 });
  }

  #shorthand(char: string): { min: number; max: number | null } {
    this.#at += 1;
    return { min: char === "+" ? 1 : 0, max: char === "?" ? 1 : null };
  }

  #braces(nested: boolean): { min: number; max: number | null } {
    const start = this.#at;
    this.#at += 1;
    const min = this.#integer(nested);
    let max: number | null = min;
    if (this.#char() === ",") {
      this.#at += 1;
      this.#space(nested);
      max = /[0-9]/.test(this.#char()) ? this.#integer(nested) : null;
    }
    if (this.#char() !== "}") {
      this.#at = start;
      throw new GbnfError(`has a repetition that cannot be read at ${this.#here()}`);
    }
    this.#at += 1;
    if (min > MAX_REPETITIONS) throw new GbnfError(`repeats more than ${MAX_REPETITIONS} times`);
    return { min, max: max !== null && max > MAX_REPETITIONS ? null : max };
  }

  #integer(nested: boolean): number {
    const start = this.#at;
    while (/[0-9]/.test(this.#char())) this.#at += 1;
    const digits = this.#text.slice(start, this.#at);
    if (digits === "" || digits.length > 9) {
      throw new GbnfError(`needs a number at ${this.#here()}`);
    }
    this.#space(nested);
    return Number(digits);
  }
}

/** `item` so many times in a row, in short form. */
const times = (item: readonly GbnfElement[], copies: number): GbnfElement[] =>
  item.map((element) => ({ ...element, copies: element.copies * copies }));

const ESCAPE = /^\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[trn\\"[\]-])/;

const NAMED_ESCAPES: ReadonlyMap<string, number> = new Map([
  ["t", 9],
  ["r", 13],
  ["n", 10],
]);
