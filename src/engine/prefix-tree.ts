import { assert, defined } from "../lib/assert.ts";
import { commonPrefixLength } from "./token-buffer.ts";

interface Node<Value> {
  /** Tokens from the parent to here. */
  label: Int32Array;
  parent: Node<Value> | null;
  /** By the first token of their label. */
  readonly children: Map<number, Node<Value>>;
  value: Value | null;
}

/** What the tree knows about a prompt. */
export interface TreeMatch<Value> {
  /** Leading tokens that some sequence of the tree shares with the prompt. */
  length: number;
  /** One that shares them. */
  value: Value;
  /** A sequence ends right there; otherwise all hold another token at `length`, or `limit` was reached. */
  isEnd: boolean;
}

/**
 * Token sequences with a value each, as a radix tree: common beginnings are stored once, and a
 * lookup costs the length of the prompt, however many sequences there are.
 */
export class PrefixTree<Value> {
  readonly #root: Node<Value> = node(new Int32Array(0), null);
  #nodes = 0;
  #tokens = 0;
  #size = 0;

  /** Sequences with a value. */
  get size(): number {
    return this.#size;
  }

  get nodes(): number {
    return this.#nodes;
  }

  /** Tokens of all labels: those that several sequences share count once. */
  get tokens(): number {
    return this.#tokens;
  }

  get(tokens: Int32Array): Value | null {
    const { at, matched } = this.#walk(tokens, tokens.length);
    return matched === tokens.length && at.rest === 0 ? at.node.value : null;
  }

  /** Whether a longer sequence begins with all of `tokens`. */
  continues(tokens: Int32Array): boolean {
    const { at, matched } = this.#walk(tokens, tokens.length);
    return matched === tokens.length && (at.rest > 0 || at.node.children.size > 0);
  }

  /** Sets or replaces the value of a sequence of at least one token. */
  set(tokens: Int32Array, value: Value): void {
    assert(tokens.length > 0, "a sequence of the tree has tokens");
    const { at, matched } = this.#walk(tokens, tokens.length);
    let { node: end } = at;
    if (at.rest > 0) end = this.#split(end, end.label.length - at.rest);
    if (matched < tokens.length) end = this.#grow(end, tokens.slice(matched));
    if (end.value === null) this.#size++;
    end.value = value;
  }

  /** @returns whether the sequence was there. */
  delete(tokens: Int32Array): boolean {
    const { at, matched } = this.#walk(tokens, tokens.length);
    if (matched < tokens.length || at.rest > 0 || at.node.value === null) return false;
    at.node.value = null;
    this.#size--;
    this.#tidy(at.node);
    return true;
  }

  /** The longest beginning, of at most `limit` tokens, that `tokens` shares with a sequence; null = none. */
  longest(tokens: Int32Array, limit: number): TreeMatch<Value> | null {
    const { at, matched } = this.#walk(tokens, limit);
    if (matched === 0) return null;
    const isEnd = at.rest === 0 && at.node.value !== null;
    return { length: matched, value: anyBelow(at.node), isEnd };
  }

  /** The longest sequence that is a beginning of `tokens` and has at most `limit` of them. */
  longestWhole(tokens: Int32Array, limit: number): TreeMatch<Value> | null {
    const prefixes = this.prefixesOf(tokens, limit);
    return prefixes.at(-1) ?? null;
  }

  /** Sequences that are beginnings of `tokens` with at most `limit` of them, the shortest first. */
  prefixesOf(tokens: Int32Array, limit: number): TreeMatch<Value>[] {
    const { at, matched } = this.#walk(tokens, limit);
    const found: TreeMatch<Value>[] = [];
    let length = matched - (at.node.label.length - at.rest);
    if (at.rest === 0) length = matched;
    let current: Node<Value> | null = at.rest === 0 ? at.node : at.node.parent;
    for (; current !== null; current = current.parent) {
      const { value } = current;
      if (value !== null) found.push({ length, value, isEnd: true });
      length -= current.label.length;
    }
    return found.toReversed();
  }

  /** Where `tokens` leave the tree: the node reached, how much of its label is left, how many match. */
  #walk(
    tokens: Int32Array,
    limit: number,
  ): { at: { node: Node<Value>; rest: number }; matched: number } {
    let current = this.#root;
    let matched = 0;
    const end = Math.min(tokens.length, limit);
    while (matched < end) {
      const child = current.children.get(tokens[matched] ?? -1);
      if (child === undefined) break;
      const { label } = child;
      const common = commonPrefixLength(label, tokens.subarray(matched), end - matched);
      matched += common;
      current = child;
      if (common < label.length)
        return { at: { node: child, rest: label.length - common }, matched };
    }
    return { at: { node: current, rest: 0 }, matched };
  }

  #grow(parent: Node<Value>, label: Int32Array): Node<Value> {
    const child = node<Value>(label, parent);
    parent.children.set(label[0] ?? -1, child);
    this.#nodes++;
    this.#tokens += label.length;
    return child;
  }

  /** Puts a node after the first `length` tokens of a label. @returns it. */
  #split(lower: Node<Value>, length: number): Node<Value> {
    const parent = defined(lower.parent, "the root has no label to split");
    const upper = node<Value>(lower.label.slice(0, length), parent);
    parent.children.set(upper.label[0] ?? -1, upper);
    lower.label = lower.label.slice(length);
    lower.parent = upper;
    upper.children.set(lower.label[0] ?? -1, lower);
    this.#nodes++;
    return upper;
  }

  /** Removes or joins a node that stands for nothing any more. */
  #tidy(current: Node<Value>): void {
    const { parent, children } = current;
    if (parent === null || current.value !== null || children.size > 1) return;
    if (children.size === 0) {
      parent.children.delete(current.label[0] ?? -1);
      this.#nodes--;
      this.#tokens -= current.label.length;
      return this.#tidy(parent);
    }
    for (const child of children.values()) {
      const label = new Int32Array(current.label.length + child.label.length);
      label.set(current.label);
      label.set(child.label, current.label.length);
      child.label = label;
      child.parent = parent;
      parent.children.set(label[0] ?? -1, child);
    }
    this.#nodes--;
  }
}

function node<Value>(label: Int32Array, parent: Node<Value> | null): Node<Value> {
  return { label, parent, children: new Map(), value: null };
}

/** Every leaf has a value. */
function anyBelow<Value>(start: Node<Value>): Value {
  let current = start;
  while (current.value === null) {
    const [child] = current.children.values();
    current = defined(child, "a node without a value has children");
  }
  return current.value;
}
