import { expect, test } from "bun:test";
import { ChoiceOutput } from "../../../src/engine/choice-output.ts";
import { unscoredToken } from "../../../src/engine/logprobs.ts";
import { PieceTable } from "../../../src/engine/pieces.ts";
import { FakeVocabulary } from "../../support/fake-vocabulary.ts";

const pieces = new PieceTable(new FakeVocabulary());
const empty = { bytes: new Uint8Array(0), text: "" };

/** Text and token texts of each event, as "text|token token". */
function events(bytes: Uint8Array, stops: string[]): { told: string[]; stop: string | null } {
  const output = new ChoiceOutput(stops);
  const told: string[] = [];
  const take = (): void => {
    const { text, logprobs } = output.take();
    if (text !== "" || logprobs.length > 0) {
      told.push(`${text}|${logprobs.map((each) => each.text).join(" ")}`);
    }
  };
  for (const byte of bytes) {
    output.push(pieces.get(byte), unscoredToken(byte, pieces));
    if (output.stop !== null) break;
    take();
  }
  output.finish();
  take();
  return { told, stop: output.stop };
}

test("each event has the scores of exactly the tokens in its text", () => {
  expect(events(Buffer.from("ab"), [])).toEqual({ told: ["a|a", "b|b"], stop: null });
});

test("each token tells how much text it brought", () => {
  const output = new ChoiceOutput(["END"]);
  const sizes = Array.from(Buffer.from("aéENx"), (byte) => output.push(pieces.get(byte), null));
  expect(sizes).toEqual([1, 0, 1, 0, 0, 3]);
  expect(output.take().text).toBe("aéENx");
});

test("the tokens of a character come with the character", () => {
  const { told } = events(Buffer.from("aé!"), []);
  expect(told).toEqual(["a|a", "é|\ufffd \ufffd", "!|!"]);
});

test("held text keeps its tokens back until it is released", () => {
  expect(events(Buffer.from("xENx"), ["END"]).told).toEqual(["x|x", "ENx|E N x"]);
});

test("the tokens of a stop string are not told", () => {
  expect(events(Buffer.from("xEND"), ["END"])).toEqual({ told: ["x|x"], stop: "END" });
});

test("a held start of a stop string is told when nothing follows", () => {
  expect(events(Buffer.from("xEN"), ["END"])).toEqual({ told: ["x|x", "EN|E N"], stop: null });
});

test("a token without text has no score", () => {
  const output = new ChoiceOutput([]);
  output.push(empty, unscoredToken(97, pieces));
  output.push(pieces.get(98), unscoredToken(98, pieces));
  expect(output.take().logprobs.map((each) => each.id)).toEqual([98]);
});

test("hidden tokens are told in their place, those inside a stop string are not", () => {
  const output = new ChoiceOutput(["END"], true);
  const told: string[][] = [];
  const push = (text: string): void => {
    if (text === "") output.push(empty, unscoredToken(0, pieces));
    for (const byte of Buffer.from(text))
      output.push(pieces.get(byte), unscoredToken(byte, pieces));
    told.push(output.take().logprobs.map(({ text: each, isHidden }) => (isHidden ? "-" : each)));
  };
  for (const text of ["", "\u00e9", "", "E", "", "x", "", "E", "", "ND"]) push(text);
  expect(output.stop).toBe("END");
  expect(told.map((each) => each.join(""))).toEqual([
    "-",
    "\ufffd\ufffd",
    "-",
    "",
    "",
    "E-x",
    "-",
    "",
    "",
    "",
  ]);
});

test("a hidden token inside a character has no text of its own", () => {
  const output = new ChoiceOutput([]);
  output.push({ bytes: Uint8Array.of(0xc3), text: null }, unscoredToken(0xc3, pieces));
  output.push(empty, unscoredToken(97, pieces));
  output.push({ bytes: Uint8Array.of(0xa9), text: null }, unscoredToken(0xa9, pieces));
  expect(output.take()).toMatchObject({ text: "\u00e9", logprobs: [{ id: 0xc3 }, { id: 0xa9 }] });
});

test("a stop string made of U+FFFD can match bytes that stay incomplete", () => {
  expect(events(Uint8Array.of(0x61, 0xc3), ["\ufffd"])).toEqual({ told: ["a|a"], stop: "\ufffd" });
});

test("a token of which a part is released is told with that part", () => {
  const output = new ChoiceOutput(["world"]);
  const piece = { bytes: Buffer.from("Hello wo"), text: "Hello wo" };
  output.push(piece, unscoredToken(97, pieces));
  const { text, logprobs } = output.take();
  expect([text, logprobs.length]).toEqual(["Hello ", 1]);
  for (const byte of Buffer.from("rld")) output.push(pieces.get(byte), unscoredToken(byte, pieces));
  expect(output.stop).toBe("world");
  expect(output.take()).toEqual({ text: "", logprobs: [] });
});
