import { expect, test } from "bun:test";
import { encodeVector, normalise } from "../../../src/engine/embedder.ts";
import { engineHarness, job } from "../../support/engine-harness.ts";
import type { FakeOptions } from "../../support/fake-backend.ts";
import { fakeModel } from "../../support/fake-model.ts";

function setUp(options: FakeOptions = {}, packedTokens?: number) {
  const model = fakeModel(options);
  const harness = engineHarness({ model, ...(packedTokens !== undefined && { packedTokens }) });
  const vectors = (jobId: number): Float32Array[] =>
    (harness.find(jobId, "embedded")?.vectors ?? []).map((text) => {
      const bytes = Buffer.from(text, "base64");
      return new Float32Array(
        bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
      );
    });
  return { ...harness, model, vectors };
}

test("vectors have length 1, keep the order of the inputs, and count real tokens", () => {
  const { engine, settle, vectors, find } = setUp();
  engine.embed(1, ["a", "bc", [100, 101, 102]]);
  settle();
  expect(find(1, "embedded")?.tokens).toBe(2 + 3 + 3);
  for (const vector of vectors(1)) {
    expect(Math.hypot(...vector)).toBeCloseTo(1, 6);
    expect(vector).toHaveLength(16);
  }
});

test("a vector from a batch equals the one made alone", () => {
  const { engine, settle, vectors, model } = setUp();
  const inputs = Array.from({ length: 40 }, (_, index) => `text number ${index}`);
  engine.embed(1, inputs);
  for (const [index, input] of inputs.entries()) engine.embed(100 + index, [input]);
  settle();
  for (const index of inputs.keys()) expect(vectors(1)[index]).toEqual(vectors(100 + index)[0]);
  expect(model.contexts[1]?.history[0]?.sequences.length).toBeGreaterThan(10);
  expect(model.contexts[1]?.usedCells).toBe(0);
});

test("inputs share a decode up to so many tokens, the longest first; a longer one has its own", () => {
  const { engine, settle, find, model } = setUp({}, 64);
  const texts = ["x".repeat(29), "x".repeat(29), "x".repeat(29), "x".repeat(200), "x"];
  engine.embed(1, texts);
  settle();
  expect(find(1, "embedded")?.vectors).toHaveLength(5);
  const sizes = model.contexts[1]?.history.map(({ tokens }) => tokens);
  expect(sizes).toEqual([201, 62, 30]);
});

test("the embedding context is made at the first input, and once", () => {
  const { engine, settle, model } = setUp();
  engine.generate(1, job("abc"));
  settle();
  expect(model.contexts).toHaveLength(1);
  engine.embed(2, ["a"]);
  engine.embed(3, ["b"]);
  settle();
  expect(model.contexts).toHaveLength(2);
});

test("an input over the context is refused by name, and its neighbours in other jobs are not", () => {
  const { engine, settle, find } = setUp();
  engine.embed(1, ["fine", "x".repeat(256)]);
  engine.embed(2, ["x".repeat(255)]);
  settle();
  expect(find(1, "jobFailed")).toMatchObject({
    code: "context_length_exceeded",
    details: { promptTokens: 257, contextLength: 256, param: "input[1]" },
  });
  expect(find(2, "embedded")?.tokens).toBe(256);
});

test("token ids outside the vocabulary and empty inputs are refused by name", () => {
  const { engine, settle, find } = setUp();
  engine.embed(1, ["a", [5, 9999]]);
  engine.embed(2, [[]]);
  settle();
  expect(find(1, "jobFailed")?.details["param"]).toBe("input[1]");
  expect(find(2, "jobFailed")?.details["param"]).toBe("input[0]");
});

test("a vector that is not finite in a batch is made again alone", () => {
  const broken = new Float32Array(16).fill(Number.NaN);
  const { engine, settle, vectors } = setUp({
    embed: (tokens, inBatch) => (tokens.length === 4 && inBatch > 1 ? broken : null),
  });
  engine.embed(1, ["a", "abc", "b"]);
  settle();
  expect(vectors(1)).toHaveLength(3);
  expect(vectors(1).every((vector) => vector.every(Number.isFinite))).toBe(true);
});

test.each([
  { name: "not finite", value: Number.NaN },
  { name: "zero", value: 0 },
])("an input whose vector stays $name fails its job by name", ({ value }) => {
  const broken = new Float32Array(16).fill(value);
  const { engine, settle, find, terminals } = setUp({
    embed: (tokens) => (tokens.length === 4 ? broken : null),
  });
  engine.embed(1, ["a", "abc", "b"]);
  engine.embed(2, ["c"]);
  settle();
  expect(find(1, "jobFailed")?.message).toContain("input[1]");
  expect(terminals(1)).toHaveLength(1);
  expect(find(2, "embedded")).toBeDefined();
});

test("embeddings go on beside a stream, and the stream beside them", () => {
  const { engine, of, find } = setUp();
  const sampling = { ...job("").sampling, ignoreEos: true };
  engine.generate(1, job("abc", { maxTokens: 100, sampling }));
  engine.embed(
    2,
    Array.from({ length: 60 }, () => "x".repeat(100)),
  );
  for (let step = 1; find(2, "embedded") === undefined; step++) {
    expect(step).toBeLessThan(60);
    engine.step();
    expect(of(1)).toHaveLength(step + 1);
  }
});

test("a cancel drops the inputs that are not computed", () => {
  const { engine, settle, of } = setUp();
  engine.embed(1, ["a"]);
  engine.step();
  engine.embed(2, ["b"]);
  engine.cancel(2);
  settle();
  expect(of(1)[0]?.type).toBe("embedded");
  expect(of(2)).toEqual([{ type: "cancelled", jobId: 2, stage: "queue", step: 1 }]);
});

test("base64 holds little-endian floats", () => {
  expect(encodeVector(Float32Array.of(0.5, -1, 2))).toBe("AAAAPwAAgL8AAABA");
});

test("a vector without length cannot be normalised", () => {
  expect(normalise(Float32Array.of(3, 4))).toEqual(Float32Array.of(0.6, 0.8));
  expect(normalise(Float32Array.of(0, 0))).toBeNull();
  expect(normalise(Float32Array.of(1, Number.POSITIVE_INFINITY))).toBeNull();
});
