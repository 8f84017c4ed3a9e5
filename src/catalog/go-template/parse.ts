import { scanTemplate, unquote, UnsupportedTemplate, type Piece, type Token } from "./scan.ts";

/** A value. Chains start at the dot, at `$` (the root), at a variable or at another value. */
export type Value =
  | { kind: "literal"; value: string | number | boolean | null }
  | { kind: "chain"; from: "dot" | { variable: string } | Value; fields: readonly string[] }
  | { kind: "call"; name: string; args: readonly Value[] };

export type Node =
  | { kind: "text"; text: string }
  | { kind: "print"; value: Value }
  /** `declares` = a variable of this block, whatever one outside is called. */
  | { kind: "set"; variable: string; declares: boolean; value: Value }
  | {
      kind: "if" | "with";
      /** A name for the value, in both bodies; null = not named. */
      variable: string | null;
      value: Value;
      body: readonly Node[];
      otherwise: readonly Node[];
    }
  | {
      kind: "range";
      /** Names of the index or key, and of the element; null = not named. */
      index: string | null;
      element: string | null;
      value: Value;
      body: readonly Node[];
      otherwise: readonly Node[];
    }
  | { kind: "break" | "continue" }
  /** Another template in this place, whose dot is the value; null = it gets none. */
  | { kind: "template"; name: string; value: Value | null }
  /** The same with its nodes: they see nothing but the value, which is their `$` as well. */
  | { kind: "scoped"; value: Value | null; body: readonly Node[] };

const MAX_DEPTH = 64;

/** A template and those it defines. */
export interface Parsed {
  nodes: readonly Node[];
  definitions: ReadonlyMap<string, readonly Node[]>;
}

/** @throws UnsupportedTemplate for what is broken, or not translated. */
export function parseTemplate(source: string): Parsed {
  const reader = new BlockReader(scanTemplate(source));
  const { nodes, end } = reader.block({ depth: 0, isTop: true, isLoop: false });
  if (end !== null) throw new UnsupportedTemplate(`"${end.word}" ends nothing`);
  return { nodes, definitions: reader.definitions };
}

/** What ended a block: `end`, or `else` with the rest of its action. */
interface BlockEnd {
  word: string;
  rest: readonly Token[];
}

/** Where a block is. */
interface Place {
  depth: number;
  /** In nothing else: definitions may stand there. */
  isTop: boolean;
  /** In the body of a range of this template. */
  isLoop: boolean;
}

const inside = (place: Place): Place => ({ ...place, depth: place.depth + 1, isTop: false });

class BlockReader {
  readonly definitions = new Map<string, readonly Node[]>();
  readonly #pieces: readonly Piece[];
  #at = 0;

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  block(place: Place): { nodes: Node[]; end: BlockEnd | null } {
    if (place.depth > MAX_DEPTH) throw new UnsupportedTemplate("its blocks are too deep");
    const nodes: Node[] = [];
    for (;;) {
      const piece = this.#pieces[this.#at];
      this.#at += 1;
      if (piece === undefined) return { nodes, end: null };
      if (piece.kind === "text") {
        nodes.push(piece);
        continue;
      }
      const [first, ...rest] = piece.tokens;
      const word = first?.kind === "word" ? first.value : "";
      if (word === "end" || word === "else") return { nodes, end: { word, rest } };
      if (word === "define") this.#define(rest, place);
      else nodes.push(this.#node(word, rest, piece.tokens, place));
    }
  }

  #node(word: string, rest: readonly Token[], all: readonly Token[], place: Place): Node {
    switch (word) {
      case "if":
      case "with":
      case "range":
        return this.#control(word, rest, place);
      case "break":
      case "continue":
        if (rest.length > 0 || !place.isLoop)
          throw new UnsupportedTemplate(`"${word}" leaves no range`);
        return { kind: word };
      case "template":
        return parseTemplateCall(rest);
      case "block": {
        const call = parseTemplateCall(rest);
        if (call.value === null) throw new UnsupportedTemplate("a block has no value");
        this.#add(call.name, inside(place));
        return call;
      }
      default:
        return parseAction(all);
    }
  }

  #define(tokens: readonly Token[], place: Place): void {
    if (!place.isTop) throw new UnsupportedTemplate('"define" stands inside something else');
    const { name, value } = parseTemplateCall(tokens);
    if (value !== null) throw new UnsupportedTemplate('"define" has a value');
    this.#add(name, inside(place));
  }

  /** Reads the nodes of a template up to its end. A later one replaces one that says nothing. */
  #add(name: string, place: Place): void {
    const { nodes, end } = this.block({ ...place, isLoop: false });
    if (end?.word !== "end") throw new UnsupportedTemplate("a template has no end");
    const known = this.definitions.get(name);
    const isTaken = known !== undefined && !isBlank(known);
    if (isTaken && !isBlank(nodes)) throw new UnsupportedTemplate("a template is defined twice");
    if (!isTaken) this.definitions.set(name, nodes);
  }

  #control(word: "if" | "with" | "range", tokens: readonly Token[], place: Place): Node {
    const { names, value } = parseDeclaration(tokens);
    const body = inside(place);
    const then = this.block(word === "range" ? { ...body, isLoop: true } : body);
    const otherwise = this.#otherwise(then.end, place);
    const bodies = { body: then.nodes, otherwise };
    if (word === "range") {
      const [first = null, second = null] = names;
      const [index, element] = second === null ? [null, first] : [first, second];
      return { kind: "range", index, element, value, ...bodies };
    }
    const [variable = null, ...surplus] = names;
    if (surplus.length > 0) throw new UnsupportedTemplate(`"${word}" with variables is not read`);
    return { kind: word, variable, value, ...bodies };
  }

  #otherwise(end: BlockEnd | null, place: Place): Node[] {
    if (end === null) throw new UnsupportedTemplate("a block has no end");
    if (end.word === "end") return [];
    const [next, ...rest] = end.rest;
    if (next === undefined) {
      const { nodes, end: last } = this.block(inside(place));
      if (last?.word !== "end") throw new UnsupportedTemplate("a block has no end");
      return nodes;
    }
    if (next.kind !== "word" || (next.value !== "if" && next.value !== "with"))
      throw new UnsupportedTemplate(`"else ${next.value}" is not read`);
    return [this.#control(next.value, rest, inside(place))];
  }
}

const isBlank = (nodes: readonly Node[]): boolean =>
  nodes.every((node) => node.kind === "text" && node.text.trim() === "");

/** A name as a literal text, and perhaps a value. */
function parseTemplateCall(tokens: readonly Token[]): Extract<Node, { kind: "template" }> {
  const [name, ...rest] = tokens;
  if (name?.kind !== "text") throw new UnsupportedTemplate("a template has no name");
  const value = rest.length === 0 ? null : parsePipeline(rest);
  return { kind: "template", name: unquote(name.value), value };
}

function parseAction(tokens: readonly Token[]): Node {
  const [variable, mark] = tokens;
  if (variable?.kind === "variable" && (mark?.value === ":=" || mark?.value === "=")) {
    const value = parsePipeline(tokens.slice(2));
    return { kind: "set", variable: variable.value, declares: mark.value === ":=", value };
  }
  return { kind: "print", value: parsePipeline(tokens) };
}

/** `$i, $m := value` of a range, `$m := value`, or a value alone. */
function parseDeclaration(tokens: readonly Token[]): { names: string[]; value: Value } {
  const mark = tokens.findIndex(({ kind, value }) => kind === "mark" && value === ":=");
  const names = tokens.slice(0, Math.max(0, mark)).filter(({ value }) => value !== ",");
  if (names.some(({ kind }) => kind !== "variable") || names.length > 2)
    throw new UnsupportedTemplate("a declaration is not read");
  const value = parsePipeline(tokens.slice(mark + 1));
  return { names: names.map((name) => name.value), value };
}

/** The value of `a b | c d`: each command's value is the last argument of the next. */
function parsePipeline(tokens: readonly Token[]): Value {
  let piped: Value | null = null;
  for (const command of splitAt(tokens, "|")) {
    const args: readonly Value[] = piped === null ? [] : [piped];
    piped = parseCommand(command, args);
  }
  if (piped === null) throw new UnsupportedTemplate("an action is empty");
  return piped;
}

function parseCommand(tokens: readonly Token[], piped: readonly Value[]): Value {
  const operands: Value[] = [];
  const [first] = tokens;
  const name = first?.kind === "word" && !LITERALS.has(first.value) ? first.value : null;
  for (let at = name === null ? 0 : 1; at < tokens.length;) {
    const { value, next } = parseOperand(tokens, at);
    operands.push(value);
    at = next;
  }
  const args = [...operands, ...piped];
  if (name !== null) return { kind: "call", name, args };
  const [only] = args;
  if (only === undefined || args.length > 1) throw new UnsupportedTemplate("a value is not called");
  return only;
}

const LITERALS: ReadonlyMap<string, boolean | null> = new Map([
  ["true", true],
  ["false", false],
  ["nil", null],
]);

function parseOperand(tokens: readonly Token[], start: number): { value: Value; next: number } {
  const token = tokens[start];
  let next = start + 1;
  let from: Value | "dot" | { variable: string };
  if (token?.value === "(" && token.kind === "mark") {
    next = closing(tokens, start) + 1;
    from = parsePipeline(tokens.slice(start + 1, next - 1));
  } else if (token?.kind === "variable") from = { variable: token.value };
  else if (token?.kind === "field") {
    from = "dot";
    if (token.value !== ".") next = start;
  } else return { value: parseLiteral(token), next };
  const fields: string[] = [];
  for (let at = next; ; at += 1) {
    const field = tokens[at];
    const continues = field?.kind === "field" && (field.isJoined || at === start);
    if (!continues || field.value === ".") break;
    fields.push(field.value.slice(1));
    next = at + 1;
  }
  // Parentheses alone are what is in them.
  if (fields.length === 0 && from !== "dot" && "kind" in from) return { value: from, next };
  return { value: { kind: "chain", from, fields }, next };
}

function parseLiteral(token: Token | undefined): Value {
  if (token?.kind === "text") return { kind: "literal", value: unquote(token.value) };
  if (token?.kind === "number") return { kind: "literal", value: Number(token.value) };
  const word = LITERALS.get(token?.value ?? "");
  if (word === undefined) throw new UnsupportedTemplate(`"${token?.value ?? ""}" is not read`);
  return { kind: "literal", value: word };
}

function splitAt(tokens: readonly Token[], mark: string): Token[][] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token.kind === "mark" && token.value === "(") depth += 1;
    if (token.kind === "mark" && token.value === ")") depth -= 1;
    if (token.kind === "mark" && token.value === mark && depth === 0) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts;
}

function closing(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let at = open; at < tokens.length; at += 1) {
    if (tokens[at]?.kind !== "mark") continue;
    if (tokens[at]?.value === "(") depth += 1;
    if (tokens[at]?.value === ")") depth -= 1;
    if (depth === 0) return at;
  }
  throw new UnsupportedTemplate("a parenthesis is open");
}
