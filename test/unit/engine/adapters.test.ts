import { expect, test } from "bun:test";
import type { AdapterScale } from "../../../src/protocol/commands.ts";
import { engineHarness, job } from "../../support/engine-harness.ts";
import { FakeBackend } from "../../support/fake-backend.ts";

const file = { path: "m.gguf", gpuLayers: "off", contextLength: null, mmap: true } as const;
const loaded = ["one", "two"].map((name) => ({ name, path: name, sizeBytes: 1, scale: 0 }));
const use = (name: string, scale = 1): { adapters: AdapterScale[] } => ({
  adapters: [{ adapter: name, scale }],
});

function harnessWith(options: { parallel?: number; scale?: number } = {}) {
  const model = new FakeBackend().loadModel(file, () => undefined);
  for (const { path } of loaded) model.loadAdapter(path);
  const adapters = loaded.map((each) => ({ ...each, scale: options.scale ?? 0 }));
  const harness = engineHarness({ model, adapters, parallel: options.parallel ?? 4 });
  return { ...harness, history: model.contexts[0]!.history };
}

test("two sets of adapters are never in one decode, and each answers as alone", () => {
  const alone = [use("one"), use("two"), {}].map((fields) => {
    const { engine, settle, text } = harnessWith();
    engine.generate(1, job("a prompt", fields));
    settle();
    return text(1);
  });
  const { engine, settle, text, history } = harnessWith();
  for (const [index, fields] of [use("one"), use("two"), {}].entries()) {
    engine.generate(index + 1, job("a prompt", fields));
  }
  settle();
  expect([text(1), text(2), text(3)]).toEqual(alone);
  expect(new Set(alone).size).toBe(3);
  expect(history.every(({ sequences }) => sequences.length === 1)).toBe(true);
});

test("jobs of one set share their decodes", () => {
  const { engine, settle, history } = harnessWith();
  for (const id of [1, 2, 3]) engine.generate(id, job(`prompt ${id}`, use("one")));
  settle();
  expect(history.some(({ sequences }) => sequences.length === 3)).toBe(true);
});

test("an endless stream of one set does not keep another set waiting", () => {
  const { engine, events } = harnessWith();
  engine.generate(1, job("endless", { ...use("one"), maxTokens: 400 }));
  engine.step();
  engine.generate(2, job("short", { ...use("two"), maxTokens: 4 }));
  const isDone = (id: number) =>
    events.some((event) => event.jobId === id && event.type === "jobDone");
  let steps = 0;
  while (!isDone(2) && steps < 100) {
    engine.step();
    steps++;
  }
  expect(isDone(2)).toBe(true);
  expect(isDone(1)).toBe(false);
});

test("jobs that choose nothing use the adapters of the load at their scales", () => {
  const byLoad = harnessWith({ scale: 0.5 });
  byLoad.engine.generate(1, job("a prompt"));
  byLoad.settle();
  const byJob = harnessWith();
  const both = loaded.map(({ name }) => ({ adapter: name, scale: 0.5 }));
  byJob.engine.generate(1, job("a prompt", { adapters: both }));
  byJob.settle();
  expect(byLoad.text(1)).toBe(byJob.text(1));
});
