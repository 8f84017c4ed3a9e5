import type { RenderRun } from "./render-run.ts";
import {
  equals,
  float,
  isDict,
  isList,
  itemsOf,
  keyOf,
  numberOf,
  Tuple,
  typeName,
  type Value,
  WholeFloat,
} from "./value.ts";
import { formatPercent } from "./python-format.ts";
import { str } from "./python-text.ts";

/** All binary operators but `and` and `or`, which do not always look at their right side. */
export function binary(operator: string, left: Value, right: Value, run: RenderRun): Value {
  switch (operator) {
    case "==":
      return equals(left, right);
    case "!=":
      return !equals(left, right);
    case "in":
      return contains(right, left, run);
    case "not in":
      return !contains(right, left, run);
    case "~":
      return concat(str(left), str(right), run);
    case "<":
      return compare(left, right) < 0;
    case "<=":
      return compare(left, right) <= 0;
    case ">":
      return compare(left, right) > 0;
    case ">=":
      return compare(left, right) >= 0;
    case "+":
      return add(left, right, run);
    case "*":
      return multiply(left, right, run);
    case "%":
      if (typeof left === "string") return formatPercent(left, right, run);
      return arithmetic(operator, left, right);
    default:
      return arithmetic(operator, left, right);
  }
}

function concat(left: string, right: string, run: RenderRun): string {
  run.checkLength(left.length + right.length);
  return left + right;
}

/** `item in container`. */
export function contains(container: Value, item: Value, run: RenderRun): boolean {
  if (typeof container === "string") {
    run.spend(container.length);
    return typeof item === "string" && container.includes(item);
  }
  if (isDict(container)) {
    const isKey = item !== undefined && !isList(item) && !isDict(item);
    return isKey && container.has(keyOf(item));
  }
  if (container === null) throw new Error("argument of type 'NoneType' is not iterable");
  return itemsOf(container).some((other) => equals(other, item));
}

/**
 * The order of two values: negative, zero or positive.
 * @throws Error for types that Python does not order.
 */
export function compare(left: Value, right: Value): number {
  const a = numberOf(left);
  const b = numberOf(right);
  if (a !== null && b !== null) return a - b;
  if (typeof left === "string" && typeof right === "string") return compareText(left, right);
  const isSequence =
    (isList(left) && isList(right)) || (left instanceof Tuple && right instanceof Tuple);
  if (!isSequence) {
    throw new Error(`cannot order '${typeName(left)}' and '${typeName(right)}'`);
  }
  const others = itemsOf(right);
  for (const [index, item] of itemsOf(left).entries()) {
    if (index >= others.length) return 1;
    if (!equals(item, others[index])) return compare(item, others[index]);
  }
  return itemsOf(left).length - others.length;
}

/** By code points, which differs from UTF-16 order beyond 16 bits. */
function compareText(left: string, right: string): number {
  if (left === right) return 0;
  if (!/[\ud800-\udfff]/.test(left + right)) return left < right ? -1 : 1;
  const others = Array.from(right);
  for (const [index, char] of Array.from(left).entries()) {
    const other = others[index];
    if (other === undefined) return 1;
    if (char !== other) return (char.codePointAt(0) ?? 0) - (other.codePointAt(0) ?? 0);
  }
  return -1;
}

/**
 * Python refuses a string plus anything else; templates in the wild do it and other engines
 * answer with text, so absent values count as empty here and others as they print.
 */
function add(left: Value, right: Value, run: RenderRun): Value {
  if (typeof left === "string" || typeof right === "string") {
    return concat(left === null ? "" : str(left), right === null ? "" : str(right), run);
  }
  if (isList(left) && isList(right)) {
    run.checkItems(left.length + right.length);
    return [...left, ...right];
  }
  if (left instanceof Tuple && right instanceof Tuple) {
    run.checkItems(left.items.length + right.items.length);
    return new Tuple([...left.items, ...right.items]);
  }
  return arithmetic("+", left, right);
}

function multiply(left: Value, right: Value, run: RenderRun): Value {
  const [sequence, times] =
    typeof left === "string" || isList(left) ? [left, numberOf(right)] : [right, numberOf(left)];
  if (times !== null && typeof sequence === "string") {
    const count = Math.max(0, times);
    run.checkLength(sequence.length * count);
    run.spend(sequence.length * count);
    return sequence.repeat(count);
  }
  if (times !== null && isList(sequence)) {
    const count = Math.max(0, times);
    run.checkItems(sequence.length * count);
    return Array.from({ length: count }, () => sequence).flat();
  }
  return arithmetic("*", left, right);
}

function arithmetic(operator: string, left: Value, right: Value): Value {
  const a = numberOf(left);
  const b = numberOf(right);
  if (a === null || b === null) {
    const types = `'${typeName(left)}' and '${typeName(right)}'`;
    throw new Error(`unsupported operand type(s) for ${operator}: ${types}`);
  }
  const isFloat = [left, right].some(
    (value) =>
      value instanceof WholeFloat || (typeof value === "number" && !Number.isInteger(value)),
  );
  const result = calculate(operator, a, b);
  const isExact = operator !== "/" && !(operator === "**" && b < 0);
  return isFloat || !isExact ? float(result) : result;
}

function calculate(operator: string, a: number, b: number): number {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "**":
      return power(a, b);
    default:
      if (b === 0) throw new Error("division by zero");
      if (operator === "/") return a / b;
      if (operator === "//") return Math.floor(a / b);
      if (operator === "%") return a - b * Math.floor(a / b);
      throw new Error(`unknown operator ${operator}`);
  }
}

function power(a: number, b: number): number {
  const result = a ** b;
  if (!Number.isFinite(result)) throw new Error("the power is not a finite number");
  return result;
}
