import { Arguments } from "./call-arguments.ts";
import type {
  BinaryExpression,
  CallExpression,
  Expression,
  Identifier,
  MemberExpression,
  SliceExpression,
} from "./parse.ts";
import { attribute, item, slice } from "./members.ts";
import { binary } from "./operators.ts";
import type { RenderRun } from "./render-run.ts";
import type { Scope } from "./scope.ts";
import { applyFilter } from "./sequence-filters.ts";
import { TESTS } from "./tests.ts";
import { testOf, TUPLE_NAME } from "./tokens.ts";
import {
  Callable,
  type Dict,
  float,
  isDict,
  isTruthy,
  itemsOf,
  keyOf,
  numberOf,
  Tuple,
  typeName,
  type Value,
  WholeFloat,
} from "./value.ts";
import { str } from "./python-text.ts";

/** An expression ready to be evaluated any number of times. */
export type Evaluate = (scope: Scope) => Value;
export type ApplyFilter = (value: Value, scope: Scope) => Value;

/** @throws Error for syntax that templates cannot have. */
export function compileExpression(node: Expression): Evaluate {
  switch (node.type) {
    case "StringLiteral":
    case "IntegerLiteral":
      return () => node.value;
    case "FloatLiteral":
      return () => float(node.value);
    case "Identifier":
      return (scope) => scope.get(node.value);
    case "ArrayLiteral":
      return listOf(node.value);
    case "TupleLiteral":
      return compileTuple(node.value);
    case "ObjectLiteral":
      return compileDict(node.value);
    case "BinaryExpression":
      return compileBinary(node);
    case "UnaryExpression":
      return compileUnary(node.operator.value, compileExpression(node.argument));
    case "FilterExpression":
      return compileFiltered(compileExpression(node.operand), node.filter);
    case "TestExpression":
      return compileTest(compileExpression(node.operand), node.test.value, node.negate, []);
    case "SelectExpression":
      return choose(compileExpression(node.test), compileExpression(node.lhs), () => undefined);
    case "Ternary":
      return choose(
        compileExpression(node.condition),
        compileExpression(node.trueExpr),
        compileExpression(node.falseExpr),
      );
    case "MemberExpression":
      return compileMember(node);
    case "CallExpression":
      return compileCall(node);
    default:
      throw new Error(`unexpected ${node.type}`);
  }
}

function listOf(nodes: readonly Expression[]): (scope: Scope) => Value[] {
  const items = nodes.map(compileExpression);
  return (scope) => items.map((evaluate) => evaluate(scope));
}

function compileTuple(nodes: readonly Expression[]): Evaluate {
  const list = listOf(nodes);
  return (scope) => new Tuple(list(scope));
}

function compileDict(nodes: ReadonlyMap<Expression, Expression>): Evaluate {
  const pairs = [...nodes].map(
    ([key, value]) => [compileExpression(key), compileExpression(value)] as const,
  );
  return (scope) => {
    const dict: Dict = new Map();
    for (const [key, value] of pairs) dict.set(keyOf(key(scope)), value(scope));
    return dict;
  };
}

const choose =
  (test: Evaluate, whenTrue: Evaluate, whenFalse: Evaluate): Evaluate =>
  (scope) =>
    isTruthy(test(scope)) ? whenTrue(scope) : whenFalse(scope);

function compileBinary(node: BinaryExpression): Evaluate {
  const operator = node.operator.value;
  const left = compileExpression(node.left);
  const right = compileExpression(node.right);
  if (operator === "and" || operator === "or") {
    const stopsOn = operator === "or";
    return (scope) => {
      const value = left(scope);
      return isTruthy(value) === stopsOn ? value : right(scope);
    };
  }
  return (scope) => binary(operator, left(scope), right(scope), scope.run);
}

function compileUnary(operator: string, argument: Evaluate): Evaluate {
  if (operator === "not") return (scope) => !isTruthy(argument(scope));
  return (scope) => {
    const value = argument(scope);
    const number = numberOf(value);
    if (number === null)
      throw new Error(`bad operand type for unary ${operator}: '${typeName(value)}'`);
    const signed = operator === "-" ? -number : number;
    return value instanceof WholeFloat ? new WholeFloat(signed) : signed;
  };
}

function compileFiltered(operand: Evaluate, node: Identifier | CallExpression): Evaluate {
  if (node.type === "CallExpression" && node.callee.type === "Identifier") {
    const test = testOf(node.callee.value);
    if (test !== null) return compileTest(operand, test.name, test.isNegated, node.args);
  }
  const filter = compileFilter(node);
  return (scope) => filter(operand(scope), scope);
}

/** A filter with its arguments, to be applied to values. */
export function compileFilter(node: Identifier | CallExpression): ApplyFilter {
  const callee = node.type === "Identifier" ? node : node.callee;
  if (callee.type !== "Identifier") throw new Error("a filter needs a name");
  const read = compileArguments(node.type === "Identifier" ? [] : node.args);
  return (value, scope) => applyFilter(callee.value, value, read(scope), scope.run);
}

function compileTest(
  operand: Evaluate,
  name: string,
  isNegated: boolean,
  args: readonly Expression[],
): Evaluate {
  const test = TESTS.get(name);
  if (test === undefined) throw new Error(`No test named '${name}'.`);
  const read = compileArguments(args);
  return (scope) => test(operand(scope), read(scope), scope.run) !== isNegated;
}

function compileMember({ object, property, computed }: MemberExpression): Evaluate {
  const target = compileExpression(object);
  if (!computed) {
    const isIndex = property.type === "IntegerLiteral";
    if (!isIndex && property.type !== "Identifier") throw new Error("expected an attribute name");
    const name = property.value;
    return typeof name === "number"
      ? (scope) => item(target(scope), name)
      : (scope) => attribute(target(scope), name);
  }
  if (property.type === "SliceExpression") return compileSlice(target, property);
  const key = compileExpression(property);
  return (scope) => item(target(scope), key(scope));
}

function compileSlice(target: Evaluate, { start, stop, step }: SliceExpression): Evaluate {
  const bounds = [start, stop, step].map((node) =>
    node === undefined ? (): Value => null : compileExpression(node),
  );
  return (scope) =>
    slice(
      target(scope),
      bounds.map((bound) => bound(scope)),
      scope.run,
    );
}

function compileCall({ callee, args }: CallExpression): Evaluate {
  if (callee.type === "Identifier" && callee.value === TUPLE_NAME) return compileTuple(args);
  const target = compileExpression(callee);
  const read = compileArguments(args);
  const name = nameOf(callee);
  return (scope) => call(target(scope), name, read(scope), scope.run);
}

/** Calls a macro, method or global. @param name What the template calls it, for the message. */
export function call(target: Value, name: string, args: Arguments, run: RenderRun): Value {
  if (target === undefined) throw new Error(`'${name}' is undefined`);
  if (!(target instanceof Callable))
    throw new Error(`'${typeName(target)}' object is not callable`);
  return target.call(args.positional, args.keywords, run);
}

/** How a callee or object reads in the template, for messages. */
export function nameOf(node: Expression): string {
  if (node.type === "Identifier") return node.value;
  if (node.type !== "MemberExpression") return "value";
  const { property } = node;
  const isName = property.type === "Identifier" || property.type === "StringLiteral";
  return `${nameOf(node.object)}.${isName ? property.value : "..."}`;
}

/** Arguments in Python's order of evaluation: positional ones first. */
export function compileArguments(nodes: readonly Expression[]): (scope: Scope) => Arguments {
  const positional: ((scope: Scope, into: Value[]) => void)[] = [];
  const keywords: ((scope: Scope, into: Map<string, Value>) => void)[] = [];
  for (const node of nodes) {
    if (node.type === "KeywordArgumentExpression") {
      const value = compileExpression(node.value);
      keywords.push((scope, into) => into.set(node.key.value, value(scope)));
    } else if (node.type === "KeywordSpreadExpression") {
      const value = compileExpression(node.argument);
      keywords.push((scope, into) => spreadKeywords(value(scope), into));
    } else if (node.type === "SpreadExpression") {
      const value = compileExpression(node.argument);
      positional.push((scope, into) => {
        for (const argument of itemsOf(value(scope))) into.push(argument);
      });
    } else {
      const value = compileExpression(node);
      positional.push((scope, into) => into.push(value(scope)));
    }
  }
  return (scope) => {
    const args: Value[] = [];
    const named = new Map<string, Value>();
    for (const add of positional) add(scope, args);
    for (const add of keywords) add(scope, named);
    return new Arguments(args, named);
  };
}

function spreadKeywords(value: Value, into: Map<string, Value>): void {
  if (!isDict(value)) throw new Error("argument after ** must be a mapping");
  for (const [key, argument] of value) into.set(str(key), argument);
}
