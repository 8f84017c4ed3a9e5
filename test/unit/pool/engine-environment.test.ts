import { expect, test } from "bun:test";
import { engineEnvironment } from "../../../src/pool/engine-environment.ts";

const kept = [
  "PATH",
  "HOME",
  "LANG",
  "LD_LIBRARY_PATH",
  "CUDA_VISIBLE_DEVICES",
  "GGML_VK_VISIBLE_DEVICES",
  "VK_ICD_FILENAMES",
];
const dropped = [
  "LMSERVER_API_KEY",
  "HF_TOKEN",
  "OPENAI_API_KEY",
  "BUN_OPTIONS",
  "BUN_BE_BUN",
  "NODE_OPTIONS",
  "LD_PRELOAD",
  "CUDA_API_KEY",
  "GGML_TOKEN",
  "AWS_SECRET_ACCESS_KEY",
  "PATHOLOGY",
  "__proto__",
];

test.each(kept)("an engine keeps %s", (name) => {
  expect(engineEnvironment({ [name]: "v" })).toEqual({ [name]: "v" });
});

test.each(dropped)("an engine does not see %s", (name) => {
  expect(Object.keys(engineEnvironment({ [name]: "v", TZ: undefined }))).toEqual([]);
});
