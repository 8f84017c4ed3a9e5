import { expect, test } from "bun:test";
import { FormatDetector } from "../../../src/chat/detection/format-detector.ts";
import { createGenerate, createRenderChat } from "../../../src/chat/generate.ts";
import { detectFormat } from "../../../src/chat/model-format.ts";
import {
  answer,
  BASE,
  chat,
  depsWith,
  leaseWith,
  TIMINGS,
} from "../../support/generate-fixture.ts";
import { MODEL_INFO } from "../../support/model-info.ts";

/** A model at the one path, whose vocabulary has a token for each of these texts. */
function loadedWith(words: readonly string[]) {
  const lease = leaseWith({
    info: { ...MODEL_INFO },
    tokenize: (prompt) =>
      Promise.resolve(prompt.kind === "text" && words.includes(prompt.text) ? [1] : [1, 2]),
    async *generate() {
      yield { type: "accepted", jobId: 1, promptTokens: 3, cachedTokens: 0 };
      yield* answer(["So."]);
      yield { type: "jobDone", jobId: 1, timings: TIMINGS };
    },
  });
  return { ...lease, model: { ...lease.model, chatTemplate: "{{ messages[0].content }}" } };
}

test("a file that is replaced by one with another vocabulary is looked at anew", async () => {
  const knowledge = depsWith(loadedWith([]));
  const { signal } = new AbortController();
  const reasoningWith = async (words: readonly string[]) =>
    (await detectFormat(knowledge, loadedWith(words), signal)).reasoning;
  expect(await reasoningWith([])).toBeNull();
  const tags = { start: "<think>", end: "</think>" };
  expect(await reasoningWith(["<think>", "</think>"])).toEqual(tags);
  expect(await reasoningWith([])).toBeNull();
});

test("a template is probed once for rendering and generation together", async () => {
  const lease = loadedWith([]);
  const deps = depsWith(lease);
  let probes = 0;
  const templates: typeof deps.templates = {
    ...deps.templates,
    renderProbe: (...asked) => {
      probes += 1;
      return deps.templates.renderProbe(...asked);
    },
  };
  const counted = { ...deps, templates, detector: new FormatDetector() };
  const request = { ...BASE, input: chat({ reasoningBudget: 0 }) };
  const { signal } = new AbortController();
  await createRenderChat(counted)(request, signal);
  const once = probes;
  expect(once).toBeGreaterThan(0);
  await Array.fromAsync(createGenerate(counted)(request, signal));
  expect(probes).toBe(once);
});
