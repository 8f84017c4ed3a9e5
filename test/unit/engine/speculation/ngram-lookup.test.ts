import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { NgramLookup } from "../../../../src/engine/speculation/ngram-lookup.ts";
import { TokenBuffer } from "../../../../src/engine/token-buffer.ts";

const lookupIn = (tokens: readonly number[]): NgramLookup =>
  new NgramLookup(new TokenBuffer(Int32Array.from(tokens), 0));

test("the latest place that read alike is found, or an earlier one where more repeats", () => {
  const lookup = lookupIn([1, 2, 3, 4, 9, 2, 3, 4, 5, 6, 7, 2, 3, 4]);
  expect(lookup.find()).toEqual({ at: 8, match: 3 });
  expect(lookupIn([1, 2, 3, 4, 9, 2, 3, 4, 5, 6, 1, 2, 3, 4]).find()).toEqual({ at: 4, match: 4 });
  expect([...lookup.read(8, 3)]).toEqual([5, 6, 7]);
});

test("what never stood before has no continuation", () => {
  expect(lookupIn([1, 2, 3, 4, 5]).find()).toBeNull();
  expect(lookupIn([1, 2, 1, 2]).find()).toBeNull();
  expect(lookupIn([]).find()).toBeNull();
});

test("a text that repeats itself is read on beyond its end", () => {
  const lookup = lookupIn([7, 1, 2, 3, 1, 2, 3, 1, 2, 3]);
  const found = lookup.find();
  expect(found?.at).toBe(7);
  expect([...lookup.read(found?.at ?? 0, 7)]).toEqual([1, 2, 3, 1, 2, 3, 1]);
});

test("the place that proved right is followed, though a later one reads alike", () => {
  const tokens = new TokenBuffer(
    Int32Array.from([1, 2, 3, 4, 5, 6, 8, 1, 2, 3, 9, 7, 4, 5, 6, 0]),
    8,
  );
  const lookup = new NgramLookup(tokens);
  for (const token of [1, 2, 3]) tokens.push(token);
  expect(lookup.find()?.at).toBe(10);
  // It was the first place after all: found by the tokens after it, then followed.
  for (const token of [4, 5]) tokens.push(token);
  expect(lookup.find()).toEqual({ at: 5, match: 5 });
  tokens.push(6);
  expect(lookup.find()).toEqual({ at: 6, match: 6 });
});

test("a continuation is found exactly where there is one", () => {
  const list = fc.array(fc.nat(3), { minLength: 0, maxLength: 60 });
  fc.assert(
    fc.property(list, list, (start, rest) => {
      const tokens = new TokenBuffer(Int32Array.from(start), 0);
      const lookup = new NgramLookup(tokens);
      for (const token of rest) {
        tokens.push(token);
        const all = [...tokens.view()];
        const last = all.slice(-3).join();
        const places = all.flatMap((_, at) =>
          at >= 3 && at < all.length && all.slice(at - 3, at).join() === last ? [at] : [],
        );
        const found = lookup.find();
        if (found === null) expect(places).toEqual([]);
        else expect(places).toContain(found.at);
      }
    }),
    { seed: 5, numRuns: 60 },
  );
});

test("a text of many thousand tokens is found again", () => {
  const text = Array.from({ length: 20_000 }, (_, index) => (index * 7919) % 50_021);
  const tokens = new TokenBuffer(Int32Array.from(text), 8);
  const lookup = new NgramLookup(tokens);
  for (const token of text.slice(0, 3)) tokens.push(token);
  expect(lookup.find()).toEqual({ at: 3, match: 3 });
});
