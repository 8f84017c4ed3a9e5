import type { Node, Value } from "./parse.ts";
import { printfExpression, type Operand } from "./printf.ts";
import { quoted } from "./quoted.ts";
import { UnsupportedTemplate } from "./scan.ts";

const MAX_EXPRESSION = 10_000;
/** Of all that is printed, as Jinja. */
const MAX_LENGTH = 1_000_000;

interface Scope {
  /** What the dot is; null = the conversation, "" = nothing. */
  dot: string | null;
  /** The same of `$`. */
  root: string | null;
  variables: ReadonlyMap<string, string>;
}

/** Writes the nodes of a Go template as Jinja. */
export class Translator {
  readonly #root: Readonly<Record<string, string>>;
  #names = 0;
  #length = 0;

  /** @param root what the root's fields are, as Jinja expressions. */
  constructor(root: Readonly<Record<string, string>>) {
    this.#root = root;
  }

  body(nodes: readonly Node[]): string {
    return this.#all(nodes, { dot: null, root: null, variables: new Map() });
  }

  #all(nodes: readonly Node[], outer: Scope): string {
    let scope = outer;
    let text = "";
    for (const node of nodes) {
      if (node.kind === "set") {
        const known = scope.variables.get(node.variable);
        if (!node.declares && known === undefined)
          throw new UnsupportedTemplate(`${node.variable} is not declared`);
        const name = node.declares || known === undefined ? `v.${this.#name()}` : known;
        text += `{%- set ${name} = ${this.#value(node.value, scope)} -%}`;
        const variables = new Map(scope.variables).set(node.variable, name);
        scope = { ...scope, variables };
      } else text += this.#node(node, scope);
    }
    return text;
  }

  #counted(text: string): string {
    this.#length += text.length;
    if (this.#length > MAX_LENGTH) throw new UnsupportedTemplate("it is too large");
    return text;
  }

  #name(): string {
    this.#names += 1;
    return `n${this.#names}`;
  }

  #node(node: Exclude<Node, { kind: "set" }>, scope: Scope): string {
    switch (node.kind) {
      case "text":
        return this.#counted(`{{ ${quoted(node.text)} }}`);
      case "print":
        return this.#counted(`{{ ${textOf(node.value, this.#value(node.value, scope))} }}`);
      case "if":
      case "with":
        return this.#test(node, scope);
      case "range":
        return this.#range(node, scope);
      case "break":
      case "continue":
        return `{%- ${node.kind} -%}`;
      case "scoped":
        return this.#scoped(node, scope);
      default:
        throw new UnsupportedTemplate(`${node.name} is not in its place`);
    }
  }

  /** Another template sees the value that it is given, and no variable of ours. */
  #scoped({ value, body }: Extract<Node, { kind: "scoped" }>, scope: Scope): string {
    const variables = new Map<string, string>();
    if (value === null) return this.#all(body, { dot: "", root: "", variables });
    if (isConversation(value, scope)) return this.#all(body, { dot: null, root: null, variables });
    const name = `v.${this.#name()}`;
    const set = `{%- set ${name} = ${this.#value(value, scope)} -%}`;
    return set + this.#all(body, { dot: name, root: name, variables });
  }

  #test(node: Extract<Node, { kind: "if" | "with" }>, outer: Scope): string {
    const { kind, variable, otherwise } = node;
    const value = this.#value(node.value, outer);
    const isKept = kind === "with" || variable !== null;
    const test = isKept ? `v.${this.#name()}` : value;
    const set = isKept ? `{%- set ${test} = ${value} -%}` : "";
    const variables = new Map(outer.variables);
    if (variable !== null) variables.set(variable, test);
    // A variable is known in both bodies, the dot changes in the first.
    const named = { ...outer, variables };
    const body = this.#all(node.body, kind === "with" ? { ...named, dot: test } : named);
    const rest = otherwise.length === 0 ? "" : `{%- else -%}${this.#all(otherwise, named)}`;
    return `${set}{%- if ${test} -%}${body}${rest}{%- endif -%}`;
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
    const body = this.#all(node.body, { ...scope, dot: item, variables });
    const rest =
      node.otherwise.length === 0 ? "" : `{%- else -%}${this.#all(node.otherwise, scope)}`;
    return `{%- for ${head} -%}${index}${body}${rest}{%- endfor -%}`;
  }

  #value(value: Value, scope: Scope): string {
    if (value.kind === "literal") return literal(value.value);
    if (value.kind === "call") return this.#call(value.name, value.args, scope);
    const { from, fields } = value;
    if (from === "dot") return this.#ofPlace(scope.dot, fields);
    if (!("variable" in from)) return chain(this.#value(from, scope), fields);
    if (from.variable === "$") return this.#ofPlace(scope.root, fields);
    const known = scope.variables.get(from.variable);
    if (known === undefined) throw new UnsupportedTemplate(`${from.variable} is not declared`);
    return chain(known, fields);
  }

  #ofPlace(place: string | null, fields: readonly string[]): string {
    if (place === null) return this.#ofRoot(fields);
    if (place === "") throw new UnsupportedTemplate("a template without a value asks for one");
    return chain(place, fields);
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
    if (TEXTS.has(name)) return this.#text(name, args, scope);
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
      default:
        throw new UnsupportedTemplate(`the function ${name} is not known`);
    }
  }

  /** Functions that make a text. */
  #text(name: string, args: readonly Value[], scope: Scope): string {
    const operands = args.map((arg) => {
      const value = this.#value(arg, scope);
      return { value, text: textOf(arg, value) };
    });
    const texts = operands.map(({ text }) => text);
    switch (name) {
      case "json":
        return jsonOf(operands[0]?.value ?? '""');
      case "print":
        return texts.length === 0
          ? '""'
          : `(${texts.map((text, at) => text + gapAfter(operands, at)).join(" ~ ")})`;
      case "println":
        return `(${[...texts.flatMap((text, at) => (at === 0 ? [text] : ['" "', text])), '"\\n"'].join(" ~ ")})`;
      case "printf": {
        const [format] = args;
        if (format?.kind !== "literal" || typeof format.value !== "string")
          throw new UnsupportedTemplate("the format of printf is not a text");
        return printfExpression(format.value, operands.slice(1));
      }
      default:
        return 'strftime_now("%Y-%m-%d")';
    }
  }
}

/** How Go prints a value: texts as they are, everything else as JSON, what is absent not at all. */
function textOf(value: Value, expression: string): string {
  if (value.kind === "literal") {
    if (value.value === null) throw new UnsupportedTemplate("nil is not printed");
    return quoted(String(value.value));
  }
  if (value.kind === "call" && TEXTS.has(value.name)) return expression;
  const isAbsent = `${expression} is undefined or ${expression} is none`;
  return `(${expression} if ${expression} is string else "" if ${isAbsent} else ${jsonOf(expression)})`;
}

/** JSON as Go's package encoding/json writes it: without blanks, and with HTML's characters escaped. */
function jsonOf(expression: string): string {
  const escapes = [
    ["<", "003c"],
    [">", "003e"],
    ["&", "0026"],
  ].map(([character, code]) => ` | replace("${character}", "\\\\u${code}")`);
  return `(${expression} | tojson(separators=(",", ":"))${escapes.join("")})`;
}

const TEXTS: ReadonlySet<string> = new Set(["json", "print", "println", "printf", "currentDate"]);

/** `print` puts a blank between two operands of which neither is a text. */
function gapAfter(operands: readonly Operand[], at: number): string {
  const [one, other] = [operands[at], operands[at + 1]];
  if (one === undefined || other === undefined) return "";
  return ` ~ ("" if ${one.value} is string or ${other.value} is string else " ")`;
}

/** `.` or `$` where they are the whole conversation. */
function isConversation(value: Value, { dot, root }: Scope): boolean {
  if (value.kind !== "chain" || value.fields.length > 0) return false;
  if (value.from === "dot") return dot === null;
  return "variable" in value.from && value.from.variable === "$" && root === null;
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
