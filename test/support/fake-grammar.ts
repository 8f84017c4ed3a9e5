import { assert } from "../../src/lib/assert.ts";
import { invalidRequest } from "../../src/lib/errors.ts";
import type { Grammar } from "../../src/llama/backend.ts";

type Node =
  | { kind: "text"; text: string }
  | { kind: "class"; negated: boolean; ranges: [number, number][] }
  | { kind: "rule"; name: string }
  | { kind: "sequence"; items: Node[] }
  | { kind: "choice"; options: Node[] }
  | { kind: "repeat"; item: Node; min: number; max: number };

const bad = (why: string): never => {
  throw invalidRequest("grammar", "invalid_grammar", `cannot parse grammar: ${why}`);
};

/** A small GBNF reader: literals, classes, groups, alternatives, `* + ? {m,n}`, rule names. */
class Reader {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  rules(): Map<string, Node> {
    const rules = new Map<string, Node>();
    for (this.#space(true); this.#at < this.#source.length; this.#space(true)) {
      const name = this.#take(/[a-zA-Z0-9-]+/y) ?? bad(`no rule name at ${this.#at}`);
      this.#space(false);
      if (this.#take(/::=/y) === null) bad(`no ::= after ${name}`);
      rules.set(name, this.#choice(false));
    }
    return rules;
  }

  #choice(nested: boolean): Node {
    const options = [this.#sequence(nested)];
    while (this.#take(/\|/y) !== null) options.push(this.#sequence(nested));
    return options.length === 1 ? options[0]! : { kind: "choice", options };
  }

  #sequence(nested: boolean): Node {
    const items: Node[] = [];
    for (;;) {
      this.#space(nested);
      const item = this.#item();
      if (item === null) return { kind: "sequence", items };
      items.push(this.#repeated(item));
    }
  }

  #item(): Node | null {
    const literal = this.#take(/"(?:[^"\\]|\\.)*"/y);
    if (literal !== null) return { kind: "text", text: JSON.parse(literal) as string };
    const set = this.#take(/\[(?:[^\]\\]|\\.)*\]/y);
    if (set !== null) return classOf(set.slice(1, -1));
    if (this.#take(/\(/y) !== null) {
      const group = this.#choice(true);
      this.#space(true);
      if (this.#take(/\)/y) === null) bad("unclosed group");
      return group;
    }
    const name = this.#take(/[a-zA-Z][a-zA-Z0-9-]*(?!\s*[a-zA-Z0-9-]*\s*::=)/y);
    return name === null ? null : { kind: "rule", name };
  }

  #repeated(item: Node): Node {
    const mark = this.#take(/[*+?]|\{\d+(?:,\d*)?\}/y);
    if (mark === null) return item;
    if (mark === "*") return { kind: "repeat", item, min: 0, max: Infinity };
    if (mark === "+") return { kind: "repeat", item, min: 1, max: Infinity };
    if (mark === "?") return { kind: "repeat", item, min: 0, max: 1 };
    const [min = "0", max] = mark.slice(1, -1).split(",");
    const most = max === undefined ? Number(min) : max === "" ? Infinity : Number(max);
    return { kind: "repeat", item, min: Number(min), max: most };
  }

  #space(lines: boolean): void {
    this.#take(lines ? /(?:\s|#[^\n]*)*/y : /[ \t]*/y);
  }

  #take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const text = pattern.exec(this.#source)?.[0] ?? null;
    this.#at += text?.length ?? 0;
    return text;
  }
}

function classOf(body: string): Node {
  const negated = body.startsWith("^");
  const ranges: [number, number][] = [];
  const unit = String.raw`\\.|[^\\]`;
  for (const match of (negated ? body.slice(1) : body).matchAll(
    new RegExp(`(${unit})(?:-(${unit}))?`, "gsu"),
  )) {
    const code = (text: string): number =>
      (text === "\\n" ? "\n" : text === "\\t" ? "\t" : text.replace("\\", "")).codePointAt(0)!;
    ranges.push([code(match[1]!), code(match[2] ?? match[1]!)]);
  }
  return { kind: "class", negated, ranges };
}

/** Where a match can go after some text: `complete` at its end, or `open`, needing more text. */
interface Reach {
  ends: Set<number>;
  open: boolean;
}

function reach(node: Node, rules: ReadonlyMap<string, Node>, text: string, at: number): Reach {
  switch (node.kind) {
    case "text": {
      const rest = text.slice(at);
      if (rest.startsWith(node.text))
        return { ends: new Set([at + node.text.length]), open: false };
      return { ends: new Set(), open: node.text.startsWith(rest) };
    }
    case "class": {
      const code = text.codePointAt(at);
      if (code === undefined) return { ends: new Set(), open: true };
      const inside = node.ranges.some(([low, high]) => code >= low && code <= high);
      const end = at + String.fromCodePoint(code).length;
      return { ends: new Set(inside === node.negated ? [] : [end]), open: false };
    }
    case "rule":
      return reach(rules.get(node.name) ?? bad(`undefined rule ${node.name}`), rules, text, at);
    case "choice": {
      const all = node.options.map((option) => reach(option, rules, text, at));
      const ends = new Set(all.flatMap((each) => [...each.ends]));
      return { ends, open: all.some((each) => each.open) };
    }
    case "sequence": {
      let front: Reach = { ends: new Set([at]), open: false };
      for (const item of node.items) front = then(front, (end) => reach(item, rules, text, end));
      return front;
    }
    default: {
      const total: Reach = { ends: new Set(node.min === 0 ? [at] : []), open: false };
      let front: Reach = { ends: new Set([at]), open: false };
      for (let count = 1; count <= node.max && front.ends.size > 0; count++) {
        const before = front.ends;
        front = then(front, (end) => reach(node.item, rules, text, end));
        front.ends = new Set([...front.ends].filter((end) => !before.has(end)));
        total.open ||= front.open;
        if (count >= node.min) for (const end of front.ends) total.ends.add(end);
      }
      return total;
    }
  }
}

function then(front: Reach, next: (end: number) => Reach): Reach {
  const total: Reach = { ends: new Set(), open: front.open };
  for (const end of front.ends) {
    const after = next(end);
    total.open ||= after.open;
    for (const each of after.ends) total.ends.add(each);
  }
  return total;
}

/** GBNF for small test grammars, by trying everything; stands in for the library's own. */
export class FakeGrammar implements Grammar {
  readonly #rules: ReadonlyMap<string, Node>;
  #text: string;
  #isDisposed = false;
  #isGiven = false;
  static live = 0;

  constructor(source: string | FakeGrammar) {
    if (typeof source === "string") {
      if (source.includes("\0")) bad("it holds a NUL");
      if (source.includes("\0")) bad("a NUL byte");
      this.#rules = new Reader(source).rules();
      this.#text = "";
      if (!this.#rules.has("root")) bad("no root rule");
      reach({ kind: "rule", name: "root" }, this.#rules, "", 0);
    } else {
      this.#rules = source.#rules;
      this.#text = source.#text;
    }
    FakeGrammar.live++;
  }

  get isComplete(): boolean {
    this.#check();
    return this.#reach(this.#text).ends.has(this.#text.length);
  }

  allows(text: string): boolean {
    this.#check();
    const whole = this.#text + text;
    const { open, ends } = this.#reach(whole);
    return open || ends.has(whole.length);
  }

  acceptText(text: string): boolean {
    if (!this.allows(text)) return false;
    this.#text += text;
    return true;
  }

  clone(): Grammar {
    this.#check();
    return new FakeGrammar(this);
  }

  dispose(): void {
    assert(!this.#isGiven, "a grammar that was given to a sampler is the sampler's");
    this.#end();
  }

  /** Gives the grammar to a sampler, which alone may end it by the returned function. */
  give(): () => void {
    this.#check();
    assert(!this.#isGiven, "a grammar has one owner");
    this.#isGiven = true;
    return () => this.#end();
  }

  #end(): void {
    this.#check();
    this.#isDisposed = true;
    FakeGrammar.live--;
  }

  #reach(text: string): Reach {
    return reach({ kind: "rule", name: "root" }, this.#rules, text, 0);
  }

  #check(): void {
    assert(!this.#isDisposed, "a grammar was used after it was disposed");
  }
}
