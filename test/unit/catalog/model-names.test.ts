import { expect, test } from "bun:test";
import { matches } from "../../../src/catalog/find-model.ts";
import {
  cleanId,
  displayNameOf,
  modelName,
  parametersFromCount,
  parametersInName,
  shardOf,
  splitQuant,
} from "../../../src/catalog/model-names.ts";

test.each([
  ["Qwen2.5-7B-Instruct-Q4_K_M", "Qwen2.5-7B-Instruct", "Q4_K_M"],
  ["model.Q8_0", "model", "Q8_0"],
  ["gemma-3-4b-it-UD-Q4_K_XL", "gemma-3-4b-it", "UD-Q4_K_XL"],
  ["gpt-oss-20b-MXFP4", "gpt-oss-20b", "MXFP4"],
  ["x-IQ3_XXS", "x", "IQ3_XXS"],
  ["x-bf16", "x", "BF16"],
  ["F16", "", "F16"],
  ["nomic-embed-text-v1.5", "nomic-embed-text-v1.5", null],
  ["llama-3.2", "llama-3.2", null],
  ["q", "q", null],
])("quantisation of %s", (stem, name, quant) => {
  expect(splitQuant(stem)).toEqual({ name, quant });
});

test.each([
  ["Qwen2.5-7B-Instruct", "7B"],
  ["qwen3-30b-a3b", "30B-A3B"],
  ["mixtral-8x7b-v0.1", "8x7B"],
  ["smollm2-135m", "135M"],
  ["gemma-3-1.5b-it", "1.5B"],
  ["phi-4", null],
  ["b", null],
])("parameters in the name %s", (name, parameters) => {
  expect(parametersInName(name)).toBe(parameters);
});

test.each([
  [7_615_616_512, "7.6B"],
  [70_553_706_496, "71B"],
  [134_515_008, "135M"],
  [1_740_000, "1.7M"],
  [999, null],
])("parameters from %i elements", (count, parameters) => {
  expect(parametersFromCount(count)).toBe(parameters);
});

test.each([
  ["gpt-*", "gpt-4", true],
  ["gpt-*", "gpt-", true],
  ["*", "", true],
  ["*-turbo", "gpt-3.5-turbo", true],
  ["a*b*c", "a-x-b-y-c", true],
  ["a*b*c", "abc", true],
  ["a*a", "a", false],
  ["gpt-*", "Gpt-4", false],
  ["gpt", "gpt-4", false],
  ["a*b*c", "acb", false],
])("pattern %s against %s", (pattern, name, expected) => {
  expect(matches(pattern, name)).toBe(expected);
});

test("shard numbers are split off", () => {
  expect(shardOf("m-00002-of-00010")).toEqual({ index: 2, count: 10, stem: "m" });
  expect(shardOf("m-2-of-10")).toBeNull();
});

test("ids keep letters of any script and nothing that could hide", () => {
  expect(cleanId("../Qwen 模型\u202E\n7B")).toBe("qwen-模型--7b");
  expect(cleanId("x".repeat(1_000))).toHaveLength(256);
  expect(modelName("\u0000", null)).toBe("model");
});

test("display names are words", () => {
  expect(displayNameOf("qwen2.5-7b-instruct")).toBe("Qwen2.5 7B Instruct");
});
