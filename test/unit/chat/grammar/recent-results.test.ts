import { expect, test } from "bun:test";
import { RecentResults } from "../../../../src/chat/grammar/recent-results.ts";

test("a result is made once, and the least recently used one is dropped", () => {
  const results = new RecentResults<string>(2);
  const made: string[] = [];
  const ask = (key: string) => results.get(key, () => (made.push(key), `${key}!`));
  expect(["a", "b", "a", "c", "a", "b"].map(ask)).toEqual(["a!", "b!", "a!", "c!", "a!", "b!"]);
  expect(made).toEqual(["a", "b", "c", "b"]);
  expect(results.size).toBe(2);
});

test("a failure and a huge key are not kept", () => {
  const results = new RecentResults<number>(2);
  const fail = () => {
    throw new Error("no");
  };
  expect(() => results.get("a", fail)).toThrow("no");
  expect(results.get("a", () => 1)).toBe(1);
  expect(results.get("x".repeat(300_000), () => 2)).toBe(2);
  expect(results.size).toBe(1);
});
