import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ModelPresets } from "../../../src/cli/model-presets.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const presetsOf = (presets: ConstructorParameters<typeof ModelPresets>[0]) => {
  const problems: string[] = [];
  return { presets: new ModelPresets(presets, problems), problems };
};

test("a preset loads LoRA adapters of any folder, and a file that is missing is told", () => {
  using folder = tempFolder();
  const path = join(folder.path, "Pirate-F16.gguf");
  writeFileSync(path, "12345");
  const lora = [{ path, scale: 0.5 }, { path: "/no/such.gguf" }];
  const { presets, problems } = presetsOf([{ model: "*", preset: { lora } }]);
  expect(presets.of("any").load).toEqual({
    adapters: [{ name: "pirate", path, sizeBytes: 5, scale: 0.5 }],
  });
  expect(problems).toEqual(["--preset: the LoRA adapter /no/such.gguf is not a file"]);
});

test("presets add up, and the pattern that spells out more of the key is the stronger", () => {
  const { presets, problems } = presetsOf([
    { model: "qwen3-*", preset: { parallel: 2, sampling: { temperature: 0.6 } } },
    { model: "*", preset: { parallel: 8, ttl: 60, gpu: "off", sampling: { topK: 5 } } },
    { model: "qwen3-8b", preset: { ttl: null, kvTypeK: "q8_0" } },
  ]);
  expect(problems).toEqual([]);
  expect(presets.of("qwen3-8b")).toEqual({
    load: { parallel: 2, gpuLayers: "off", kvTypeK: "q8_0" },
    ttlMs: null,
    sampling: { temperature: 0.6, topK: 5 },
    chatTemplate: null,
  });
  expect(presets.of("other")).toEqual({
    load: { parallel: 8, gpuLayers: "off" },
    ttlMs: 60_000,
    sampling: { topK: 5 },
    chatTemplate: null,
  });
  expect(presetsOf([]).presets.of("m")).toEqual({ load: {}, sampling: {}, chatTemplate: null });
});

test("a chat template is read once at the start, and a missing file is a problem", () => {
  using folder = tempFolder();
  const path = join(folder.path, "t.jinja");
  writeFileSync(path, "{{ messages }}");
  const { presets, problems } = presetsOf([
    { model: "a", preset: { chatTemplate: path } },
    { model: "b", preset: { chatTemplate: join(folder.path, "none") } },
  ]);
  expect(presets.of("a").chatTemplate).toBe("{{ messages }}");
  expect(presets.of("b").chatTemplate).toBeNull();
  expect(problems).toEqual([
    `--preset: the chat template ${join(folder.path, "none")} cannot be read (ENOENT)`,
  ]);
});
