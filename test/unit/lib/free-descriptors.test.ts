import { expect, test } from "bun:test";
import { hasFreeDescriptors } from "../../../src/lib/free-descriptors.ts";

const isPossible = process.platform === "linux";
if (!isPossible) console.warn("not Linux: free descriptors are not counted here");

test.skipIf(!isPossible)("free descriptors are counted against the limit", () => {
  expect(hasFreeDescriptors(32)).toBe(true);
  expect(hasFreeDescriptors(2 ** 40)).toBe(false);
});
