import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { systemCode } from "../../../src/lib/system-code.ts";

test("the system's word for a failure, and none where it said none", () => {
  let error: unknown;
  try {
    readFileSync("/nowhere/at/all");
  } catch (caught) {
    error = caught;
  }
  expect(systemCode(error)).toBe("ENOENT");
  expect(systemCode(new Error("plain"))).toBeNull();
  expect(systemCode(Object.assign(new Error("numbered"), { code: 7 }))).toBeNull();
  expect(systemCode({ code: "EACCES" })).toBeNull();
});
