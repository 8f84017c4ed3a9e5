import { describe, expect, test } from "bun:test";
import { PieceIndex } from "../../../src/llama/piece-index.ts";
import { FakeToken, FakeVocabulary } from "../../support/fake-vocabulary.ts";

/** Puts a space in front of every text, as SentencePiece does. */
class SpacedVocabulary extends FakeVocabulary {
  override tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): Int32Array {
    return super.tokenize(` ${text}`, addSpecial, parseSpecial);
  }
}

describe("tokens that spell a text", () => {
  const vocabularies = [
    { name: "a tokenizer that keeps texts", vocabulary: new FakeVocabulary() },
    { name: "a tokenizer that puts a space in front", vocabulary: new SpacedVocabulary() },
  ];

  test.each(vocabularies)("are exact with $name", ({ vocabulary }) => {
    const pieces = new PieceIndex(vocabulary);
    for (const text of ["", "abc", " x", "é😀", "<think>a</think>", "<thin"]) {
      const tokens = pieces.spell(text)!;
      const spelled = tokens.map((token) => vocabulary.piece(token, true));
      expect(Buffer.concat(spelled).toString()).toBe(text);
    }
    expect(pieces.spell("<think>")).toEqual([FakeToken.think]);
  });

  test.each(vocabularies)("never hold the end of generation with $name", ({ vocabulary }) => {
    const tokens = new PieceIndex(vocabulary).spell("<|im_end|>")!;
    expect(tokens).toHaveLength("<|im_end|>".length);
    expect(tokens).not.toContain(FakeToken.imEnd);
  });

  test.each(vocabularies)("do not exist for a byte that no token may have with $name", (each) => {
    expect(new PieceIndex(each.vocabulary).spell("a\0b")).toBeNull();
  });
});
