import { expect, test } from "bun:test";
import { bestIndices, scoreToken } from "../../../src/engine/logprobs.ts";
import { PieceTable } from "../../../src/engine/pieces.ts";
import { FakeVocabulary } from "../../support/fake-vocabulary.ts";

const pieces = new PieceTable(new FakeVocabulary());

test("log probabilities are a softmax of the raw logits", () => {
  const logits = Float32Array.of(1, 2, 3);
  const scored = scoreToken(logits, 0, 3, pieces);
  const sum = Math.exp(1) + Math.exp(2) + Math.exp(3);
  expect(scored.logprob).toBeCloseTo(1 - Math.log(sum), 6);
  expect(scored.top.map((candidate) => candidate.id)).toEqual([2, 1, 0]);
  const total = scored.top.reduce((all, { logprob }) => all + Math.exp(logprob), 0);
  expect(total).toBeCloseTo(1, 6);
});

test("large logits do not overflow", () => {
  expect(scoreToken(Float32Array.of(5000, 4000), 0, 0, pieces).logprob).toBeCloseTo(0, 6);
});

test("an impossible token scores -9999, not -Infinity", () => {
  const scored = scoreToken(Float32Array.of(-Infinity, 0), 0, 2, pieces);
  expect(scored.logprob).toBe(-9999);
  expect(scored.top.map((candidate) => candidate.logprob)).toEqual([0, -9999]);
});

test("a token that is part of a character has its bytes and a placeholder for text", () => {
  const scored = scoreToken(new Float32Array(256), 0xf0, 0, pieces);
  expect(scored).toMatchObject({ text: "\ufffd", bytes: [0xf0], top: [] });
});

test("the best values are those of a full sort, ties by index", () => {
  let state = 9;
  for (let run = 0; run < 200; run++) {
    const values = Float32Array.from({ length: 1 + (run % 40) }, () => {
      state = (state * 1103515245 + 12345) % 2 ** 31;
      return state % 11;
    });
    const count = run % 7;
    const sorted = Array.from(values.keys()).sort(
      (a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b,
    );
    expect(bestIndices(values, count)).toEqual(sorted.slice(0, count));
  }
});
