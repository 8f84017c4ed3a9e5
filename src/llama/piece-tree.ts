import { isUtf8 } from "node:buffer";
import type { Vocabulary } from "./backend.ts";

/**
 * The tokens of a vocabulary by what their bytes begin with: the parent of a token is the longest
 * other token that it begins with. A grammar that refuses a token refuses everything under it,
 * but for one case: see `isWhole`.
 */
export class PieceTree {
  /** Tokens without a parent, and the end-of-generation tokens, which are above nothing. */
  readonly roots: Int32Array;
  /** Children of token t are `#children[#first[t]]` up to `#children[#first[t + 1]]`. */
  readonly #first: Int32Array;
  readonly #children: Int32Array;
  readonly #broken = new Set<number>();

  constructor(vocabulary: Vocabulary) {
    const parents = findParents(vocabulary);
    const first = new Int32Array(vocabulary.size + 1);
    for (const parent of parents) if (parent >= 0) first[parent + 1] = (first[parent + 1] ?? 0) + 1;
    for (let token = 0; token < vocabulary.size; token++) {
      first[token + 1] = (first[token + 1] ?? 0) + (first[token] ?? 0);
    }
    const next = first.slice();
    this.#children = new Int32Array(first[vocabulary.size] ?? 0);
    const roots: number[] = [];
    for (const [token, parent] of parents.entries()) {
      if (parent === ROOT) roots.push(token);
      if (parent < 0) continue;
      if (!isUtf8(vocabulary.piece(parent, true))) this.#broken.add(parent);
      const at = next[parent] ?? 0;
      this.#children[at] = token;
      next[parent] = at + 1;
    }
    this.#first = first;
    this.roots = Int32Array.from(roots);
  }

  /**
   * Whether a token with children ends where a code point ends. llama.cpp may refuse half of one
   * and take all of it: `[^\u00e9]` refuses the byte that it shares with its neighbours.
   */
  isWhole(token: number): boolean {
    return !this.#broken.has(token);
  }

  /** A view: do not modify. */
  children(token: number): Int32Array {
    return this.#children.subarray(this.#first[token], this.#first[token + 1]);
  }
}

const ROOT = -1;
/** No grammar takes a token without text, nor one that begins with NUL. */
const NOWHERE = -2;

function findParents(vocabulary: Vocabulary): Int32Array {
  const parents = new Int32Array(vocabulary.size).fill(NOWHERE);
  for (const token of vocabulary.endOfGeneration) parents[token] = ROOT;
  const above: { token: number; text: string }[] = [];
  for (const { text, tokens } of sortedTexts(vocabulary)) {
    while (above.length > 0 && !text.startsWith(above.at(-1)?.text ?? "")) above.pop();
    for (const token of tokens) {
      parents[token] = above.at(-1)?.token ?? ROOT;
      above.push({ token, text });
    }
  }
  return parents;
}

/** In this order what a text begins with comes before it, and only its like in between. */
function sortedTexts(vocabulary: Vocabulary): { text: string; tokens: readonly number[] }[] {
  const pieces = Array.from({ length: vocabulary.size }, (_, token) =>
    vocabulary.piece(token, true),
  );
  // One string for all bytes, since its parts cost next to nothing.
  const all = Buffer.concat(pieces).toString("latin1");
  const tokensOf = new Map<string, number[]>();
  let end = 0;
  for (const [token, bytes] of pieces.entries()) {
    const start = end;
    end += bytes.length;
    if (bytes.length === 0 || bytes[0] === 0 || vocabulary.isEndOfGeneration(token)) continue;
    const text = all.slice(start, end);
    const tokens = tokensOf.get(text);
    if (tokens === undefined) tokensOf.set(text, [token]);
    else tokens.push(token);
  }
  // The default order, by code units, sorts several times faster than a comparison of ours.
  const texts = [...tokensOf.keys()].sort();
  return texts.map((text) => ({ text, tokens: tokensOf.get(text) ?? [] }));
}
