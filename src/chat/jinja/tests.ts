import type { Arguments } from "./call-arguments.ts";
import { compare, contains } from "./operators.ts";
import type { RenderRun } from "./render-run.ts";
import {
  Callable,
  equals,
  isDict,
  isInteger,
  isList,
  numberOf,
  Tuple,
  typeName,
  type Value,
  WholeFloat,
} from "./value.ts";

export type Test = (value: Value, args: Arguments, run: RenderRun) => boolean;

const other = (args: Arguments): Value => args.get(0, "other");
const isEqual: Test = (value, args) => equals(value, other(args));
const isUnequal: Test = (value, args) => !equals(value, other(args));
const isGreater: Test = (value, args) => compare(value, other(args)) > 0;
const isLess: Test = (value, args) => compare(value, other(args)) < 0;
const isAtLeast: Test = (value, args) => compare(value, other(args)) >= 0;
const isAtMost: Test = (value, args) => compare(value, other(args)) <= 0;

/** What may follow `is`, and what `select` and its kin take by name. */
export const TESTS: ReadonlyMap<string, Test> = new Map<string, Test>([
  ["defined", (value) => value !== undefined],
  ["undefined", (value) => value === undefined],
  ["none", (value) => value === null],
  ["boolean", (value) => typeof value === "boolean"],
  ["true", (value) => value === true],
  ["false", (value) => value === false],
  ["string", (value) => typeof value === "string"],
  ["number", (value) => numberOf(value) !== null],
  ["integer", (value) => isInteger(value)],
  ["float", (value) => numberOf(value) !== null && !isInteger(value) && typeof value !== "boolean"],
  ["mapping", (value) => isDict(value)],
  ["iterable", (value) => value === undefined || isSequence(value)],
  ["sequence", (value) => value === undefined || isSequence(value)],
  ["callable", (value) => value instanceof Callable],
  ["odd", (value) => wholeNumber(value) % 2 !== 0],
  ["even", (value) => wholeNumber(value) % 2 === 0],
  ["divisibleby", (value, args) => wholeNumber(value) % args.integer(0, "num") === 0],
  ["lower", (value) => typeof value === "string" && value === value.toLowerCase()],
  ["upper", (value) => typeof value === "string" && value === value.toUpperCase()],
  ["escaped", () => false],
  ["in", (value, args, run) => contains(args.get(0, "seq"), value, run)],
  ["sameas", (value, args) => value === other(args)],
  ["eq", isEqual],
  ["equalto", isEqual],
  ["==", isEqual],
  ["ne", isUnequal],
  ["!=", isUnequal],
  ["gt", isGreater],
  ["greaterthan", isGreater],
  [">", isGreater],
  ["lt", isLess],
  ["lessthan", isLess],
  ["<", isLess],
  ["ge", isAtLeast],
  [">=", isAtLeast],
  ["le", isAtMost],
  ["<=", isAtMost],
]);

const isSequence = (value: Value): boolean =>
  typeof value === "string" || isList(value) || value instanceof Tuple || isDict(value);

function wholeNumber(value: Value): number {
  if (isInteger(value)) return value;
  if (value instanceof WholeFloat) return value.value;
  throw new Error(`'${typeName(value)}' is not an integer`);
}
