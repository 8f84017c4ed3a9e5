import { integerGrammar } from "./integer-grammar.ts";
import { literal, sequence, type GrammarBuilder } from "./gbnf.ts";

/** Decimal digits that a double always keeps apart: bounds hold after parsing, too. */
const EXACT_DIGITS = 15;

export interface Bound {
  value: number;
  exclusive: boolean;
}

/** A bound of a magnitude, scaled to an integer. */
interface ScaledBound {
  value: bigint;
  exclusive: boolean;
}

/**
 * Decimal numbers between two bounds, without exponents, with as many digits as stay exact and at
 * most `mostPlaces` of them after the point.
 * @returns null when nothing with that many digits lies between them, or a bound is beyond 10^15.
 */
export function decimalGrammar(
  builder: GrammarBuilder,
  min: Bound | null,
  max: Bound | null,
  mostPlaces: number | null,
): string | null {
  const options: string[] = [];
  if (min === null || min.value < 0) {
    const least = max !== null && max.value < 0 ? negated(max) : { value: 0, exclusive: true };
    const magnitude = magnitudes(builder, least, min === null ? null : negated(min), mostPlaces);
    if (magnitude !== null) options.push(`"-" ${magnitude}`);
  }
  if (max === null || max.value >= 0) {
    const least = min !== null && min.value >= 0 ? min : { value: 0, exclusive: false };
    const magnitude = magnitudes(builder, least, max, mostPlaces);
    if (magnitude !== null) options.push(magnitude);
  }
  return options.length === 0 ? null : builder.add("num", options.join(" | "));
}

function negated(bound: Bound): Bound {
  return { value: -bound.value, exclusive: bound.exclusive };
}

function magnitudes(
  builder: GrammarBuilder,
  min: Bound,
  max: Bound | null,
  mostPlaces: number | null,
): string | null {
  const limit = 10 ** EXACT_DIGITS;
  if (min.value >= limit) return null;
  const top = max === null || max.value >= limit ? null : max;
  const exactPlaces = EXACT_DIGITS - Math.trunc((top ?? min).value).toString().length;
  const places = Math.min(exactPlaces, mostPlaces ?? exactPlaces);
  const low = scaled(min, places, "up");
  const high = top === null ? null : scaled(top, places, "down");
  if (
    high !== null &&
    (low.value > high.value || (low.value === high.value && (low.exclusive || high.exclusive)))
  ) {
    return null;
  }
  const unit = 10n ** BigInt(places);
  const lowInt = low.value / unit;
  const highInt = high === null ? null : high.value / unit;
  const fractions = new FractionRules(builder, places, low.exclusive, high?.exclusive ?? false);
  const lowFraction = fractionDigits(low.value % unit, places);
  const highFraction = high === null ? null : fractionDigits(high.value % unit, places);
  if (lowInt === highInt) {
    const fraction = fractions.part(lowFraction, highFraction);
    return fraction === null ? null : sequence(literal(lowInt.toString()), fraction);
  }
  const options: string[] = [];
  const atLow = fractions.part(lowFraction, null);
  if (atLow !== null) options.push(sequence(literal(lowInt.toString()), atLow));
  const between = integerGrammar(builder, {
    min: lowInt + 1n,
    max: highInt === null ? 10n ** BigInt(EXACT_DIGITS) - 1n : highInt - 1n,
    step: 1n,
  });
  if (between !== null) options.push(sequence(between, fractions.part(null, null) ?? ""));
  const atHigh = highFraction === null ? null : fractions.part(null, highFraction);
  if (atHigh !== null) options.push(sequence(literal(String(highInt)), atHigh));
  return options.length === 0 ? null : builder.add("decimal", options.join(" | "));
}

/** `bound` times 10^places, rounded towards the inside of the range; then no longer exclusive. */
function scaled(bound: Bound, places: number, inside: "up" | "down"): ScaledBound {
  const [mantissa = "0", exponent = "0"] = bound.value.toString().split("e");
  const [whole = "0", fraction = ""] = mantissa.split(".");
  const shift = Number(exponent) - fraction.length + places;
  const digits = BigInt(whole + fraction);
  if (shift >= 0) return { value: digits * 10n ** BigInt(shift), exclusive: bound.exclusive };
  const divisor = 10n ** BigInt(-shift);
  const exact = digits % divisor === 0n;
  const value = digits / divisor + (exact || inside === "down" ? 0n : 1n);
  return { value, exclusive: exact && bound.exclusive };
}

function fractionDigits(value: bigint, places: number): string {
  return value
    .toString()
    .padStart(places, "0")
    .slice(-places || undefined)
    .replace(/0+$/, "");
}

/** What may follow the digits before the decimal point. */
class FractionRules {
  readonly #builder: GrammarBuilder;
  readonly #places: number;
  readonly #lowExclusive: boolean;
  readonly #highExclusive: boolean;

  constructor(
    builder: GrammarBuilder,
    places: number,
    lowExclusive: boolean,
    highExclusive: boolean,
  ) {
    this.#builder = builder;
    this.#places = places;
    this.#lowExclusive = lowExclusive;
    this.#highExclusive = highExclusive;
  }

  /**
   * A fraction with its point, or nothing where that is in range. `low` and `high` are the digits
   * of the bounds without trailing zeros; null = that side is free.
   */
  part(low: string | null, high: string | null): string | null {
    const digits = this.#places === 0 ? null : this.#digits(0, low, high);
    if (!this.#mayEnd(low, high)) return digits === null ? null : `"." ${digits}`;
    return digits === null ? "" : `( "." ${digits} )?`;
  }

  /** Whether the number may stop here: the missing digits are zeros. */
  #mayEnd(low: string | null, high: string | null): boolean {
    const aboveLow = low === null || (low === "" && !this.#lowExclusive);
    const belowHigh = high === null || high !== "" || !this.#highExclusive;
    return aboveLow && belowHigh;
  }

  /** One digit or more from position `index` on. */
  #digits(index: number, low: string | null, high: string | null): string | null {
    const left = this.#places - index;
    if (left <= 0) return null;
    const tightLow = low === "" && !this.#lowExclusive ? null : low;
    if (tightLow === null && high === null) return `[0-9]{1,${left}}`;
    if (high === "" && this.#highExclusive) return null;
    this.#builder.spend(1);
    const first = tightLow === null ? 0 : Number(tightLow[0] ?? "0");
    const last = high === null ? 9 : Number(high[0] ?? "0");
    const digitsByTail = new Map<string, string>();
    for (let digit = first; digit <= last; digit++) {
      const tail = this.#after(
        index + 1,
        tightLow !== null && digit === first ? tightLow.slice(1) : null,
        high !== null && digit === last ? high.slice(1) : null,
      );
      if (tail !== null) digitsByTail.set(tail, (digitsByTail.get(tail) ?? "") + digit);
    }
    const options = [...digitsByTail].map(([tail, digits]) => sequence(`[${digits}]`, tail));
    return options.length === 0 ? null : this.#builder.add("frac", options.join(" | "));
  }

  #after(index: number, low: string | null, high: string | null): string | null {
    const digits = this.#digits(index, low, high);
    if (!this.#mayEnd(low, high)) return digits;
    return digits === null ? "" : `( ${digits} )?`;
  }
}
