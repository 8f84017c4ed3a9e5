import { expect, test } from "bun:test";
import { ExitError } from "../../../src/cli/command.ts";
import { matchModel } from "../../../src/cli/server-models.ts";

const MODELS = [
  { key: "pub/qwen-7b", selected_variant: "pub/qwen-7b@q4_k_m" },
  { key: "pub/qwen-7b@q8_0", selected_variant: "pub/qwen-7b@q8_0" },
  { key: "pub/qwen-14b" },
  { key: "llama" },
  { key: "llama-guard" },
];

test.each([
  ["llama", "llama"],
  ["LLAMA", "llama"],
  ["guard", "llama-guard"],
  ["pub/qwen-7b", "pub/qwen-7b"],
  ["qwen-7b", "pub/qwen-7b"],
  ["q4_k", "pub/qwen-7b"],
  ["7b@q8", "pub/qwen-7b@q8_0"],
  ["14", "pub/qwen-14b"],
])("%p means %p", (name, key) => {
  expect(matchModel(MODELS, name).key).toBe(key);
});

test.each([
  ["qwen", 2, "ambiguous_model"],
  ["mistral", 1, "model_not_found"],
])("%p means none in particular", (name, exitCode, code) => {
  const match = () => matchModel(MODELS, name);
  expect(match).toThrow(ExitError);
  expect(match).toThrow(expect.objectContaining({ exitCode, code }));
});
