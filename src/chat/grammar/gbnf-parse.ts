import { charSet, type CharSet, complement } from "./char-set.ts";
import { GbnfError, GbnfReader } from "./gbnf-reader.ts";
import { MAX_REPETITIONS } from "./gbnf.ts";
import { RecentResults } from "./recent-results.ts";

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

/** An alternative under construction, and the item a repetition would apply to. */
interface Sequence {
  elements: GbnfElement[];
  /** Index of the last item's first element. */
  itemStart: number;
  /** Rules that llama.cpp makes for the last item. */
  itemRules: number;
}

/** Characters of a class that is not read anew each time. */
const LONG_CLASS = 64;
const CLASSES = new RecentResults<ReadClass>(64);

interface ReadClass {
  set: CharSet;
  /** What llama.cpp makes of it. */
  elements: number;
}

/**
 * Reads GBNF as llama.cpp does and reduces it to what decides about left recursion and size.
 * Repetitions and groups become rules of their own. Source: llama-grammar.cpp.
 */
export class GbnfParser {
  readonly #in: GbnfReader;
  readonly #rules = new Map<string, GbnfRule>();
  /** Names llama.cpp would have given an id by now. */
  readonly #symbols = new Set<string>();
  #depth = 0;
  #elements = 0;
  #generated = 0;

  constructor(text: string) {
    this.#in = new GbnfReader(text);
  }

  parse(): { rules: ReadonlyMap<string, GbnfRule> } | { message: string; line: number } {
    try {
      this.#refuseNul();
      this.#in.space(true);
      while (!this.#in.isAtEnd) this.#rule();
    } catch (error) {
      if (!(error instanceof GbnfError)) throw error;
      return { message: error.message, line: this.#in.line() };
    }
    return { rules: this.#rules };
  }

  /** llama.cpp would end there. */
  #refuseNul(): void {
    if (this.#in.skipPast("\0")) throw new GbnfError("contains a NUL character");
  }

  #rule(): void {
    const line = this.#in.line();
    const name = this.#ruleName();
    this.#in.space(false);
    if (!this.#in.startsWith("::=")) throw new GbnfError(`needs ::= at ${this.#in.here()}`);
    this.#in.skip(3);
    this.#in.space(true);
    const options = this.#alternatives(false);
    const char = this.#in.char;
    if (char !== "" && char !== "\n" && char !== "\r") {
      throw new GbnfError(`cannot be read at ${this.#in.here()}`);
    }
    this.#rules.set(name, { line, options });
    this.#in.space(true);
  }

  #ruleName(): string {
    const name = this.#in.name();
    this.#symbols.add(name);
    return name;
  }

  #alternatives(nested: boolean): GbnfElement[][] {
    const options = [this.#sequence(nested)];
    while (this.#in.char === "|") {
      this.#in.skip(1);
      this.#in.space(true);
      options.push(this.#sequence(nested));
    }
    return options;
  }

  #sequence(nested: boolean): GbnfElement[] {
    const sequence: Sequence = { elements: [], itemStart: 0, itemRules: 1 };
    for (;;) {
      const char = this.#in.char;
      if (char === '"') this.#literal(sequence);
      else if (char === "[") this.#class(sequence);
      else if (char === "<" || char === "!") this.#token(sequence);
      else if (char === ".") {
        this.#in.skip(1);
        this.#item(sequence, [{ kind: "class", set: ANY_CHARACTER, copies: 1 }], 1);
      } else if (char === "(") this.#group(sequence);
      else if (this.#in.isWord) {
        this.#item(sequence, [{ kind: "rule", name: this.#ruleName(), copies: 1 }], 1);
      } else if (char === "*" || char === "+" || char === "?" || char === "{") {
        this.#repetition(sequence, char, nested);
      } else return sequence.elements;
      this.#in.space(nested);
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
    this.#in.skip(1);
    const start = this.#in.at;
    const codes: number[] = [];
    while (this.#in.char !== '"') codes.push(this.#in.codePoint("string", start));
    this.#in.skip(1);
    this.#count(codes.length);
    this.#item(sequence, codes.length === 0 ? [] : [{ kind: "text", codes, copies: 1 }], 1);
  }

  #class(sequence: Sequence): void {
    const start = this.#in.at;
    const source = this.#in.classSource();
    const { set, elements } =
      source.length < LONG_CLASS ? this.#newClass() : CLASSES.get(source, () => this.#newClass());
    if (source !== "") this.#in.rewind(start + source.length);
    this.#count(elements);
    this.#item(sequence, [{ kind: "class", set, copies: 1 }], 1);
  }

  #newClass(): ReadClass {
    this.#in.skip(1);
    const start = this.#in.at;
    const isNegated = this.#in.char === "^";
    if (isNegated) this.#in.skip(1);
    const ranges: [number, number][] = [];
    let elements = 0;
    while (this.#in.char !== "]") {
      const from = this.#in.codePoint("character class", start);
      const isRange = this.#in.char === "-" && !this.#in.startsWith("-]");
      if (isRange) this.#in.skip(1);
      const to = isRange ? this.#in.codePoint("character class", start) : from;
      ranges.push([Math.min(from, to), Math.max(from, to)]);
      elements += isRange ? 2 : 1;
    }
    if (ranges.length === 0) throw new GbnfError("has an empty character class");
    this.#in.skip(1);
    const set = charSet(...ranges);
    return { set: isNegated ? complement(set) : set, elements };
  }

  #token(sequence: Sequence): void {
    if (this.#in.char === "!") this.#in.skip(1);
    const isToken = this.#in.char === "<" && this.#in.skipPast(">");
    if (!isToken) throw new GbnfError(`needs a token at ${this.#in.here()}`);
    this.#item(sequence, [{ kind: "token", copies: 1 }], 1);
  }

  #group(sequence: Sequence): void {
    this.#depth += 1;
    if (this.#depth > MAX_GROUP_DEPTH) throw new GbnfError("has groups more than 100 deep");
    this.#in.skip(1);
    this.#in.space(true);
    const before = this.#symbols.size;
    const name = this.#generate();
    const line = this.#in.line();
    const options = this.#alternatives(true);
    if (this.#in.char !== ")") throw new GbnfError(`needs ) at ${this.#in.here()}`);
    this.#in.skip(1);
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
    this.#rules.set(name, { line: this.#in.line(), options: [tail, []], run });
    sequence.elements.push({ kind: "rule", name, copies: 1 });
  }

  #shorthand(char: string): { min: number; max: number | null } {
    this.#in.skip(1);
    return { min: char === "+" ? 1 : 0, max: char === "?" ? 1 : null };
  }

  #braces(nested: boolean): { min: number; max: number | null } {
    const start = this.#in.at;
    this.#in.skip(1);
    const min = this.#in.integer(nested);
    let max: number | null = min;
    if (this.#in.char === ",") {
      this.#in.skip(1);
      this.#in.space(nested);
      max = /[0-9]/.test(this.#in.char) ? this.#in.integer(nested) : null;
    }
    if (this.#in.char !== "}") {
      this.#in.rewind(start);
      throw new GbnfError(`has a repetition that cannot be read at ${this.#in.here()}`);
    }
    this.#in.skip(1);
    if (min > MAX_REPETITIONS) throw new GbnfError(`repeats more than ${MAX_REPETITIONS} times`);
    return { min, max: max !== null && max > MAX_REPETITIONS ? null : max };
  }
}

/** `item` so many times in a row, in short form. */
const times = (item: readonly GbnfElement[], copies: number): GbnfElement[] =>
  item.map((element) => ({ ...element, copies: element.copies * copies }));
