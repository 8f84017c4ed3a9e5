import { choice, sequence, type GrammarBuilder } from "./gbnf.ts";

/** Digits of an integer without an upper bound. */
const MAX_DIGITS = 16;
/** Largest part of a divisor besides its factors 2 and 5: states per digit position. */
const MAX_CYCLE = 32;
const MAX_STEP = 1000n;

export interface IntegerRange {
  /** Inclusive; null = none. */
  min: bigint | null;
  max: bigint | null;
  /** Every value is a multiple of it; 1 = any. */
  step: bigint;
}

/** Whether `integerGrammar` can hold to this divisor in a grammar of sensible size. */
export function isSmallStep(step: bigint): boolean {
  let cycle = step;
  while (cycle % 2n === 0n) cycle /= 2n;
  while (cycle % 5n === 0n) cycle /= 5n;
  return step <= MAX_STEP && cycle <= BigInt(MAX_CYCLE);
}

/**
 * Exactly the integers of a range, digit by digit; at most 16 digits where a side is open.
 * @returns null when the range is empty.
 */
export function integerGrammar(builder: GrammarBuilder, range: IntegerRange): string | null {
  const { min, max, step } = range;
  const options: string[] = [];
  if (min === null || min < 0n) {
    const least = max !== null && max < 0n ? -max : 1n;
    const magnitude = magnitudes(builder, least, min === null ? null : -min, step);
    if (magnitude !== null) options.push(`"-" ${magnitude}`);
  }
  if (max === null || max >= 0n) {
    const magnitude = magnitudes(builder, min !== null && min > 0n ? min : 0n, max, step);
    if (magnitude !== null) options.push(magnitude);
  }
  return options.length === 0 ? null : builder.add("int", options.join(" | "));
}

/** Decimal numbers without sign from `low` to `high`, both inclusive. */
function magnitudes(
  builder: GrammarBuilder,
  low: bigint,
  high: bigint | null,
  step: bigint,
): string | null {
  const lowText = low.toString();
  const highText = high === null || high >= 10n ** BigInt(MAX_DIGITS) ? null : high.toString();
  if (high !== null && low > high) return null;
  const longest = highText === null ? Math.max(MAX_DIGITS, lowText.length) : highText.length;
  const digits = new DigitRules(builder, Number(step));
  const options: string[] = [];
  for (let length = lowText.length; length <= longest; length++) {
    if (step === 1n && highText === null && length > lowText.length) {
      options.push(`[1-9] [0-9]{${length - 1},${longest - 1}}`);
      break;
    }
    const from = length === lowText.length ? lowText : `1${"0".repeat(length - 1)}`;
    const to = length === highText?.length ? highText : null;
    const option = digits.tail(length, 0, from, to);
    if (option !== null) options.push(option);
  }
  return options.length === 0 ? null : builder.add("digits", options.join(" | "));
}

/** Digit strings of fixed length between two bounds, with a remainder carried along. */
class DigitRules {
  readonly #builder: GrammarBuilder;
  readonly #step: number;
  readonly #memo = new Map<string, string | null>();

  constructor(builder: GrammarBuilder, step: number) {
    this.#builder = builder;
    this.#step = step;
  }

  /**
   * The last `length` digits of a number whose earlier digits leave `remainder`.
   * `from` and `to` bound them; null = that side is free.
   */
  tail(length: number, remainder: number, from: string | null, to: string | null): string | null {
    if (length === 0) return remainder === 0 ? "" : null;
    const low = from === null || /^0*$/.test(from) ? null : from;
    const high = to === null || /^9*$/.test(to) ? null : to;
    const free = low === null && high === null;
    if (free && this.#step === 1) return length === 1 ? "[0-9]" : `[0-9]{${length}}`;
    const key = `${length} ${remainder} ${low} ${high}`;
    const known = this.#memo.get(key);
    if (known !== undefined) return known;
    this.#builder.spend(1);
    const rule = this.#branch(length, remainder, low, high);
    this.#memo.set(key, rule);
    return rule;
  }

  #branch(
    length: number,
    remainder: number,
    low: string | null,
    high: string | null,
  ): string | null {
    const first = low === null ? 0 : Number(low[0]);
    const last = high === null ? 9 : Number(high[0]);
    const digitsByTail = new Map<string, string>();
    for (let digit = first; digit <= last; digit++) {
      const tail = this.tail(
        length - 1,
        (remainder * 10 + digit) % this.#step,
        low !== null && digit === first ? low.slice(1) : null,
        high !== null && digit === last ? high.slice(1) : null,
      );
      if (tail !== null) digitsByTail.set(tail, (digitsByTail.get(tail) ?? "") + digit);
    }
    const options = [...digitsByTail].map(([tail, digits]) => sequence(`[${digits}]`, tail));
    if (options.length === 0) return null;
    if (options.length === 1) return choice(options);
    return this.#builder.add("digits", options.join(" | "));
  }
}
