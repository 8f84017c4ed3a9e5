import { expect, test } from "bun:test";
import { causeWords, exitWords, isKilled, lastWords } from "../../../src/pool/last-words.ts";

const lines = [
  {
    name: "an absolute path",
    said: "failed to open /home/me/a b/x.gguf",
    shown: "failed to open a b/x.gguf",
  },
  {
    name: "a source line",
    said: "/runner/llama/ggml.c:42: GGML_ASSERT(x)",
    shown: "ggml.c:42: GGML_ASSERT(x)",
  },
  { name: "colours", said: "\u001b[31merror\u001b[0m: bad", shown: "error: bad" },
  { name: "control and bidi characters", said: "a\u0007b\u202ec", shown: "abc" },
  { name: "carriage returns", said: "one\r\ntwo\rthree", shown: "one\ntwo\nthree" },
  { name: "a ratio is no path", said: "loaded 3/4 of n/m", shown: "loaded 3/4 of n/m" },
  { name: "empty lines", said: "\n\n a \n\n", shown: " a" },
  {
    name: "code and calls of a JavaScript error",
    said: "12 |   go();\n         ^\nTypeError: no\n      at go (src/x.ts:12:3)\n\nBun v1.4.5 (Linux x64)",
    shown: "TypeError: no",
  },
  {
    name: "the runtime's crash banner",
    said: `cause\n${"=".repeat(60)}\nBun v1.4.5 Linux x64\npanic: abort`,
    shown: "cause",
  },
];

test.each(lines)("last words are fit to be shown: $name", ({ said, shown }) => {
  expect(lastWords(said)).toBe(shown);
});

test("only the last eight lines and 2,000 characters are shown", () => {
  const many = Array.from({ length: 20 }, (_, n) => `line ${n}`).join("\n");
  expect(lastWords(many).split("\n")).toHaveLength(8);
  expect(lastWords(many)).toEndWith("line 19");
  expect(lastWords("x".repeat(100_000))).toHaveLength(2_000);
});

const exits = [
  { exit: { code: 7, signal: null }, words: "exited with code 7" },
  { exit: { code: null, signal: "SIGSEGV" }, words: "was killed by SIGSEGV" },
  { exit: { code: 137, signal: "SIGKILL" }, words: "perhaps by the kernel because memory ran out" },
  { exit: { code: null, signal: null }, words: "ended" },
];

test.each(exits)("an exit in words: $words", ({ exit, words }) => {
  expect(exitWords(exit)).toContain(words);
  expect(causeWords(exitWords(exit), "it hurts\n")).toEndWith(": it hurts");
  expect(causeWords(exitWords(exit), "")).not.toContain(":");
});

test("a process that was killed had no chance to say why, one that crashed had", () => {
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    expect(isKilled({ code: null, signal })).toBe(true);
  }
  for (const signal of ["SIGABRT", "SIGSEGV", "SIGBUS"] as const) {
    expect(isKilled({ code: null, signal })).toBe(false);
  }
  expect(isKilled({ code: 1, signal: null })).toBe(false);
});
