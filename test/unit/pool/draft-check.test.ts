import { expect, test } from "bun:test";
import { checkDraft } from "../../../src/pool/draft-check.ts";
import { modelHeader } from "../../support/model-header.ts";
import { scriptedModel } from "../../support/pool-fixture.ts";

const model = (architecture: string, slidingWindow: number | null) =>
  scriptedModel({ name: "m" }, { architecture, header: modelHeader({ slidingWindow }) });
const plain = model("llama", null);

/** @param longest context in which it may draft; null = any. */
const cases: [string, number | null, number | null][] = [
  ["gemma3", 512, 512],
  ["gemma3n", 512, 512],
  ["gemma2", null, 4_096],
  ["cohere2moe", 512, 512],
  ["granite_swa", 512, 512],
  ["mimo2", 128, 128],
  ["exaone-moe", 128, 128],
  ["step35", 512, 512],
  ["laguna", 0, null],
  ["llama4", null, 8_192],
  ["llama4", 100, 8_192],
  ["llama4", 0, null],
  ["smallthinker", 100, 4_096],
  ["smallthinker", null, null],
  // Their windows are read by nobody.
  ["phi3", 2_048, null],
  ["qwen2", 4_096, null],
];

test.each(cases)("%s with a window of %p drafts in a context of %p", (name, window, longest) => {
  const windowed = model(name, window);
  const check = (contextLength: number) => () => {
    checkDraft(plain, windowed, contextLength);
    checkDraft(windowed, plain, contextLength);
  };
  check(longest ?? 2 ** 20)();
  if (longest !== null) expect(check(longest + 1)).toThrow("cannot draft");
});
