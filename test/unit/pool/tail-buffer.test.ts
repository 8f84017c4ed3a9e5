import { expect, test } from "bun:test";
import { TailBuffer } from "../../../src/pool/tail-buffer.ts";

const cases = [
  { name: "nothing", writes: [], kept: "" },
  { name: "less than it holds", writes: ["ab", "c"], kept: "abc" },
  { name: "exactly what it holds", writes: ["abcd", "efgh"], kept: "abcdefgh" },
  { name: "a little more", writes: ["abcdefgh", "ij"], kept: "cdefghij" },
  { name: "one write of much more", writes: ["x".repeat(100) + "abcdefgh"], kept: "abcdefgh" },
  { name: "many writes", writes: "abcdefghijklmnopqrstuvwxyz".split(""), kept: "stuvwxyz" },
  { name: "a write across the seam", writes: ["abcdef", "ghijk"], kept: "defghijk" },
];

test.each(cases)("the last eight bytes are kept: $name", ({ writes, kept }) => {
  const tail = new TailBuffer(8);
  for (const write of writes) tail.push(new TextEncoder().encode(write));
  expect(tail.text()).toBe(kept);
});
