import { classChar, literal, sequence, type GrammarBuilder } from "./gbnf.ts";
import { jsonRule } from "./json-rules.ts";

/** Excluded texts are told apart up to here; longer ones are excluded with all that begin so. */
export const MAX_EXCEPT_LENGTH = 256;

export interface TrieNode {
  /** Some text ends here. */
  ends: boolean;
  next: Map<string, TrieNode>;
}

/**
 * Any one of `texts`, shared prefixes written once: a matcher that walks it follows one path,
 * however many texts there are.
 */
export function oneOf(builder: GrammarBuilder, texts: readonly string[]): string {
  const root = trieOf(builder, texts);
  return renderNode(builder, root);
}

function renderNode(builder: GrammarBuilder, start: TrieNode): string {
  const options: string[] = [];
  for (const [first, child] of start.next) {
    let run = first;
    let node = child;
    // A chain without branches is one literal.
    for (let only = onlyChild(node); only !== null; only = onlyChild(node)) {
      run += only[0];
      node = only[1];
    }
    options.push(sequence(literal(run), node.next.size === 0 ? "" : renderNode(builder, node)));
  }
  if (start.ends) options.push('""');
  if (options.length === 1) return options.join("");
  return builder.add("of", options.join(" | "));
}

function onlyChild(node: TrieNode): [string, TrieNode] | null {
  if (node.ends || node.next.size !== 1) return null;
  const [entry] = node.next;
  return entry ?? null;
}

/**
 * A JSON string, quotes included, whose value is none of `texts`. Inside a prefix of one of them no
 * escapes are allowed, so that none of them can be spelled another way.
 */
export function stringExcept(builder: GrammarBuilder, texts: readonly string[]): string {
  if (texts.length === 0) return jsonRule(builder, "string");
  return builder.add("other", `"\\"" ${exceptNode(builder, trieOf(builder, texts), 0)}`);
}

function exceptNode(builder: GrammarBuilder, node: TrieNode, depth: number): string {
  const chars = [...node.next.keys()];
  const rest = `${jsonRule(builder, "char")}* "\\""`;
  const options: string[] = [];
  const known = chars.map((char) => classChar(char.codePointAt(0) ?? 0)).join("");
  options.push(`[^${known}"\\\\\\x00-\\x1f\\x7f] ${rest}`);
  if (!node.ends) options.push('"\\""');
  for (const [char, child] of node.next) {
    if (depth >= MAX_EXCEPT_LENGTH || isEscaped(char)) continue;
    options.push(sequence(literal(char), exceptNode(builder, child, depth + 1)));
  }
  return builder.add("except", options.join(" | "));
}

/** The prefixes of `texts`. */
export function trieOf(builder: GrammarBuilder, texts: readonly string[]): TrieNode {
  const root: TrieNode = { ends: false, next: new Map() };
  for (const text of texts) {
    let node = root;
    for (const char of text) {
      builder.spend(1);
      let child = node.next.get(char);
      if (child === undefined) {
        child = { ends: false, next: new Map() };
        node.next.set(char, child);
      }
      node = child;
    }
    node.ends = true;
  }
  return root;
}

/** Whether JSON text spells this character with an escape. */
function isEscaped(char: string): boolean {
  return JSON.stringify(char).length > char.length + 2 || char === "\u007f";
}
