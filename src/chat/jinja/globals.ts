import { Arguments } from "./call-arguments.ts";
import { pairs } from "./collections.ts";
import {
  Callable,
  type Dict,
  isDict,
  Namespace,
  type NativeFunction,
  type Value,
} from "./value.ts";
import { str } from "./python-text.ts";
import { strftime } from "./strftime.ts";

/** What a template raised on purpose: its message is for the caller who sent the conversation. */
class RaisedByTemplate extends Error {
  override readonly name = "RaisedByTemplate";
}

/** Longest range, as in Jinja's sandbox. */
const MAX_RANGE = 100_000;

const range: NativeFunction = (positional, keywords) => {
  const args = new Arguments(positional, keywords);
  const isShort = positional.length < 2;
  const start = isShort ? 0 : args.integer(0, "start");
  const stop = args.integer(isShort ? 0 : 1, "stop");
  const step = args.integer(2, "step", 1);
  if (step === 0) throw new Error("range() arg 3 must not be zero");
  const count = Math.max(0, Math.ceil((stop - start) / step));
  if (count > MAX_RANGE) throw new Error(`range() of more than ${MAX_RANGE} items`);
  return Array.from({ length: count }, (_, index) => start + index * step);
};

const namespace: NativeFunction = ([source], keywords) => {
  const attributes = new Map<string, Value>();
  const given = isDict(source) ? [...source] : source === undefined ? [] : pairs(source);
  for (const [key, value] of given) attributes.set(str(key), value);
  for (const [key, value] of keywords) attributes.set(key, value);
  return new Namespace(attributes);
};

const dict: NativeFunction = ([source], keywords) => {
  const given = isDict(source) ? [...source] : source === undefined ? [] : pairs(source);
  const result: Dict = new Map(given);
  for (const [key, value] of keywords) result.set(key, value);
  return result;
};

const FUNCTIONS: readonly (readonly [string, NativeFunction])[] = [
  ["range", range],
  ["namespace", namespace],
  ["dict", dict],
  [
    "raise_exception",
    ([message]) => {
      throw new RaisedByTemplate(str(message));
    },
  ],
  ["strftime_now", ([format], _, run) => strftime(run.now, str(format))],
];

/** Names that every template knows. */
export const GLOBALS: readonly (readonly [string, Value])[] = [
  ["true", true],
  ["false", false],
  ["none", null],
  ["True", true],
  ["False", false],
  ["None", null],
  ...FUNCTIONS.map(([name, call]): [string, Value] => [name, new Callable(name, call)]),
];
