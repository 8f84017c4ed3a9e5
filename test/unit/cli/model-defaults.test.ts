import { expect, test } from "bun:test";
import type { CatalogModel } from "../../../src/catalog/model.ts";
import { loadPresetOf, modelDefaultsOf } from "../../../src/cli/model-defaults.ts";
import { ModelPresets } from "../../../src/cli/model-presets.ts";
import { fakeModel } from "../../http/fakes.ts";

const none = new ModelPresets([], []);
const ollama = (defaults: Partial<NonNullable<CatalogModel["defaults"]>>): CatalogModel => ({
  ...fakeModel({ maxContextLength: 4096 }),
  defaults: {
    goTemplate: null,
    system: null,
    sampling: {},
    stop: [],
    contextLength: null,
    ...defaults,
  },
});

test("what a store recommends is used where the presets say nothing", () => {
  const model = ollama({
    system: "Be kind.",
    sampling: { temperature: 0.5, topK: 7, mirostat: 2, mirostatTau: 4 },
    stop: ["</s>", ""],
    contextLength: 2048,
  });
  expect(modelDefaultsOf(model, none)).toEqual({
    sampling: { temperature: 0.5, topK: 7, mirostat: 2, mirostatTau: 4 },
    stops: ["</s>"],
    system: "Be kind.",
  });
  expect(loadPresetOf(model, none, null)).toEqual({ load: { contextLength: 2048 } });
  const preset = { contextLength: 1024, sampling: { topK: 1 }, ttl: 5 };
  const presets = new ModelPresets([{ model: "*", preset }], []);
  expect(modelDefaultsOf(model, presets).sampling).toMatchObject({ temperature: 0.5, topK: 1 });
  expect(loadPresetOf(model, presets, null)).toEqual({
    load: { contextLength: 1024 },
    ttlMs: 5_000,
  });
});

test("a store's context is at most the model's, and the server's own is stronger", () => {
  const model = ollama({ contextLength: 1_000_000 });
  expect(loadPresetOf(model, none, null).load).toEqual({ contextLength: 4096 });
  expect(loadPresetOf(model, none, 512).load).toEqual({});
});

test("values out of their ranges, and of other names, are no defaults", () => {
  const sampling = { temperature: 1e9, topP: -1, mirostat: 3, topK: 0.5, seed: -1, constructor: 1 };
  expect(modelDefaultsOf(ollama({ sampling }), none).sampling).toEqual({});
  expect(modelDefaultsOf(fakeModel(), none)).toEqual({ sampling: {}, stops: [], system: null });
});
