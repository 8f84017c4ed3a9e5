import { describe, expect, test } from "bun:test";
import { LmError } from "../../src/lib/errors.ts";
import { type LogFields, silentLog } from "../../src/lib/log.ts";
import { appWith, embedder, errorOf, fakeDeps, fakeModel, post } from "./fakes.ts";

const PATH = "/v1/embeddings";
const model = embedder.key;

interface Wire {
  object: string;
  model: string;
  data: { object: string; index: number; embedding: number[] | string }[];
  usage: { prompt_tokens: number; total_tokens: number };
}

type Inputs = readonly (string | number[])[];

async function embed(body: object): Promise<{ wire: Wire; inputs: Inputs; released: number }> {
  let inputs: Inputs = [];
  let released = 0;
  const app = appWith({
    embed(received) {
      inputs = received;
      const vectors = received.map(() => new Float32Array([0.5, -1, 2]));
      return { vectors, tokens: received.length * 2 };
    },
    released: () => released++,
  });
  const response = await app.handle(post(PATH, { model, ...body }));
  expect(response.status).toBe(200);
  return { wire: (await response.json()) as Wire, inputs, released };
}

test("one vector per input, in order, with real token counts; the lease is given back", async () => {
  const { wire, inputs, released } = await embed({ input: ["a", "b"] });
  expect(wire).toEqual({
    object: "list",
    model,
    data: [0, 1].map((index) => ({ object: "embedding", index, embedding: [0.5, -1, 2] })),
    usage: { prompt_tokens: 4, total_tokens: 4 },
  });
  expect(inputs).toEqual(["a", "b"]);
  expect(released).toBe(1);
});

const forms: { input: string | number[] | number[][]; inputs: (string | number[])[] }[] = [
  { input: "a", inputs: ["a"] },
  { input: [1, 2, 3], inputs: [[1, 2, 3]] },
  { input: [[1], [2, 3]], inputs: [[1], [2, 3]] },
];
test.each(forms)("$input", async ({ input, inputs }) => {
  expect((await embed({ input })).inputs).toEqual(inputs);
});

test("the log line of a refusal names the model, whether it was loaded or not", async () => {
  const logged: LogFields[] = [];
  const info = (_message: string, fields: LogFields = {}) => void logged.push(fields);
  const full = new LmError("queue_full", { queued: 1, limit: 1, retryAfterMs: 1 }, "Full.");
  const log = { ...silentLog, info };
  const { pool } = fakeDeps();
  const crowded = { ...pool, acquire: () => Promise.reject(full) };
  const ask = (app: ReturnType<typeof appWith>) => app.handle(post(PATH, { model, input: "a" }));
  await ask(appWith({ deps: { log, pool: crowded } }));
  const refuse = (): never => {
    throw full;
  };
  await ask(appWith({ deps: { log }, embed: refuse }));
  expect(logged).toMatchObject([
    { status: 503, model },
    { status: 503, model },
  ]);
});

test("base64 is little-endian float32", async () => {
  const { wire } = await embed({ input: "a", encoding_format: "base64" });
  expect(wire.data[0]?.embedding).toBe("AAAAPwAAgL8AAABA");
  expect(wire.data[0]).not.toHaveProperty("encoding_format");
});

test("fewer dimensions are cut and normalised again", async () => {
  const { wire } = await embed({ input: "a", dimensions: 2 });
  const [x = 0, y = 0] = wire.data[0]!.embedding as number[];
  expect(Math.hypot(x, y)).toBeCloseTo(1, 6);
  expect(y / x).toBeCloseTo(-2, 5);
  const whole = await embed({ input: "a", dimensions: 3 });
  expect(whole.wire.data[0]?.embedding).toEqual([0.5, -1, 2]);
});

describe("refusals", () => {
  const rows: { body: object; status?: number; code: string; param: string }[] = [
    { body: {}, code: "missing_required_parameter", param: "input" },
    { body: { input: [] }, code: "empty_array", param: "input" },
    { body: { input: "" }, code: "empty_string", param: "input" },
    { body: { input: ["a", ""] }, code: "empty_string", param: "input[1]" },
    { body: { input: [[1], []] }, code: "empty_array", param: "input[1]" },
    { body: { input: ["a", 1] }, code: "invalid_type", param: "input[1]" },
    { body: { input: [1, "a"] }, code: "invalid_type", param: "input[1]" },
    { body: { input: [1, -1] }, code: "integer_below_min_value", param: "input[1]" },
    { body: { input: [1000] }, code: "invalid_value", param: "input" },
    { body: { input: [[1], [1000]] }, code: "invalid_value", param: "input[1]" },
    { body: { input: 5 }, code: "invalid_type", param: "input" },
    { body: { input: null }, code: "invalid_type", param: "input" },
    {
      body: { input: Array.from({ length: 2049 }, () => "a") },
      code: "array_above_max_length",
      param: "input",
    },
    {
      body: { input: "a", encoding_format: "int8" },
      code: "invalid_value",
      param: "encoding_format",
    },
    { body: { input: "a", dimensions: 0 }, code: "integer_below_min_value", param: "dimensions" },
    { body: { input: "a", dimensions: 4 }, code: "integer_above_max_value", param: "dimensions" },
    { body: { input: "a", model: "acme/tiny" }, code: "unsupported_model", param: "model" },
    { body: { input: "a", model: "nope" }, status: 404, code: "model_not_found", param: "model" },
  ];
  test.each(rows)("$body", async ({ body, status, code, param }) => {
    const response = await appWith().handle(post(PATH, { model, ...body }));
    expect(response.status).toBe(status ?? 400);
    expect(await errorOf(response)).toMatchObject({ code, param });
  });

  test("ids of another tokenizer are refused with the advice to send text", async () => {
    const response = await appWith().handle(post(PATH, { model, input: [[1], [99_999]] }));
    const { message, param } = await errorOf(response);
    expect(param).toBe("input[1]");
    expect(message).toContain("ids of this model go from 0 to 999. Send text");
    expect(message).toContain("check_embedding_ctx_length=False");
  });

  test("an input beyond the context is named, and the lease is given back", async () => {
    let released = 0;
    const app = appWith({
      embed() {
        throw new LmError(
          "context_length_exceeded",
          { promptTokens: 600, contextLength: 512, param: "input[1]" },
          "x",
        );
      },
      released: () => released++,
    });
    const response = await app.handle(post(PATH, { model, input: ["a", "b"] }));
    expect(response.status).toBe(400);
    expect(await errorOf(response)).toMatchObject({
      param: "input[1]",
      message: expect.stringContaining("maximum context length is 512 tokens"),
    });
    expect(released).toBe(1);
  });

  test("a model that chats embeds only where that is allowed", async () => {
    const app = appWith({ settings: { allowLlmEmbeddings: true } });
    const response = await app.handle(post(PATH, { model: "acme/tiny", input: "a" }));
    expect(response.status).toBe(200);
  });

  test("without a name the only embedding model answers", async () => {
    const response = await appWith().handle(post(PATH, { input: "a" }));
    expect(((await response.json()) as Wire).model).toBe(model);
    const two = appWith({ models: [embedder, fakeModel({ key: "b", kind: "embedding" })] });
    const refused = await two.handle(post(PATH, { input: "a" }));
    expect(await errorOf(refused)).toMatchObject({
      code: "missing_required_parameter",
      param: "model",
    });
  });
});
