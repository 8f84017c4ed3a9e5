import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Detokenizer, incompleteTail } from "../../../src/engine/detokenizer.ts";
import { PieceTable } from "../../../src/engine/pieces.ts";
import { FakeVocabulary } from "../../support/fake-vocabulary.ts";

const decode = (bytes: Uint8Array): string =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

function viaTokens(bytes: Uint8Array): string[] {
  const pieces = new PieceTable(new FakeVocabulary());
  const detokenizer = new Detokenizer();
  return [...Array.from(bytes, (byte) => detokenizer.push(pieces.get(byte))), detokenizer.flush()];
}

test("a code point is told when its last byte is there", () => {
  expect(viaTokens(Buffer.from("é€😀"))).toEqual(["", "é", "", "", "€", "", "", "", "😀", ""]);
});

test("bytes that stay incomplete become U+FFFD at the end", () => {
  expect(viaTokens(Uint8Array.of(0x61, 0xf0, 0x9f, 0x98))).toEqual(["a", "", "", "", "\ufffd"]);
});

test("bytes that are no UTF-8 become U+FFFD at once", () => {
  expect(viaTokens(Uint8Array.of(0x80, 0xff, 0x61))).toEqual(["\ufffd", "\ufffd", "a", ""]);
});

test("a byte order mark is text like any other", () => {
  expect(viaTokens(Buffer.from("\ufeffa")).join("")).toBe("\ufeffa");
});

test("any bytes one by one are the same text as all at once", () => {
  const byte = fc.oneof(
    fc.nat(255),
    fc.constantFrom(0xc3, 0xa9, 0xe2, 0x82, 0xf0, 0x9f, 0x98, 0x80),
  );
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 24 }), (bytes) => {
      const all = Uint8Array.from(bytes);
      expect(viaTokens(all).join("")).toBe(decode(all));
    }),
    { seed: 3, numRuns: 2000 },
  );
});

test.each([
  { bytes: [0x61], tail: 0 },
  { bytes: [0xc3], tail: 1 },
  { bytes: [0xe2, 0x82], tail: 2 },
  { bytes: [0xf0, 0x9f, 0x98], tail: 3 },
  { bytes: [0xf0, 0x9f, 0x98, 0x80], tail: 0 },
  { bytes: [0x80, 0x80], tail: 0 },
])("$bytes ends with $tail bytes of an unfinished code point", ({ bytes, tail }) => {
  expect(incompleteTail(Uint8Array.from(bytes))).toBe(tail);
});
