import { afterEach, beforeEach, expect, spyOn, test } from "bun:test";
import * as crypto from "node:crypto";
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TokenFile } from "../../../src/config/tokens.ts";
import { hasCode } from "../../../src/lib/errors.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lmserver-tokens-"));
  path = join(folder, "state", "tokens.json");
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = (): TokenFile => new TokenFile(join(folder, "state"));
const create = (name = "laptop") =>
  open().create({ name, permissions: ["inference"], nowMs: 1_700_000_000_000 });

test("a token has the observed form and is found by its text", () => {
  const { token, text } = create();
  expect(text).toMatch(/^sk-lm-[A-Za-z0-9]{8}:[A-Za-z0-9]{20}$/);
  expect(text).toContain(token.id);
  expect(open().find(text)).toEqual(token);
  expect(open().list()).toEqual([token]);
});

test("the file is its owner's alone and holds no secret", () => {
  const { text } = create();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(join(folder, "state")).mode & 0o777).toBe(0o700);
  expect(readFileSync(path, "utf8")).not.toContain(text.slice(-20));
});

test("wrong texts find nothing", () => {
  const { text } = create();
  const wrong = ["", "x", text.slice(0, -1), `${text}x`, ` ${text}`, text.toLowerCase()];
  wrong.push(
    `${text.slice(0, -1)}${text.endsWith("a") ? "b" : "a"}`,
    `sk-lm-zzzzzzzz:${text.slice(-20)}`,
  );
  for (const candidate of wrong) expect(open().find(candidate)).toBeNull();
});

test("T-B2: an unknown id is compared like a known one", () => {
  const { text } = create();
  const tokens = open();
  const compare = spyOn(crypto, "timingSafeEqual");
  for (const candidate of [text, `sk-lm-zzzzzzzz:${text.slice(-20)}`, "nonsense"]) {
    compare.mockClear();
    tokens.find(candidate);
    expect(compare).toHaveBeenCalledTimes(1);
  }
  compare.mockRestore();
});

test("a running server sees what another process creates and removes", () => {
  const server = open();
  expect(server.list()).toEqual([]);
  const { token, text } = create();
  expect(server.find(text)?.id).toBe(token.id);
  const other = create("phone");
  expect(open().remove(token.id)).toBe(true);
  expect(open().remove(token.id)).toBe(false);
  expect(server.find(text)).toBeNull();
  expect(server.list().map(({ name }) => name)).toEqual(["phone"]);
  expect(server.find(other.text)).not.toBeNull();
});

test.each(["{", "[]", '{"version":2,"tokens":[]}', '{"version":1,"tokens":[{}]}'])(
  "a damaged file is told, not taken as empty: %s",
  (content) => {
    create();
    writeFileSync(path, content);
    chmodSync(path, 0o600);
    const problem = (() => {
      try {
        return open().find("sk-lm-aaaaaaaa:aaaaaaaaaaaaaaaaaaaa");
      } catch (error) {
        return error;
      }
    })();
    expect(hasCode(problem, "invalid_file")).toBe(true);
  },
);

test("a token that cannot be written tells the system's reason and the remedy", () => {
  // A folder that may not be made: a dangling link refuses it to root as well.
  symlinkSync(join(folder, "nowhere/state"), join(folder, "state"));
  expect(create).toThrow(/it cannot be written \([A-Z]+\); .* --state-dir/);
});
