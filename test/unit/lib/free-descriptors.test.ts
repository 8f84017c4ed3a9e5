import { expect, test } from "bun:test";
import { hasFreeDescriptors } from "../../../src/lib/free-descriptors.ts";

test.skipIf(process.platform !== "linux")("free descriptors are counted against the limit", () => {
  expect(hasFreeDescriptors(32)).toBe(true);
  expect(hasFreeDescriptors(2 ** 40)).toBe(false);
});
