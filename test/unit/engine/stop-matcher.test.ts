import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { StopMatcher } from "../../../src/engine/stop-matcher.ts";

type Case = { name: string; stops: string[]; pieces: string[]; sent: string[]; hit: string | null };
const cases: Case[] = [
  { name: "across pieces", stops: ["END"], pieces: ["xE", "ND"], sent: ["x", "", ""], hit: "END" },
  {
    name: "false start",
    stops: ["END"],
    pieces: ["xE", "xit"],
    sent: ["x", "Exit", ""],
    hit: null,
  },
  { name: "held at the end", stops: ["END"], pieces: ["xEN"], sent: ["x", "EN"], hit: null },
  { name: "at position 0", stops: ["END"], pieces: ["END of it"], sent: ["", ""], hit: "END" },
  {
    name: "over three pieces",
    stops: ["abc"],
    pieces: ["a", "b", "c"],
    sent: ["", "", "", ""],
    hit: "abc",
  },
  { name: "none asked for", stops: [], pieces: ["a", "b"], sent: ["a", "b", ""], hit: null },
  {
    name: "the first to be complete",
    stops: ["abcd", "bc"],
    pieces: ["xabcd"],
    sent: ["xa", ""],
    hit: "bc",
  },
  {
    name: "the longest of those that end together",
    stops: ["c", "bc"],
    pieces: ["abc"],
    sent: ["a", ""],
    hit: "bc",
  },
  {
    name: "one that overlaps itself",
    stops: ["aab"],
    pieces: ["aa", "aab"],
    sent: ["", "aa", ""],
    hit: "aab",
  },
  {
    name: "half a surrogate pair does not cut a character",
    stops: ["\udc00"],
    pieces: ["\u{10000}"],
    sent: ["\u{10000}", ""],
    hit: null,
  },
];

test.each(cases)("stop sequence: $name", ({ stops, pieces, sent, hit }) => {
  const matcher = new StopMatcher(stops);
  const results = pieces.map((piece) => matcher.push(piece));
  expect([...results.map((result) => result.text), matcher.flush()]).toEqual(sent);
  expect(results.at(-1)?.hit ?? null).toBe(hit);
});

/** The plain definition: the least end, then the longest stop. */
function reference(text: string, stops: string[]): { text: string; hit: string | null } {
  for (let end = 1; end <= text.length; end++) {
    const hits = stops.filter((stop) => text.slice(0, end).endsWith(stop));
    const hit = hits.sort((a, b) => b.length - a.length)[0];
    if (hit !== undefined) return { text: text.slice(0, end - hit.length), hit };
  }
  return { text, hit: null };
}

test("the answer is the same wherever the text is split", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 14 });
  const stop = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(letters, fc.array(stop, { maxLength: 3 }), (text, stops) => {
      const expected = reference(text, stops);
      for (let split = 0; split <= text.length; split++) {
        const matcher = new StopMatcher(stops);
        let sent = "";
        let hit: string | null = null;
        for (const piece of [text.slice(0, split), text.slice(split)]) {
          if (hit !== null) break;
          const result = matcher.push(piece);
          sent += result.text;
          hit = result.hit;
        }
        if (hit === null) sent += matcher.flush();
        expect({ text: sent, hit }).toEqual(expected);
      }
    }),
    { seed: 7, numRuns: 500 },
  );
});

test("one stop of 1000 letters costs as many comparisons as there are letters", () => {
  const matcher = new StopMatcher([`${"a".repeat(999)}b`]);
  let sent = 0;
  for (let index = 0; index < 5000; index++) sent += matcher.push("a".repeat(20)).text.length;
  expect(sent).toBe(100_000 - 999);
});
