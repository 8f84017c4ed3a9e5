import { charSet, classOf } from "./char-set.ts";
import { countedUntil } from "./counted-text.ts";
import { literal, sequence, type GrammarBuilder } from "./gbnf.ts";
import type { TextLength } from "./until-grammar.ts";

/** What JSON allows around a value. */
export const BLANKS = " \t\r\n";

/** Longest text whose blanks at the beginning are counted. */
const COUNTED_BLANKS = 16;

/** A text that is being written, up to `close`. */
interface Writing {
  close: string;
  length: TextLength;
  /** What else `rest` depends on: texts of one kind share their rules. */
  kind: string;
  /** Text of this length that begins with no blank, and with none of `except`. */
  rest: (length: TextLength, except: string) => string[];
}

/**
 * Text with any blanks in front. In long texts with bounds the blanks are not counted, so that such
 * a text may be longer or shorter than asked: the builder is told. Null when no text is that long.
 */
export function leadingBlanks(builder: GrammarBuilder, writing: Writing): string | null {
  const { min, max } = writing.length;
  const levels = (max ?? min) <= COUNTED_BLANKS ? COUNTED_BLANKS + 1 : 1;
  return new LeadingBlanks(builder, writing).rule(writing.length, levels, false);
}

class LeadingBlanks {
  readonly #builder: GrammarBuilder;
  readonly #writing: Writing;
  /** The end begins with this blank; "" = with none. */
  readonly #closing: string;
  readonly #plain: string;
  readonly #prefix: string;
  /** Places from which the text cannot end, and those that are being written. */
  readonly #known = new Map<string, string | null>();

  constructor(builder: GrammarBuilder, writing: Writing) {
    this.#builder = builder;
    this.#writing = writing;
    const { close, kind } = writing;
    // Unlike other rules with hints of their own, so that no name occurs twice.
    this.#prefix = builder.add("blanks", `( ${literal(close)} | ${literal(kind)} )`);
    const first = close.charAt(0);
    this.#closing = BLANKS.includes(first) ? first : "";
    const plain = Array.from(BLANKS).filter((blank) => blank !== this.#closing);
    const codes = plain.map((blank) => blank.charCodeAt(0));
    this.#plain = classOf(charSet(...codes.map((code) => [code, code] as const)));
  }

  /**
   * @param levels How many more blanks are counted.
   * @param isPending The last blank may begin the end, and counts as nothing yet.
   */
  rule(length: TextLength, levels: number, isPending: boolean): string | null {
    const isFree = length.min === 0 && length.max === null;
    if (!isFree && levels <= 0) {
      this.#builder.countNearly();
      return this.#written({ min: 0, max: length.max }, null, isPending);
    }
    return this.#written(length, isFree ? null : levels, isPending);
  }

  /** @param levels null = blanks are not counted, so that a rule goes on with itself. */
  #written(length: TextLength, levels: number | null, isPending: boolean): string | null {
    const range = `${length.min}to${length.max ?? ""}`;
    const name = `${this.#prefix}-${range}${levels === null ? "" : "-n"}${isPending ? "-1" : ""}`;
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    if (this.#builder.has(name)) return name;
    this.#known.set(name, name);
    const options = this.#options(length, levels, isPending);
    if (options.length > 0) this.#builder.define(name, options.join(" | "));
    else this.#known.set(name, null);
    return options.length === 0 ? null : name;
  }

  #options(length: TextLength, levels: number | null, isPending: boolean): string[] {
    const { close, rest } = this.#writing;
    const closing = this.#closing;
    const options: string[] = [];
    const goOn = (blank: string, read: number, pending: boolean): void => {
      const left = levels === null ? length : remaining(length, read);
      if (left === null) return;
      const next =
        levels === null
          ? this.#written(left, null, pending)
          : this.rule(left, levels - read, pending);
      if (next !== null) options.push(sequence(blank, next));
    };
    goOn(this.#plain, isPending ? 2 : 1, false);
    if (closing !== "") goOn(literal(closing), isPending ? 1 : 0, true);
    if (!isPending) return [...options, ...rest(length, "")];
    const left = levels === null ? length : remaining(length, 1);
    if (left !== null) options.push(...rest(left, close.charAt(1)));
    // The end, or what begins as the end does.
    const begun = countedUntil(this.#builder, close, length, 2);
    if (begun !== null) options.push(sequence(literal(close.charAt(1)), begun));
    return options;
  }
}

/** What may follow so many characters; null when that is nothing. */
export function remaining({ min, max }: TextLength, written: number): TextLength | null {
  if (max !== null && written > max) return null;
  return { min: Math.max(0, min - written), max: max === null ? null : max - written };
}
