import { RecentResults } from "./recent-results.ts";
import { unicodeProperty } from "./unicode-property.ts";
import { charSet, complement, DIGITS, DOT, SPACE, WORD, type CharSet } from "./char-set.ts";

/** The regular part of ECMA-262 patterns. */
export type RegexNode =
  | { kind: "set"; set: CharSet }
  | { kind: "sequence"; items: readonly RegexNode[] }
  | { kind: "choice"; options: readonly RegexNode[] }
  | { kind: "repeat"; item: RegexNode; min: number; max: number | null }
  /** What follows must match `item`, or must not, and is not read. */
  | { kind: "look"; item: RegexNode; negative: boolean }
  | { kind: "start" }
  | { kind: "end" };

/** A construct that a grammar cannot express; the message names it. */
export class UnsupportedPattern extends Error {
  override readonly name = "UnsupportedPattern";
}

const MAX_PATTERN_LENGTH = 4096;
const MAX_DEPTH = 64;
const MAX_COUNT = 100_000;

const CLASS_ESCAPES: ReadonlyMap<string, CharSet> = new Map([
  ["d", DIGITS],
  ["D", complement(DIGITS)],
  ["w", WORD],
  ["W", complement(WORD)],
  ["s", SPACE],
  ["S", complement(SPACE)],
]);
const CONTROL_ESCAPES: ReadonlyMap<string, number> = new Map([
  ["n", 0x0a],
  ["r", 0x0d],
  ["t", 0x09],
  ["f", 0x0c],
  ["v", 0x0b],
  ["0", 0x00],
]);

/** The sets of classes in patterns, by how they are written. */
const CLASSES = new RecentResults<CharSet>(256);

/** @throws UnsupportedPattern for look-behind, back references, word boundaries and the like. */
export function parseRegex(pattern: string): RegexNode {
  if (pattern.length > MAX_PATTERN_LENGTH) {
    throw new UnsupportedPattern("the pattern is longer than 4096 characters");
  }
  return PARSED.get(pattern, () => new RegexParser(pattern).parse());
}

/** Steps that reading a pattern takes: a property of characters stands for hundreds of ranges. */
export function readingSteps(pattern: string): number {
  return pattern.length + STEPS_PER_PROPERTY * (pattern.split(/\\p/i).length - 1);
}

const STEPS_PER_PROPERTY = 100;

/** Formats above all, and what is read once more when patterns are put together. */
const PARSED = new RecentResults<RegexNode>(128);

class RegexParser {
  readonly #chars: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(pattern: string) {
    this.#chars = Array.from(pattern);
  }

  parse(): RegexNode {
    const node = this.#choice();
    if (this.#at < this.#chars.length) throw new UnsupportedPattern("unmatched )");
    return node;
  }

  #peek(): string | null {
    return this.#chars[this.#at] ?? null;
  }

  #next(): string {
    const char = this.#peek();
    if (char === null) throw new UnsupportedPattern("the pattern ends too early");
    this.#at += 1;
    return char;
  }

  #take(text: string): boolean {
    const chars = Array.from(text);
    if (!chars.every((char, index) => this.#chars[this.#at + index] === char)) return false;
    this.#at += chars.length;
    return true;
  }

  #choice(): RegexNode {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw new UnsupportedPattern("groups nested too deeply");
    const options = [this.#sequence()];
    while (this.#take("|")) options.push(this.#sequence());
    this.#depth -= 1;
    const [only, ...others] = options;
    return only !== undefined && others.length === 0 ? only : { kind: "choice", options };
  }

  #sequence(): RegexNode {
    const items: RegexNode[] = [];
    for (
      let char = this.#peek();
      char !== null && char !== "|" && char !== ")";
      char = this.#peek()
    ) {
      items.push(this.#quantified(this.#atom()));
    }
    const [only, ...others] = items;
    return only !== undefined && others.length === 0 ? only : { kind: "sequence", items };
  }

  #atom(): RegexNode {
    const char = this.#next();
    switch (char) {
      case "^":
        return { kind: "start" };
      case "$":
        return { kind: "end" };
      case ".":
        return { kind: "set", set: DOT };
      case "(":
        return this.#group();
      case "[":
        return { kind: "set", set: this.#class() };
      case "\\":
        // As Python and Rust write anchors, whose patterns Pydantic passes on.
        if (this.#take("A")) return { kind: "start" };
        if (this.#take("Z") || this.#take("z")) return { kind: "end" };
        return { kind: "set", set: this.#escape(false) };
      case "*":
      case "+":
      case "?":
        throw new UnsupportedPattern(`nothing to repeat before ${char}`);
      case "{":
        // Any other brace stands for itself.
        if (this.#looksAtCount()) throw new UnsupportedPattern("nothing to repeat before {");
        return { kind: "set", set: single(char) };
      default:
        return { kind: "set", set: single(char) };
    }
  }

  /** Whether a quantifier goes on behind its brace. */
  #looksAtCount(): boolean {
    return /^\d+(,\d*)?\}/.test(this.#chars.slice(this.#at, this.#at + 24).join(""));
  }

  #group(): RegexNode {
    if (this.#take("?<") || this.#take("?P<")) {
      const next = this.#peek();
      if (next === "=" || next === "!") throw new UnsupportedPattern("look-behind");
      while (this.#next() !== ">");
    } else if (this.#take("?=")) {
      return { kind: "look", item: this.#inside(), negative: false };
    } else if (this.#take("?!")) {
      return { kind: "look", item: this.#inside(), negative: true };
    } else if (this.#take("?") && !this.#take(":")) throw new UnsupportedPattern("group modifiers");
    return this.#inside();
  }

  #inside(): RegexNode {
    const inside = this.#choice();
    if (!this.#take(")")) throw new UnsupportedPattern("a group is not closed");
    return inside;
  }

  #class(): CharSet {
    const start = this.#at;
    const negated = this.#take("^");
    const ranges: (readonly [number, number])[] = [];
    while (!this.#take("]")) {
      const from = this.#classAtom();
      const isRange = this.#peek() === "-" && this.#chars[this.#at + 1] !== "]";
      if (!isRange || !isSingle(from)) {
        ranges.push(...from);
        continue;
      }
      this.#at += 1;
      const to = this.#classAtom();
      const first = from[0]?.[0] ?? 0;
      const last = to[0]?.[0] ?? 0;
      if (!isSingle(to) || last < first) throw new UnsupportedPattern("a bad character range");
      ranges.push([first, last]);
    }
    const source = this.#chars.slice(start, this.#at).join("");
    // The same set each time, so that what is made of it is found again.
    const set = CLASSES.get(negated ? source.slice(1) : source, () => charSet(...ranges));
    return negated ? complement(set) : set;
  }

  #classAtom(): CharSet {
    const char = this.#next();
    return char === "\\" ? this.#escape(true) : single(char);
  }

  #escape(inClass: boolean): CharSet {
    const char = this.#next();
    const known = CLASS_ESCAPES.get(char);
    if (known !== undefined) return known;
    const control = CONTROL_ESCAPES.get(char);
    if (control !== undefined) return charSet([control, control]);
    if (char === "p" || char === "P") return this.#property(char === "P");
    if (char === "b" && inClass) return charSet([0x08, 0x08]);
    if (char === "x") return this.#hex(2);
    if (char === "u") return this.#unicode();
    if (char === "c") {
      const code = (this.#next().codePointAt(0) ?? 0) % 32;
      return charSet([code, code]);
    }
    if (/[a-zA-Z0-9]/.test(char)) throw new UnsupportedPattern(`\\${char}`);
    return single(char);
  }

  #property(negated: boolean): CharSet {
    if (!this.#take("{")) throw new UnsupportedPattern("\\p without a property");
    let name = "";
    for (let char = this.#next(); char !== "}"; char = this.#next()) name += char;
    const set = unicodeProperty(name);
    if (set === null) throw new UnsupportedPattern(`the property ${name.slice(0, 20)}`);
    return negated ? complement(set) : set;
  }

  #unicode(): CharSet {
    if (!this.#take("{")) {
      const high = this.#hex(4);
      const code = high[0]?.[0] ?? 0;
      if (code < 0xd800 || code > 0xdbff || !this.#take("\\u")) return high;
      const low = this.#hex(4)[0]?.[0] ?? 0;
      const joined = (code - 0xd800) * 0x400 + (low - 0xdc00) + 0x10000;
      return charSet([joined, joined]);
    }
    let digits = "";
    for (let char = this.#next(); char !== "}"; char = this.#next()) digits += char;
    return codePoint(digits);
  }

  #hex(length: number): CharSet {
    let digits = "";
    for (let index = 0; index < length; index++) digits += this.#next();
    return codePoint(digits);
  }

  #quantified(item: RegexNode): RegexNode {
    const char = this.#peek();
    let range: { min: number; max: number | null } | null = null;
    if (char === "*") range = { min: 0, max: null };
    else if (char === "+") range = { min: 1, max: null };
    else if (char === "?") range = { min: 0, max: 1 };
    if (range !== null) this.#at += 1;
    else if (char === "{") range = this.#braces();
    if (range === null) return item;
    if (item.kind === "start" || item.kind === "end" || item.kind === "look") {
      throw new UnsupportedPattern("a repeated anchor");
    }
    this.#take("?");
    return { kind: "repeat", item, ...range };
  }

  #braces(): { min: number; max: number | null } {
    this.#at += 1;
    let text = "";
    for (let char = this.#next(); char !== "}"; char = this.#next()) text += char;
    const match = /^(\d{1,9})(,(\d{1,9})?)?$/.exec(text);
    if (match === null) throw new UnsupportedPattern(`the quantifier {${text.slice(0, 20)}}`);
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] === undefined ? null : Number(match[3]);
    if (max !== null && max < min) throw new UnsupportedPattern("a quantifier out of order");
    if (min > MAX_COUNT || (max !== null && max > MAX_COUNT)) {
      throw new UnsupportedPattern("a quantifier above 100,000");
    }
    return { min, max };
  }
}

function single(char: string): CharSet {
  const code = char.codePointAt(0) ?? 0;
  return charSet([code, code]);
}

function isSingle(set: CharSet): boolean {
  return set.length === 1 && set[0]?.[0] === set[0]?.[1];
}

function codePoint(digits: string): CharSet {
  if (!/^[0-9a-fA-F]{1,6}$/.test(digits)) throw new UnsupportedPattern("a bad character escape");
  const code = Number.parseInt(digits, 16);
  return charSet([code, code]);
}
