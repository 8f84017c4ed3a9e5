import { decimalGrammar, type Bound } from "./decimal-grammar.ts";
import { integerGrammar, isSmallStep } from "./integer-grammar.ts";
import { jsonRule } from "./json-rules.ts";
import type { Emitter } from "./schema-emit.ts";
import type { NumberRules } from "./schema-shape.ts";

/** Multiples in a bounded range that are simply listed when the divisor is awkward. */
const MAX_LISTED = 1000n;

/** A number that keeps `rules`, whole when `integersOnly`; null when there is none. */
export function numberGrammar(
  emitter: Emitter,
  rules: NumberRules,
  integersOnly: boolean,
): string | null {
  const steps = rules.steps.map(({ schema }) => Number(schema));
  // 1 / 0.01 is whole: every integer is a multiple.
  const relevant = steps.filter((step) => !(integersOnly && Number.isInteger(1 / step)));
  if (relevant.some((step) => step <= 0)) return null;
  if (integersOnly || (relevant.length > 0 && relevant.every(Number.isInteger))) {
    return integers(emitter, rules, relevant);
  }
  const places = relevant.map((step) => decimalPlaces(step));
  const known = places.filter((place) => place !== null);
  if (known.length < places.length) reportAll(emitter, rules.steps);
  if (rules.min === null && rules.max === null && known.length === 0) {
    return jsonRule(emitter.builder, "number");
  }
  const most = known.length === 0 ? null : Math.min(...known);
  const rule = decimalGrammar(emitter.builder, rules.min, rules.max, most);
  if (rule !== null || isEmpty(rules)) return rule;
  reportAll(emitter, rules.pointers);
  return jsonRule(emitter.builder, "number");
}

function integers(emitter: Emitter, rules: NumberRules, steps: readonly number[]): string | null {
  const min = rules.min === null ? null : lowest(rules.min);
  const max = rules.max === null ? null : highest(rules.max);
  const whole = steps.filter((step) => Number.isSafeInteger(step)).map(BigInt);
  const step = whole.reduce((a, b) => (a * b) / commonDivisor(a, b), 1n);
  if (whole.length < steps.length) reportAll(emitter, rules.steps);
  if (min === null && max === null && step === 1n) return jsonRule(emitter.builder, "integer");
  if (isSmallStep(step)) return integerGrammar(emitter.builder, { min, max, step });
  if (min !== null && max !== null && (max - min) / step <= MAX_LISTED) {
    return listed(emitter, min, max, step);
  }
  reportAll(emitter, rules.steps);
  return integerGrammar(emitter.builder, { min, max, step: 1n });
}

function listed(emitter: Emitter, min: bigint, max: bigint, step: bigint): string | null {
  const remainder = ((min % step) + step) % step;
  const values: string[] = [];
  for (let value = remainder === 0n ? min : min + step - remainder; value <= max; value += step) {
    values.push(`"${value}"`);
  }
  return values.length === 0 ? null : emitter.builder.add("multiple", values.join(" | "));
}

function lowest(bound: Bound): bigint {
  return bound.exclusive ? BigInt(Math.floor(bound.value)) + 1n : BigInt(Math.ceil(bound.value));
}

function highest(bound: Bound): bigint {
  return bound.exclusive ? BigInt(Math.ceil(bound.value)) - 1n : BigInt(Math.floor(bound.value));
}

function commonDivisor(a: bigint, b: bigint): bigint {
  return b === 0n ? a : commonDivisor(b, a % b);
}

/** 2 for 0.01: multiples of it are the numbers with at most 2 places. Null for any other divisor. */
function decimalPlaces(step: number): number | null {
  const places = Math.round(-Math.log10(step));
  return places >= 0 && places <= 15 && Number(`1e-${places}`) === step ? places : null;
}

function isEmpty({ min, max }: NumberRules): boolean {
  if (min === null || max === null) return false;
  return min.value > max.value || (min.value === max.value && (min.exclusive || max.exclusive));
}

function reportAll(emitter: Emitter, pointers: NumberRules["steps"]): void {
  for (const located of pointers) emitter.report(located);
}
