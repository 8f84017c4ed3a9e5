const WORD = /[a-zA-Z0-9-]/;

const ESCAPE = /^\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[trn\\"[\]-])/;

const CLASS = /\[(?:[^\\\]]|\\[^])*\]/y;

const NAMED_ESCAPES: ReadonlyMap<string, number> = new Map([
  ["t", 9],
  ["r", 13],
  ["n", 10],
]);

/** What is wrong with a grammar, without its line. */
export class GbnfError extends Error {}

/** A place in a text of GBNF, and its smallest parts. Source: llama-grammar.cpp. */
export class GbnfReader {
  readonly #text: string;
  #at = 0;
  #lineAt = 0;
  #lineNumber = 1;

  constructor(text: string) {
    this.#text = text;
  }

  /** Index of the next character. */
  get at(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** The next UTF-16 unit; "" at the end. */
  get char(): string {
    return this.#text[this.#at] ?? "";
  }

  get isWord(): boolean {
    return WORD.test(this.char);
  }

  startsWith(text: string): boolean {
    return this.#text.startsWith(text, this.#at);
  }

  skip(units: number): void {
    this.#at += units;
  }

  /** Back to a place that an error is about. */
  rewind(at: number): void {
    this.#at = at;
  }

  /** Behind the next `char`. @returns whether there is one. */
  skipPast(char: string): boolean {
    const found = this.#text.indexOf(char, this.#at);
    if (found < 0) return false;
    this.#at = found + char.length;
    return true;
  }

  /** The current line, counted on from the last call. */
  line(): number {
    for (; this.#lineAt < this.#at; this.#lineAt++) {
      if (this.#text[this.#lineAt] === "\n") this.#lineNumber += 1;
    }
    return this.#lineNumber;
  }

  /** Past blanks and comments. */
  space(newlines: boolean): void {
    for (;;) {
      const char = this.char;
      if (char === "#") {
        while (this.#at < this.#text.length && !/[\r\n]/.test(this.char)) this.#at += 1;
      } else if (char === " " || char === "\t" || (newlines && (char === "\n" || char === "\r"))) {
        this.#at += 1;
      } else return;
    }
  }

  /** A rule's name. @throws GbnfError when there is none. */
  name(): string {
    const start = this.#at;
    while (this.isWord) this.#at += 1;
    if (this.#at === start) throw new GbnfError(`needs a rule name at ${this.here()}`);
    return this.#text.slice(start, this.#at);
  }

  /** What stands here, for an error. */
  here(): string {
    const text = this.#text.slice(this.#at, this.#at + 20).split("\n")[0] ?? "";
    return text === "" ? "the end of the line" : JSON.stringify(text);
  }

  /** The class that begins here, with its brackets; "" when it is not closed. */
  classSource(): string {
    CLASS.lastIndex = this.#at;
    return CLASS.exec(this.#text)?.[0] ?? "";
  }

  /**
   * The code point of a character as it stands in a string or class that began at `start`.
   * @throws GbnfError when that is not closed.
   */
  codePoint(where: string, start: number): number {
    const char = this.char;
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
    if (escape === null) throw new GbnfError(`has an unknown escape at ${this.here()}`);
    this.#at += escape[0].length;
    const kind = rest.charAt(1);
    return escape[0].length > 2
      ? Number.parseInt(escape[0].slice(2), 16)
      : (NAMED_ESCAPES.get(kind) ?? kind.charCodeAt(0));
  }

  /** @throws GbnfError when there is no number. */
  integer(nested: boolean): number {
    const start = this.#at;
    while (/[0-9]/.test(this.char)) this.#at += 1;
    const digits = this.#text.slice(start, this.#at);
    if (digits === "" || digits.length > 9) {
      throw new GbnfError(`needs a number at ${this.here()}`);
    }
    this.space(nested);
    return Number(digits);
  }
}
