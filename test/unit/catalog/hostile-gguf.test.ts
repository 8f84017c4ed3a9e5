import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  hostileFiles,
  piece,
  tinyModel,
  writeHostileFiles,
} from "../../../scripts/make-hostile-gguf.ts";
import { scanGguf } from "../../../src/catalog/gguf-scan.ts";
import { catalogOf } from "../../support/catalog-fixture.ts";
import { GGUF_CASES } from "../../support/gguf-cases.ts";
import { tempFolder } from "../../support/temp-folder.ts";

test("T-D1: every hostile file is listed with its reason, and none as a model", async () => {
  using folder = tempFolder();
  writeHostileFiles(folder.path);
  writeFileSync(join(folder.path, "good.gguf"), tinyModel());
  const { catalog } = catalogOf(folder.path);
  const broken = await catalog.broken();
  const reasons = new Map(broken.map(({ path, reason }) => [path, reason]));
  for (const { name, reason } of hostileFiles()) {
    expect(`${name}: ${reasons.get(join(folder.path, `${name}.gguf`))}`).toMatch(reason);
  }
  expect((await catalog.list()).map((model) => model.key)).toEqual(["good"]);
});

test("T-D1: names in a file reach no prototype", async () => {
  using folder = tempFolder();
  writeHostileFiles(folder.path);
  await catalogOf(folder.path).catalog.list();
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
});

test("a file cut at each 64th of its length is refused", async () => {
  using folder = tempFolder();
  const whole = tinyModel({
    pairs: [
      piece.strings(
        "tokenizer.ggml.tokens",
        Array.from({ length: 300 }, (_, id) => `token ${id}`),
      ),
      piece.string("tokenizer.chat_template", "{{ messages }}".repeat(40)),
    ],
    tensors: [piece.tensor("a", [32, 32], 0, 0), piece.tensor("b", [32, 32], 8, 4096)],
    dataBytes: 4096 + 1088,
  });
  const path = join(folder.path, "cut.gguf");
  writeFileSync(path, whole);
  expect((await scanGguf(path)).parameterCount).toBe(2048);
  for (let part = 0; part < 64; part += 1) {
    writeFileSync(path, whole.subarray(0, Math.floor((whole.length * part) / 64)));
    const failure = await scanGguf(path).catch((error: unknown) => String(error));
    expect(failure).toMatch(/empty|too short|ends inside|longer than|truncated/);
  }
});

test("one byte changed anywhere in the header is refused or read, and never throws anything else", async () => {
  using folder = tempFolder();
  const whole = Buffer.from(
    tinyModel({ pairs: [piece.strings("tokenizer.ggml.tokens", ["a", "b"])] }),
  );
  const path = join(folder.path, "flipped.gguf");
  for (let at = 0; at < whole.length - 256; at += 1) {
    const flipped = Buffer.from(whole);
    flipped[at] = (flipped[at] ?? 0) ^ 0x80;
    writeFileSync(path, flipped);
    const outcome = await scanGguf(path).catch((error: unknown) => error);
    if (outcome instanceof Error) expect(outcome.name).toBe("UnreadableFile");
  }
});

test("there is one file for each of the 33 cases of llama.cpp's own test", () => {
  expect(new Set(GGUF_CASES.map(({ name }) => name)).size).toBe(33);
});

test.each([...GGUF_CASES])(
  "T-D2: $name is refused with its reason, or read",
  async ({ name, bytes, refusal }) => {
    using folder = tempFolder();
    const path = join(folder.path, `${name}.gguf`);
    writeFileSync(path, bytes);
    const outcome = await scanGguf(path).catch((error: unknown) => String(error));
    if (refusal === null) expect(outcome).toMatchObject({ sizeBytes: bytes.length });
    else expect(outcome).toMatch(refusal);
  },
);
