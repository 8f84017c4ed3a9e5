import { expect, test } from "bun:test";
import { OfferedTools } from "../../../../src/chat/parser/offered-tools.ts";
import { isPlainString, rawToJson } from "../../../../src/chat/parser/tagged-value.ts";

interface Case {
  name: string;
  schema: unknown;
  raw: string;
  json: string;
}

const cases: Case[] = [
  { name: "a string", schema: { type: "string" }, raw: "5", json: '"5"' },
  { name: "an integer", schema: { type: "integer" }, raw: " 5 ", json: "5" },
  { name: "a number as it is written", schema: { type: "number" }, raw: "1.50", json: "1.50" },
  { name: "no number", schema: { type: "number" }, raw: "two", json: '"two"' },
  { name: "Python's True", schema: { type: "boolean" }, raw: "True", json: "true" },
  { name: "the word True", schema: { type: "string" }, raw: "True", json: '"True"' },
  { name: "null where allowed", schema: { type: ["string", "null"] }, raw: "null", json: "null" },
  { name: "nullable", schema: { type: "string", nullable: true }, raw: "None", json: "null" },
  {
    name: "a union",
    schema: { anyOf: [{ type: "string" }, { type: "integer" }] },
    raw: "5",
    json: "5",
  },
  { name: "a union without the type", schema: { type: ["string", "null"] }, raw: "5", json: '"5"' },
  {
    name: "a quoted word of a union",
    schema: { type: ["string", "null"] },
    raw: '"a"',
    json: '"\\"a\\""',
  },
  {
    name: "a word of a union behind a blank that JSON does not know",
    schema: { type: ["string", "null"] },
    raw: "\u00a0null",
    json: '"\u00a0null"',
  },
  { name: "an enum of strings", schema: { enum: ["1", "2"] }, raw: "1", json: '"1"' },
  { name: "an enum of numbers", schema: { enum: [1, 2] }, raw: "1", json: "1" },
  { name: "a constant", schema: { const: "7" }, raw: "7", json: '"7"' },
  { name: "a reference", schema: { $ref: "#/$defs/word" }, raw: "5", json: '"5"' },
  { name: "a cyclic reference", schema: { $ref: "#/$defs/loop" }, raw: "5", json: "5" },
  {
    name: "a composed string",
    schema: { allOf: [{ type: "string" }, { minLength: 1 }] },
    raw: "5",
    json: '"5"',
  },
  { name: "an object", schema: { type: "object" }, raw: '{"a": 1}', json: '{"a": 1}' },
  { name: "Python's dict", schema: { type: "object" }, raw: "{'a': None}", json: '{"a": null}' },
  { name: "Python's tuple", schema: { type: "array" }, raw: "(1, 'x',)", json: '[1, "x"]' },
  {
    name: "a word in brackets where only an object could stand",
    schema: { anyOf: [{ type: "string", enum: ["[draft]"] }, { type: "object" }] },
    raw: "[draft]",
    json: '"[draft]"',
  },
  {
    name: "a word in braces where only a list could stand",
    schema: { type: ["string", "array"] },
    raw: "{'a': 1}",
    json: "\"{'a': 1}\"",
  },
  { name: "a list in place of an object", schema: { type: "object" }, raw: "['a']", json: '["a"]' },
  { name: "a broken list", schema: { type: "array" }, raw: "[1,", json: '"[1,"' },
  { name: "nothing known, JSON", schema: {}, raw: "[1]", json: "[1]" },
  { name: "nothing known, a word", schema: {}, raw: " a b", json: '" a b"' },
  { name: "nothing known, quoted", schema: {}, raw: '"a"', json: '"\\"a\\""' },
];

test.each(cases)("a raw value by its schema: $name", ({ schema, raw, json }) => {
  const parameters = {
    type: "object",
    properties: { value: schema },
    $defs: { word: { type: "string" }, loop: { $ref: "#/$defs/loop" } },
  };
  const types = new OfferedTools([{ name: "f", parameters }]).typesOf("f", ["value"]);
  const told = isPlainString(types) ? JSON.stringify(raw) : rawToJson(raw, types);
  expect(told).toBe(json);
});

test("a tool is meant by its exact name, or by its name behind a known namespace", () => {
  const tools = new OfferedTools([{ name: "a.b", parameters: null }]);
  expect(tools.resolve(" a.b\n")).toBe("a.b");
  expect(tools.resolve("functions.a.b")).toBe("a.b");
  expect(tools.resolve("A.B")).toBeNull();
  expect(tools.resolve("b")).toBeNull();
  expect(new OfferedTools([]).resolve("constructor")).toBeNull();
});
