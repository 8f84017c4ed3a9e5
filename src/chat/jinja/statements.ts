import type {
  Expression,
  ForStatement,
  MacroStatement,
  Parameter,
  SetStatement,
  Statement,
} from "./parse.ts";
import { Arguments } from "./call-arguments.ts";
import {
  call,
  compileArguments,
  compileExpression,
  compileFilter,
  type Evaluate,
  nameOf,
} from "./expressions.ts";
import { Output } from "./render-run.ts";
import type { Scope } from "./scope.ts";
import {
  Callable,
  isTruthy,
  itemsOf,
  LoopState,
  Namespace,
  typeName,
  Tuple,
  isList,
  type Value,
} from "./value.ts";
import { str } from "./python-text.ts";

/** How a statement ended: a break or continue leaves every block up to its loop. */
type Flow = "next" | "break" | "continue";
export type Execute = (scope: Scope, out: Output) => Flow;

/** The statements of a template, ready to run any number of times. */
export function compileBlock(nodes: readonly Statement[]): Execute {
  const steps = nodes.filter((node) => node.type !== "Comment").map(compileStatement);
  return (scope, out) => {
    for (const step of steps) {
      const flow = step(scope, out);
      if (flow !== "next") return flow;
    }
    return "next";
  };
}

function compileStatement(node: Statement): Execute {
  switch (node.type) {
    case "If":
      return compileIf(compileExpression(node.test), node.body, node.alternate);
    case "For":
      return compileFor(node);
    case "Set":
      return compileSet(node);
    case "Macro":
      return compileMacro(node);
    case "CallStatement":
      return compileCallBlock(node.call, node.callerArgs ?? [], node.body);
    case "FilterStatement": {
      const body = compileText(node.body);
      const filter = compileFilter(node.filter);
      return (scope, out) => write(out, filter(body(scope.child()), scope));
    }
    case "Break":
      return () => "break";
    case "Continue":
      return () => "continue";
    case "Comment":
      return () => "next";
    default: {
      const value = compileExpression(node);
      return (scope, out) => write(out, value(scope));
    }
  }
}

function write(out: Output, value: Value): Flow {
  out.write(str(value));
  return "next";
}

/** A block rendered to text of its own: the body of a macro, of `set` and of `filter`. */
function compileText(nodes: readonly Statement[]): (scope: Scope) => string {
  const block = compileBlock(nodes);
  return (scope) => {
    const out = new Output(scope.run);
    block(scope, out);
    return out.text;
  };
}

function compileIf(
  test: Evaluate,
  body: readonly Statement[],
  alternate: readonly Statement[],
): Execute {
  const whenTrue = compileBlock(body);
  const whenFalse = compileBlock(alternate);
  return (scope, out) => (isTruthy(test(scope)) ? whenTrue(scope, out) : whenFalse(scope, out));
}

type Bind = (scope: Scope, value: Value) => void;

/** Names that a value is unpacked to, of a loop or of `set`. */
function compileTarget(node: Expression): Bind {
  if (node.type === "Identifier") return (scope, value) => scope.set(node.value, value);
  if (node.type === "MemberExpression") return compileNamespaceTarget(node);
  if (node.type !== "TupleLiteral") throw new Error("cannot assign to this expression");
  const targets = node.value.map(compileTarget);
  return (scope, value) => {
    if (!isList(value) && !(value instanceof Tuple) && typeof value !== "string")
      throw new Error(`cannot unpack non-iterable ${typeName(value)} object`);
    const items = itemsOf(value);
    if (items.length !== targets.length)
      throw new Error(`expected ${targets.length} values to unpack, got ${items.length}`);
    for (const [index, bind] of targets.entries()) bind(scope, items[index]);
  };
}

function compileNamespaceTarget(node: Expression & { type: "MemberExpression" }): Bind {
  const { property, computed } = node;
  if (computed || property.type !== "Identifier")
    throw new Error("cannot assign to this expression");
  const object = compileExpression(node.object);
  return (scope, value) => {
    const target = object(scope);
    if (!(target instanceof Namespace))
      throw new Error("cannot assign attribute on non-namespace object");
    target.attributes.set(property.value, value);
    scope.run.checkItems(target.attributes.size);
  };
}

function compileFor(node: ForStatement): Execute {
  const { iterable } = node;
  const isFiltered = iterable.type === "SelectExpression";
  const source = compileExpression(isFiltered ? iterable.lhs : iterable);
  const test = isFiltered ? compileExpression(iterable.test) : null;
  const bind = compileTarget(node.loopvar);
  const body = compileBlock(node.body);
  const otherwise = compileBlock(node.defaultBlock);
  return (scope, out) => {
    const all = itemsOf(source(scope));
    const items = test === null ? all : all.filter((item) => passes(scope, bind, test, item));
    // The list may grow in its own loop: the turns are those it had at the start.
    const count = items.length;
    scope.run.checkItems(count);
    if (count === 0) return otherwise(scope, out);
    const loop = new LoopState(items);
    const turn = scope.child();
    for (let index = 0; index < count; index += 1) {
      turn.clear();
      loop.index0 = index;
      turn.set("loop", loop);
      bind(turn, items[index]);
      if (body(turn, out) === "break") break;
    }
    return "next";
  };
}

function passes(scope: Scope, bind: Bind, test: Evaluate, item: Value): boolean {
  const trial = scope.child();
  bind(trial, item);
  return isTruthy(test(trial));
}

function compileSet({ assignee, value, body }: SetStatement): Execute {
  const [target, filter] =
    assignee.type === "FilterExpression"
      ? [assignee.operand, compileFilter(assignee.filter)]
      : [assignee, null];
  const bind = compileTarget(target);
  if (value !== null) {
    const evaluate = compileExpression(value);
    return (scope) => {
      bind(scope, evaluate(scope));
      return "next";
    };
  }
  const text = compileText(body);
  return (scope) => {
    const written = text(scope.child());
    bind(scope, filter === null ? written : filter(written, scope));
    return "next";
  };
}

/** Binds the arguments of a macro's call; absent ones take their default, evaluated in place. */
function compileParameters(
  parameters: readonly Parameter[],
): (scope: Scope, args: Arguments) => void {
  const known = parameters.map((parameter) =>
    parameter.type === "Identifier"
      ? { name: parameter.value, absent: (): Value => undefined }
      : { name: parameter.key.value, absent: compileExpression(parameter.value) },
  );
  const names = new Set(known.map(({ name }) => name));
  return (scope, args) => {
    for (const [index, { name, absent }] of known.entries()) {
      scope.set(name, args.has(index, name) ? args.get(index, name) : absent(scope));
    }
    scope.set("varargs", new Tuple(args.positional.slice(known.length)));
    scope.set("kwargs", new Map([...args.keywords].filter(([name]) => !names.has(name))));
    if (args.keywords.has("caller")) scope.set("caller", args.keywords.get("caller"));
  };
}

function compileMacro({ name, args, body }: MacroStatement): Execute {
  const define = compileFunction(name.value, args, body);
  return (scope) => {
    scope.set(name.value, define(scope));
    return "next";
  };
}

function compileFunction(
  name: string,
  parameters: readonly Parameter[],
  body: readonly Statement[],
): (scope: Scope) => Callable {
  const bind = compileParameters(parameters);
  const text = compileText(body);
  return (scope) =>
    new Callable(name, (positional, keywords, run) => {
      const inner = scope.child();
      bind(inner, new Arguments(positional, keywords));
      run.enter();
      const written = text(inner);
      run.leave();
      return written;
    });
}

function compileCallBlock(
  target: Statement & { type: "CallExpression" },
  callerArgs: readonly Parameter[],
  body: readonly Statement[],
): Execute {
  const callee = compileExpression(target.callee);
  const read = compileArguments(target.args);
  const caller = compileFunction("caller", callerArgs, body);
  return (scope, out) => {
    const args = read(scope);
    const keywords = new Map<string, Value>([...args.keywords, ["caller", caller(scope)]]);
    const full = new Arguments(args.positional, keywords);
    return write(out, call(callee(scope), nameOf(target.callee), full, scope.run));
  };
}
