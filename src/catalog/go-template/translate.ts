import type { Node, Value } from "./parse.ts";
import { UnsupportedTemplate } from "./scan.ts";

/** Fields that hold objects, which Go prints as JSON. */
const OBJECTS = new Set([
  "Tools",
  "Function",
  "Parameters",
  "Properties",
  "Arguments",
  "ToolCalls",
]);

const MAX_EXPRESSION = 10_000;

interface Scope {
  /** What the dot is; null = the root. */
  dot: string | null;
  variables: ReadonlyMap<string, string>;
}

/** Writes the nodes of a Go template as Jinja. */
export class Translator {
  readonly #root: Readonly<Record<string, string>>;
  #names = 0;

  /** @param root what the root's fields are, as Jinja expressions. */
  constructor(root: Readonly<Record<string, string>>) {
    this.#root = root;
  }

  body(nodes: readonly Node[]): string {
    return this.#all(nodes, { dot: null, variables: new Map() });
  }

  #all(nodes: readonly Node[], outer: Scope): string {
    let scope = outer;
    let text = "";
    for (const node of nodes) {
      if (node.kind === "set") {
        const known = scope.variables.get(node.variable);
        const name = known ?? `v.${this.#name()}`;
        text += `{%- set ${name} = ${this.#value(node.value, scope)} -%}`;
        const variables = new Map(scope.variables).set(node.variable, name);
        scope = { ...scope, variables };
      } else text += this.#node(node, scope);
    }
    return text;
  }

  #name(): string {
    this.#names += 1;
    return `n${this.#names}`;
  }

  #node(node: Exclude<Node, { kind: "set" }>, scope: Scope): string {
    switch (node.kind) {
      case "text":
        return `{{ ${quoted(node.text)} }}`;
      case "print":
        return `{{ ${this.#printed(node.value, scope)} }}`;
      case "if": {
        const test = this.#value(node.test, scope);
        return this.#choice(test, node, scope, scope);
      }
      case "with": {
        const name = `v.${this.#name()}`;
        const inner = { ...scope, dot: name };
        const set = `{%- set ${name} = ${this.#value(node.value, scope)} -%}`;
        return set + this.#choice(name, node, inner, scope);
      }
      default:
        return this.#range(node, scope);
    }
  }

  #choice(
    test: string,
    { body, otherwise }: { body: readonly Node[]; otherwise: readonly Node[] },
    inner: Scope,
    outer: Scope,
  ): string {
    const rest = otherwise.length === 0 ? "" : `{%- else -%}${this.#all(otherwise, outer)}`;
    return `{%- if ${test} -%}${this.#all(body, inner)}${rest}{%- endif -%}`;
  }

  #range(node: Extract<Node, { kind: "range" }>, scope: Scope): string {
    const list = this.#value(node.value, scope);
    const item = this.#name();
    const key = this.#name();
    const isMap = node.value.kind === "chain" && node.value.fields.at(-1) === "Properties";
    const variables = new Map(scope.variables);
    if (node.element !== null) variables.set(node.element, item);
    if (node.index !== null) variables.set(node.index, isMap ? key : `v.${key}`);
    const head = isMap ? `${key}, ${item} in (${list}).items()` : `${item} in ${list}`;
    const index = node.index === null || isMap ? "" : `{%- set v.${key} = loop.index0 -%}`;
    const body = this.#all(node.body, { dot: item, variables });
    const rest =
      node.otherwise.length === 0 ? "" : `{%- else -%}${this.#all(node.otherwise, scope)}`;
    return `{%- for ${head} -%}${index}${body}${rest}{%- endfor -%}`;
  }

  #printed(value: Value, scope: Scope): string {
    const text = this.#value(value, scope);
    if (value.kind !== "chain") return text;
    const last = value.fields.at(-1);
    const isObject = last === undefined ? scope.dot !== null : OBJECTS.has(last);
    if (isObject) return `(${text}) if ${text} is string else (${text} | tojson)`;
    return `(${text}) or ""`;
  }

  #value(value: Value, scope: Scope): string {
    if (value.kind === "literal") return literal(value.value);
    if (value.kind === "call") return this.#call(value.name, value.args, scope);
    const { from, fields } = value;
    if (from === "dot" && scope.dot === null) return this.#ofRoot(fields);
    if (from === "dot") return chain(scope.dot ?? "", fields);
    if (!("variable" in from)) return chain(this.#value(from, scope), fields);
    if (from.variable === "$") return this.#ofRoot(fields);
    const known = scope.variables.get(from.variable);
    if (known === undefined) throw new UnsupportedTemplate(`${from.variable} is not declared`);
    return chain(known, fields);
  }

  #ofRoot([first, ...rest]: readonly string[]): string {
    const known =
      first !== undefined && Object.hasOwn(this.#root, first) ? this.#root[first] : null;
    if (known == null) throw new UnsupportedTemplate(`.${first ?? ""} is not known`);
    return chain(known, rest);
  }

  #call(name: string, args: readonly Value[], scope: Scope): string {
    const text = this.#called(name, args, scope);
    // Comparisons repeat their first value: nested ones would grow without bound.
    if (text.length > MAX_EXPRESSION) throw new UnsupportedTemplate("an action is too large");
    return text;
  }

  #called(name: string, args: readonly Value[], scope: Scope): string {
    const values = args.map((arg) => this.#value(arg, scope));
    const [first = '""', ...others] = values;
    const comparison = COMPARISONS.get(name);
    if (comparison !== undefined) {
      const tests = others.map((other) => `(${first} ${comparison} ${other})`);
      return tests.length === 0 ? "false" : `(${tests.join(" or ")})`;
    }
    switch (name) {
      case "and":
      case "or":
        return `(${values.join(` ${name} `)})`;
      case "not":
        return `(not ${first})`;
      case "len":
        return `(${first} | length)`;
      case "index":
        return others.reduce((list, at) => `${list}[${at}]`, first);
      case "slice":
        return `${first}[${others[0] ?? ""}:${others[1] ?? ""}]`;
      case "json":
        return `(${first} | tojson)`;
      case "print":
        return `(${values.join(" ~ ")})`;
      case "currentDate":
        return 'strftime_now("%Y-%m-%d")';
      default:
        throw new UnsupportedTemplate(`the function ${name} is not known`);
    }
  }
}

const COMPARISONS: ReadonlyMap<string, string> = new Map([
  ["eq", "=="],
  ["ne", "!="],
  ["lt", "<"],
  ["le", "<="],
  ["gt", ">"],
  ["ge", ">="],
]);

/** Go's field of a message is our key of it, unless it has a name of its own. */
const KEYS: ReadonlyMap<string, string> = new Map([
  ["Thinking", "reasoning_content"],
  ["ToolName", "name"],
]);

function chain(from: string, fields: readonly string[]): string {
  return fields.reduce((text, field) => {
    const key = KEYS.get(field) ?? field.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, "_").toLowerCase();
    return `${text}.${key}`;
  }, from);
}

function literal(value: string | number | boolean | null): string {
  if (typeof value === "string") return quoted(value);
  return value === null ? "none" : String(value);
}

function quoted(text: string): string {
  const escaped = text
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r")
    .replaceAll("\t", "\\t");
  return `"${escaped}"`;
}
