import { MAX_GRAMMAR_BYTES } from "../../lib/limits.ts";
import { RequestBudgets, WorkBudget } from "./work-budget.ts";

/** llama.cpp refuses a repetition of more rules than this. Source: llama-grammar.cpp. */
export const MAX_REPETITIONS = 2000;
/** Rules that count the characters of long texts up to a marker, for one grammar: at most 300 KB. */
const PLACES = 4200;
/** Rules for the places in texts of several patterns, formats and lengths: about 80 KB. */
const STATES = 2000;
/** Rules and rule repetitions of one grammar. */
const MAX_WORK = 200_000;

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** A GBNF string that matches exactly `text`. */
export function literal(text: string): string {
  let escaped = "";
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    escaped += ESCAPES[char] ?? (code < 0x20 || code === 0x7f ? hexEscape(code) : char);
  }
  return `"${escaped}"`;
}

/** A GBNF string that matches `value` as compact JSON. */
export function jsonLiteral(value: unknown): string {
  return literal(JSON.stringify(value));
}

/** One character inside a GBNF class; every character that could mean something is escaped. */
export function classChar(code: number): string {
  const char = String.fromCodePoint(code);
  if (/^[a-zA-Z0-9 !#$%&'()*+,./:;<=>?@_`{|}~]$/.test(char)) return char;
  return hexEscape(code);
}

function hexEscape(code: number): string {
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, "0")}`;
  if (code <= 0xffff) return `\\u${code.toString(16).padStart(4, "0")}`;
  return `\\U${code.toString(16).padStart(8, "0")}`;
}

/** Alternatives as one expression that can stand inside a sequence. */
export function choice(options: readonly string[]): string {
  const [only, ...others] = options;
  if (only !== undefined && others.length === 0) return only;
  return `( ${options.map((option) => (option === "" ? '""' : option)).join(" | ")} )`;
}

/** The parts that are not empty, one after the other. */
export function sequence(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join(" ");
}

/**
 * Collects the rules of one grammar and bounds its size and the work spent on it. Rules with equal
 * bodies share one name, so that a schema repeated a hundred times costs its text once.
 */
export class GrammarBuilder {
  /** For what its schemas cost besides. */
  readonly budgets: RequestBudgets;
  /** Rules that may count the characters of long texts. */
  readonly places = new WorkBudget(PLACES);
  /** Rules for the places in texts that keep several patterns, formats and lengths. */
  readonly states = new WorkBudget(STATES);
  readonly #rules = new Map<string, string>();
  readonly #names = new Map<string, string>();
  readonly #tooLarge: (message: string) => Error;
  readonly #maxBytes: number;
  #isNear = false;
  #bytes = 0;
  #work = 0;
  #serial = 0;

  /**
   * @param tooLarge makes the error thrown when a limit is exceeded.
   * @param budgets for what its schemas cost besides; shared where a request has several grammars.
   */
  constructor(
    tooLarge: (message: string) => Error,
    maxBytes: number = MAX_GRAMMAR_BYTES,
    budgets: RequestBudgets = new RequestBudgets(),
  ) {
    this.budgets = budgets;
    this.#tooLarge = tooLarge;
    this.#maxBytes = maxBytes;
  }

  /** Whether some text is counted only nearly, so that an answer may be longer or shorter than asked. */
  get isNear(): boolean {
    return this.#isNear;
  }

  countNearly(): void {
    this.#isNear = true;
  }

  /** Counts work that the grammar's size does not show. @throws the error of the constructor. */
  spend(amount: number): void {
    this.#work += amount;
    if (this.#work > MAX_WORK) {
      throw this.#tooLarge("is too complex: it needs more than 200,000 grammar elements");
    }
  }

  /** The name of a rule with this body; `hint` makes it readable. */
  add(hint: string, body: string): string {
    const known = this.#names.get(body);
    if (known !== undefined) return known;
    const name = this.reserve(hint);
    this.define(name, body);
    this.#names.set(body, name);
    return name;
  }

  /** A fresh name whose body is given later to `define`: for rules that refer to themselves. */
  reserve(hint: string): string {
    const base = hint.replace(/[^a-zA-Z0-9]+/g, "-").slice(0, 24);
    this.#serial += 1;
    return `${base}-${this.#serial.toString(36)}`;
  }

  define(name: string, body: string): void {
    this.spend(1);
    this.#bytes += name.length + body.length + 6;
    if (this.#bytes > this.#maxBytes) {
      throw this.#tooLarge(`is too large: its grammar exceeds ${this.#maxBytes / 1024} KiB`);
    }
    this.#rules.set(name, body === "" ? '""' : body);
  }

  has(name: string): boolean {
    return this.#rules.has(name);
  }

  /** The whole grammar with this body of `root`. */
  text(root: string): string {
    this.define("root", root);
    return [...this.#rules].map(([name, body]) => `${name} ::= ${body}\n`).join("");
  }
}
