import { describe, expect, test } from "bun:test";
import { PieceTree } from "../../../src/llama/piece-tree.ts";
import { FakeVocabulary } from "../../support/fake-vocabulary.ts";

/** Pieces in the order of their ids; the last ends a generation. */
class Pieces extends FakeVocabulary {
  readonly #pieces: Uint8Array[];
  override readonly size: number;
  override readonly endOfGeneration: readonly number[];

  constructor(pieces: readonly (string | number[])[]) {
    super();
    this.#pieces = pieces.map((piece) =>
      typeof piece === "string" ? new TextEncoder().encode(piece) : Uint8Array.from(piece),
    );
    this.size = pieces.length;
    this.endOfGeneration = [pieces.length - 1];
  }

  override piece(token: number): Uint8Array {
    return this.#pieces[token] ?? new Uint8Array(0);
  }

  override isEndOfGeneration(token: number): boolean {
    return this.endOfGeneration.includes(token);
  }
}

describe("the tree of pieces", () => {
  test("puts each token under the longest that it begins with", () => {
    const tree = new PieceTree(new Pieces(["abc", "a", "b", "ab", "ax", "a", "<end>"]));
    expect([...tree.roots]).toEqual([1, 2, 6]);
    // Of two tokens with one text the second stands under the first.
    expect([...tree.children(1)]).toEqual([5]);
    expect([...tree.children(5)].toSorted((a, b) => a - b)).toEqual([3, 4]);
    expect([...tree.children(3)]).toEqual([0]);
  });

  test("has nothing under the end, nor what no grammar takes", () => {
    const tree = new PieceTree(new Pieces(["", "\0a", "<end>x", "<end>"]));
    expect([...tree.roots]).toEqual([2, 3]);
    for (const token of tree.roots) expect(tree.children(token)).toHaveLength(0);
  });

  test("tells halves of code points apart", () => {
    const tree = new PieceTree(new Pieces([[0xc3], "é", "éa", "<end>"]));
    expect([...tree.children(0)]).toEqual([1]);
    expect(tree.isWhole(0)).toBe(false);
    expect(tree.isWhole(1)).toBe(true);
  });
});
